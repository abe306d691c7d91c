"""The Caddyfile's grammar: words, blocks, placeholders that are meant and that are not."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["block", "fixed", "pattern", "replacement", "word"]

_BARE = re.compile(r"[A-Za-z0-9_./:@+*-]+")


def word(text: str) -> str:
    """A text as one word, placeholders in it still meant.

    Within double quotes a quote alone needs a backslash; a backslash in front of one or at the
    end would be taken for that.
    """
    if _BARE.fullmatch(text):
        return text
    if "`" not in text and ("\\" in text or '"' in text):
        return f"`{text}`"
    assert not re.search(r'\\("|$)', text), "no text with all of these is ever written"
    return '"' + text.replace('"', '\\"') + '"'


def fixed(text: str) -> str:
    """A text in which no brace begins a placeholder."""
    return text.replace("{", "\\{").replace("}", "\\}")


def pattern(text: str) -> str:
    """A regular expression as one word; those of ours hold neither quotes nor braces."""
    return word(text)


def replacement(text: str) -> str:
    """A text in front of a group in a replacement, where a dollar sign begins a group."""
    return fixed(text.replace("$", "$$"))


def block(head: str, lines: Iterable[str]) -> list[str]:
    """A block with its lines indented."""
    return [f"{head} {{", *(f"\t{line}" if line else "" for line in lines), "}"]
