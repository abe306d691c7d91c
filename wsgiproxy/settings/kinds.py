"""Kinds of option values: how a Python value, a TOML value or a string is read."""

from __future__ import annotations

import importlib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from ..protocol.fields import TOKEN
from .options import Kind

__all__ = [
    "BOOLEAN",
    "COUNT",
    "FIELD_NAMES",
    "HEADER_CHANGES",
    "HOOK",
    "NAMES",
    "NETWORKS",
    "SECONDS",
    "SIZE",
    "TEXT",
    "choice",
    "import_object",
    "is_none",
    "is_true",
]

_TRUE = frozenset(("true", "yes", "on", "y", "t", "1"))
_FALSE = frozenset(("false", "no", "off", "n", "f", "0"))
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SIZE = re.compile(r"([0-9]+)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)


def is_true(value: Any) -> bool:
    """Whether a value says yes, as a boolean or in one of the usual words."""
    return value is True or (isinstance(value, str) and value.strip().lower() in _TRUE)


def is_none(value: Any) -> bool:
    """Whether a value says that there is none: ``None``, nothing, or the word."""
    return value is None or (isinstance(value, str) and value.strip().lower() in ("", "none"))


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if is_true(value):
        return True
    if str(value).strip().lower() in _FALSE:
        return False
    raise ValueError(f"{value!r} is neither true nor false; write one of the two")


def _seconds(value: Any) -> float | None:
    if is_none(value):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not 0 < number < float("inf"):
        raise ValueError(f"{value!r} is no number of seconds above zero; write 30 or 2.5")
    return number


def _size(value: Any) -> int | None:
    if is_none(value):
        return None
    match = _SIZE.fullmatch(str(value).strip())
    if match is None or isinstance(value, bool):
        raise ValueError(f"{value!r} is no number of bytes; write 1048576 or 1M")
    return int(match[1]) * _UNITS[match[2].lower()]


def _count(value: Any) -> int | None:
    if is_none(value):
        return None
    text = str(value).strip()
    if isinstance(value, bool) or not text.isascii() or not text.isdigit():
        raise ValueError(f"{value!r} is no whole number; write 0 or more")
    return int(text)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"{value!r} is no string; put it in quotes")


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if not isinstance(value, Iterable) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{value!r} is no list of names; write them with spaces between")
    return tuple(value)


def _field_names(value: Any) -> tuple[str, ...]:
    """Header names, to be compared: lower-cased."""
    names = _names(value)
    for name in names:
        if not TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is no header name; use letters, digits and dashes")
    return tuple(name.lower() for name in names)


def _networks(value: Any) -> tuple[Any, ...]:
    try:
        return tuple(ipaddress.ip_network(str(item), strict=False) for item in _names(value))
    except ValueError:
        raise ValueError(
            f"{value!r} is no list of addresses; write for example 10.0.0.0/8 127.0.0.1"
        ) from None


def _header_changes(value: Any) -> tuple[tuple[str, str | None], ...]:
    """Headers to set (a value) or to remove (``None`` or nothing)."""
    if isinstance(value, str):
        lines = [line for line in value.splitlines() if line.strip()]
        if not all(":" in line for line in lines):
            raise ValueError(f"{value!r} has a line without a colon; write 'Name: value'")
        value = dict(line.split(":", 1) for line in lines)
    pairs = value.items() if isinstance(value, Mapping) else value
    return tuple(_header_change(name, content) for name, content in pairs)


def _header_change(name: str, content: str | None) -> tuple[str, str | None]:
    name = name.strip()
    content = content.strip() if content else None
    if not TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is no header name; use letters, digits and dashes")
    if content and re.search(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]", content):
        raise ValueError(f"the value of {name} holds characters that no header may carry")
    return name, content


def _hook(value: Any) -> Callable[..., Any] | None:
    """A callable, or where to import one: ``package.module:name``."""
    if value is None:
        return None
    found = value if callable(value) else import_object(str(value), callable, "callable")
    return cast("Callable[..., Any]", found)


def import_object(path: str, accept: Callable[[Any], bool], what: str) -> Any:
    """The object that ``package.module:name`` stands for.

    :raises ValueError: if the module or the name is missing, or is no ``what``.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise ValueError(f"{path!r} names no {what}; write package.module:name")
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{path!r} cannot be imported ({error}); check the name") from None
    if not accept(found):
        raise ValueError(f"{path!r} is no {what}; name one that is")
    return found


def choice(*words: str) -> Kind:
    """One of a few words."""

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"{value!r} is unknown; write one of {', '.join(words)}")
        return str(value)

    return Kind(" or ".join(words), read)


BOOLEAN = Kind("true or false", _boolean)
SECONDS = Kind("seconds", _seconds)
SIZE = Kind("bytes", _size)
COUNT = Kind("number", _count)
TEXT = Kind("text", _text)
NAMES = Kind("names", _names)
FIELD_NAMES = Kind("header names", _field_names)
NETWORKS = Kind("addresses", _networks)
HEADER_CHANGES = Kind("headers", _header_changes)
HOOK = Kind("module:name", _hook)
