"""Rules of regular expressions on URLs: answer with a redirect, or ask for another path.

Patterns see the encoded form, path and query as they stand in the request line: there a line
break is ``%0D%0A`` and stays it, so nothing that a client writes can end a header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..errors import BadRequest

__all__ = [
    "Rule",
    "apply",
    "read_redirects",
    "read_rewrites",
    "redirect_of",
    "rewritten",
]

_ORIGIN = re.compile(r"(?:https?:)?//[^/?#\\]*", re.IGNORECASE)
_GROUP = re.compile(r"\\(?:[0-9]|g<)")


class Rule(NamedTuple):
    """Where a URL that matches ``pattern`` from its start is to be looked for instead."""

    pattern: re.Pattern[str]
    to: str


def apply(rules: Iterable[Rule], url: str) -> tuple[Rule, str] | None:
    """The first rule that matches, and what it makes of the URL."""
    for rule in rules:
        if rule.pattern.match(url):
            return rule, rule.pattern.sub(rule.to, url)
    return None


def redirect_of(rules: Iterable[Rule], url: str) -> str | None:
    """The ``Location`` that the rules have for a URL, or ``None``.

    It leads where its rule says: to this site if ``to`` is a path, else to the very host
    that is written there, whatever the client has put into the groups.

    :raises BadRequest: if it would not.
    """
    found = apply(rules, url)
    if found is None:
        return None
    rule, location = found
    if not rule.to.lower().startswith(("http://", "https://")):
        # Browsers take "//host" and "/\host" for another site.
        location = "/" + location.lstrip("/\\")
    elif _origin(location) != _origin(rule.to):
        raise BadRequest(f"the redirect {location[:200]!r} would leave {_origin(rule.to)}")
    if re.search(r"[\x00-\x20\x7f]|[^\x00-\xff]", location):  # browsers drop tabs and breaks
        raise BadRequest(f"the redirect {location[:200]!r} is no URL")
    return location


def rewritten(rules: Iterable[Rule], target: str) -> str:
    """The target to ask the upstream for, from the part of the URL behind the prefix.

    :raises BadRequest: if a rule makes no path of it, or one that climbs out of the upstream's.
    """
    found = apply(rules, target)
    if found is None:
        return target
    target = found[1]
    path = target.partition("?")[0].lower().replace("%2e", ".").replace("%2f", "/")
    if not target.startswith("/") or re.search(r"[\x00-\x20\x7f#]|[^\x00-\x7f]", target):
        raise BadRequest(f"the rewritten target {target[:200]!r} is no path")
    if ".." in re.split(r"[/\\]|%5c", path):
        raise BadRequest(f"the rewritten target {target[:200]!r} holds dots")
    return target


def _origin(url: str) -> str:
    match = _ORIGIN.match(url)
    return match[0].lower() if match else ""


# -- kinds of options ------------------------------------------------------------------


def _pairs(value: Any) -> Iterable[tuple[Any, str]]:
    """Patterns and targets: a mapping, pairs, or lines of ``pattern -> target``."""
    if isinstance(value, str):
        lines = [line.strip() for line in value.splitlines() if line.strip()]
        pairs = [re.split(r"\s+->\s+", line) for line in lines]
        if not all(len(pair) == 2 for pair in pairs):
            raise ValueError(f"{value!r} has a line without an arrow; write 'pattern -> target'")
        return [(pattern, to) for pattern, to in pairs]
    return value.items() if isinstance(value, Mapping) else list(value)


def read_rule(pattern: Any, to: str) -> Rule:
    """A rule whose two parts fit.

    :raises ValueError: for an invalid pattern, or a target that ``re.sub`` would refuse.
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(f"{pattern!r} is no regular expression ({error}); correct it") from None
    try:
        compiled.sub(to, "")  # reads the whole of it, whether the pattern matches or not
    except (re.error, IndexError) as error:
        raise ValueError(f"{to!r} does not fit {pattern!r} ({error}); correct it") from None
    return Rule(compiled, to)


def read_redirects(value: Any) -> tuple[Rule, ...]:
    """Rules whose targets are paths, or URLs whose host the client has no say in."""
    read = tuple(read_rule(pattern, to) for pattern, to in _pairs(value))
    for _, to in read:
        is_url = to.lower().startswith(("http://", "https://"))
        if not is_url and (not to.startswith("/") or to.startswith(("//", "/\\\\"))):
            raise ValueError(f"{to!r} is no place to redirect to; write /path or https://host/path")
        if is_url and _GROUP.search(_authority(to)):
            raise ValueError(f"{to!r} lets the client choose the host; write the host out")
    return read


def _authority(to: str) -> str:
    return re.split(r"[/?#]", to.partition("//")[2], maxsplit=1)[0]


def read_rewrites(value: Any) -> tuple[Rule, ...]:
    """Rules whose targets are paths."""
    read = tuple(read_rule(pattern, to) for pattern, to in _pairs(value))
    for _, to in read:
        if not to.startswith("/"):
            raise ValueError(f"{to!r} is no path to ask the upstream for; write /path")
    return read
