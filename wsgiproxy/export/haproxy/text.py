"""HAProxy's grammar: words, log-formats, and the replacements of its regular expressions."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..patterns import Rewrite

__all__ = ["formatted", "replaced", "replacement", "section", "word"]

_BARE = re.compile(r"[A-Za-z0-9_./:@-]+")


def word(text: str) -> str:
    """A text as one word. Within single quotes nothing but their end means anything."""
    return text if _BARE.fullmatch(text) else "'" + text.replace("'", "'\\''") + "'"


def formatted(text: str) -> str:
    """A text in a log-format, where a percent sign begins an expression."""
    return text.replace("%", "%%")


def replacement(text: str) -> str:
    """A text in the replacement of a regular expression, which is a log-format too."""
    return formatted(text.replace("\\", "\\\\"))


def replaced(direction: str, field: str, rule: Rewrite) -> str:
    """The line that lets a step work on a header field."""
    after = replacement(rule.before) + ("\\1" if rule.has_group else "")
    return f"http-{direction} replace-header {field} {word(rule.pattern)} {word(after)}"


def section(head: str, lines: Iterable[str]) -> list[str]:
    """A section with its lines indented and an empty line behind it."""
    return [head, *(f"    {line}" for line in lines), ""]
