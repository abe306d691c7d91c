"""Kinds of option values that tell who the user is and who may pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..protocol.fields import HOP_BY_HOP, TOKEN
from ..protocol.hosts import Pattern, read_pattern
from .kinds import import_object, is_none, is_true

__all__ = [
    "Resolver",
    "read_auth",
    "read_field_name",
    "read_field_names",
    "read_hosts",
    "read_resolver",
    "read_resolvers",
]

#: Takes a copy of the environ; the user's name, or a list of names, or ``None``.
Resolver = Callable[[dict[str, Any]], Any]

_KEY = re.compile(r"[A-Za-z_][\w.\-]*")
# Their value is the message's own matter.
_RESERVED = HOP_BY_HOP | {"host", "content-length", "content-type", "via"}


def _is_nobody(value: Any) -> bool:
    return value is False or is_none(value) or str(value).strip().lower() == "false"


def read_resolver(value: Any) -> Resolver | str | None:
    """``True`` for ``REMOTE_USER``, an environ key, a callable, or ``module:name``."""
    if _is_nobody(value):
        return None
    if is_true(value):
        return "REMOTE_USER"
    if callable(value):
        return value  # type: ignore[no-any-return]  # callable() narrows to an Any
    text = str(value).strip()
    if ":" in text:
        found: Resolver = import_object(text, callable, "callable")
        return found
    if not isinstance(value, str) or not _KEY.fullmatch(text):
        raise ValueError(f"{value!r} names no user; write true, REMOTE_USER or module:name")
    if text.upper().startswith("HTTP_"):
        raise ValueError(f"{text} is what the client says; name a key that the server sets")
    return text


def read_field_name(value: Any) -> str:
    """A header name that may tell who the user is."""
    name = str(value).strip()
    if not TOKEN.fullmatch(name):
        raise ValueError(f"{value!r} is no header name; write one such as Remote-User")
    if name.lower().replace("_", "-") in _RESERVED:
        raise ValueError(f"{name} has a meaning of its own; write one such as Remote-User")
    return name


def read_field_names(value: Any) -> tuple[str, ...]:
    """Header names, in a list or with spaces or commas between."""
    names = value.replace(",", " ").split() if isinstance(value, str) else value
    return tuple(read_field_name(name) for name in names)


def read_resolvers(value: Any) -> tuple[tuple[str, Resolver | str], ...]:
    """Field names and resolvers: a mapping, pairs, or lines of ``Name: key``."""
    if isinstance(value, str):
        lines = [line for line in value.splitlines() if line.strip()]
        if not all(":" in line for line in lines):
            raise ValueError(f"{value!r} has a line without a colon; write 'Name: KEY'")
        value = [line.split(":", 1) for line in lines]
    pairs = value.items() if isinstance(value, Mapping) else value
    read = [(read_field_name(name), read_resolver(resolver)) for name, resolver in pairs]
    return tuple((name, resolver) for name, resolver in read if resolver is not None)


def read_auth(value: Any) -> str | bool | Callable[..., Any] | None:
    """``True``, a path of the wrapped application, a callable, or ``module:name``."""
    if _is_nobody(value):
        return None
    if is_true(value):
        return True
    if callable(value):
        return value  # type: ignore[no-any-return]  # callable() narrows to an Any
    text = str(value).strip()
    if text.startswith("/"):
        if re.search(r"^//|[\x00-\x20\x7f#\\]|[^\x00-\x7f]", text):
            raise ValueError(f"{value!r} is no encoded path; write one such as /auth/check")
        return text
    found: Callable[..., Any] = import_object(text, callable, "callable")
    return found


def read_hosts(value: Any) -> tuple[Pattern, ...] | None:
    """Hosts that are ours, in a list or with spaces or commas between; ``None`` if not told."""
    if value is None:
        return None
    names = value.replace(",", " ").split() if isinstance(value, str) else list(value)
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{value!r} is no list of hosts; write them with spaces between")
    return tuple(read_pattern(name) for name in names)
