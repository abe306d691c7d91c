"""YAML, written so that no text in it can be anything but a text.

Every text that is no plain name stands in double quotes with all but ASCII letters escaped. Braces
are escaped too: Traefik runs Go templates over a file before it reads it as YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Commented", "dump"]

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
#: What YAML 1.1 takes for something else.
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf"))


class Commented(NamedTuple):
    """A value with lines of comments in front of it."""

    value: Any
    comments: Sequence[str]


def dump(value: Any) -> str:
    """A document of mappings, sequences, texts, numbers and truth values."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _item(f"{_scalar(key)}:", item)
    else:
        for item in value:
            yield from _entry(item)


def _item(head: str, item: Any) -> Iterator[str]:
    if isinstance(item, Commented):
        yield from item.comments
        item = item.value
    if _is_nested(item):
        yield head
        yield from (f"  {line}" for line in _lines(item))
    else:
        yield f"{head} {_scalar(item)}"


def _entry(item: Any) -> Iterator[str]:
    if isinstance(item, Commented):
        yield from item.comments
        item = item.value
    if not _is_nested(item):
        yield f"- {_scalar(item)}"
        return
    # A comment in front of the first key would end up behind the dash.
    mark = "- "
    for line in _lines(item):
        yield mark + line
        mark = "  "


def _is_nested(value: Any) -> bool:
    return bool(value) and isinstance(value, (Mapping, list, tuple)) and not isinstance(value, str)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[]"
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return str(value)
    return '"' + "".join(map(_escaped, value)) + '"'


def _escaped(letter: str) -> str:
    code = ord(letter)
    if letter in '"\\':
        return "\\" + letter
    if 0x20 <= code < 0x7F and letter not in "{}":
        return letter
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
