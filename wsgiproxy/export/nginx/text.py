"""nginx's grammar: words, blocks, and what would be a variable and is none."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["DOLLAR", "block", "indented", "pattern", "var", "word"]

#: A variable that holds a dollar sign: nginx has no escape for one.
DOLLAR = "wsgiproxy_dollar"
_BARE = re.compile(r"[A-Za-z0-9_./:@,*+-]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\t": "\\t"}
# No text that comes from outside holds a NUL, so it marks the variables that are meant.
_VARIABLE = re.compile("\0([a-z0-9_]+)\0")


def var(name: str) -> str:
    """A variable in a text for :func:`word`."""
    return f"\0{name}\0"


def word(text: str) -> str:
    """A text as one word, where nginx puts values in place of variables.

    Those of :func:`var` are meant; every other dollar sign is one.
    """
    if _BARE.fullmatch(text):
        return text
    alone = _VARIABLE.fullmatch(text)
    if alone:
        return "$" + alone[1]
    escaped = _escaped(text).replace("$", f"${{{DOLLAR}}}")
    return '"' + _VARIABLE.sub(_variable, escaped) + '"'


def _variable(match: re.Match[str]) -> str:
    # A group of a pattern is known without braces only.
    return f"${match[1]}" if match[1].isdigit() else f"${{{match[1]}}}"


def pattern(text: str) -> str:
    """A text as one word, where nginx takes it as it stands: patterns, paths, names."""
    return text if _BARE.fullmatch(text) else f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(c, c) for c in text)


def block(head: str, lines: Iterable[str]) -> list[str]:
    """A block with its lines one step further in."""
    return [f"{head} {{", *indented(lines), "}"]


def indented(lines: Iterable[str]) -> list[str]:
    """Lines one step further in, the empty ones left empty."""
    return [f"    {line}" if line else "" for line in lines]
