"""TOML, as much as a file of settings needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["key", "line", "value"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def value(given: Any) -> str:
    """A text, number, truth value, list or table on one line."""
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, (int, float)):
        return f"{given:g}" if isinstance(given, float) else str(given)
    if isinstance(given, Mapping):
        return "{ " + ", ".join(line(name, item) for name, item in given.items()) + " }"
    if isinstance(given, Iterable) and not isinstance(given, str):
        return "[" + ", ".join(map(value, given)) + "]"
    # JSON's strings are TOML's, but for one control character.
    return json.dumps(given, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    """A key, in quotes where it needs them."""
    return name if _BARE.fullmatch(name) else value(name)


def line(name: str, given: Any) -> str:
    """``key = value``."""
    return f"{key(name)} = {value(given)}"
