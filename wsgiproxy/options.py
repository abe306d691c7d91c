"""One table of options for every way to give them.

A settings class derives from :class:`Options` and names its options with :func:`option`. Each
has its help text and its :class:`Kind`, which turns a Python value, a TOML value or a string from
an ini file or a command line into the value that is used. So the constructor, the
configuration file, paste.deploy and ``--help`` cannot disagree.
"""

from __future__ import annotations

import difflib
import importlib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple, cast

from .errors import ConfigurationError

__all__ = ["Kind", "Option", "Options", "check_names", "lazy", "option"]


class Kind(NamedTuple):
    """A kind of value: its name in help texts, and how it is read.

    ``read`` takes a Python value or a string and returns the value to use; it raises
    ``ValueError`` with a sentence that ends in the remedy.
    """

    name: str
    read: Callable[[Any], Any]


def lazy(module: str, name: str) -> Callable[[Any], Any]:
    """A ``read`` of one of our modules, imported once such an option is given."""

    def read(value: Any) -> Any:
        return getattr(importlib.import_module("." + module, __package__), name)(value)

    return read


class Option(NamedTuple):
    """One row of a table of options."""

    default: Any
    kind: Kind
    help: str


def option(default: Any, kind: Kind, help: str) -> Any:
    """An option of a settings class: its value there has the type that ``kind`` reads."""
    return Option(default, kind, help)


class Options:
    """Base of the settings classes: keyword-only, read by their kinds, frozen.

    Not a dataclass: importing those takes as long as all of this package.

    :raises ConfigurationError: for an unknown option or a value that cannot work.
    """

    _table: ClassVar[dict[str, Option]] = {}

    def __init_subclass__(cls) -> None:
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Option)}
        cls._table = {**cls._table, **own}

    def __init__(self, **given: Any) -> None:
        check_names(given, self._table, type(self).__name__)
        for name, row in self._table.items():
            value = given.get(name, row.default)
            self.__dict__[name] = value if value is row.default else _read(name, row, value)
        self.check()

    def check(self) -> None:
        """What a class has to say about its options together; raises ConfigurationError."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; make a new one with {name}=...")

    def __repr__(self) -> str:
        changed = (
            f"{name}={getattr(self, name)!r}"
            for name, row in self._table.items()
            if getattr(self, name) != row.default
        )
        return f"{type(self).__name__}({', '.join(changed)})"

    @classmethod
    def table(cls) -> Mapping[str, Option]:
        """The options by name, in the order they are documented."""
        return cls._table


def _read(name: str, row: Option, value: Any) -> Any:
    try:
        return row.kind.read(value)
    except ValueError as error:
        raise ConfigurationError(f"option {name}: {error}") from None


def check_names(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse names that no table has, with the nearest one that it has.

    :raises ConfigurationError: for the first unknown name.
    """
    known = sorted(known)
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            remedy = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}"
            raise ConfigurationError(f"{where}: unknown option {name!r}; {remedy}")


# -- kinds ---------------------------------------------------------------------

_TRUE = frozenset(("true", "yes", "on", "y", "t", "1"))
_FALSE = frozenset(("false", "no", "off", "n", "f", "0"))
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SIZE = re.compile(r"([0-9]+)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"{value!r} is neither true nor false; write one of the two")


def _seconds(value: Any) -> float | None:
    if value is None or str(value).strip().lower() in ("", "none"):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not 0 < number < float("inf"):
        raise ValueError(f"{value!r} is no number of seconds above zero; write 30 or 2.5")
    return number


def _size(value: Any) -> int | None:
    if value is None or str(value).strip().lower() in ("", "none"):
        return None
    match = _SIZE.fullmatch(str(value).strip())
    if match is None or isinstance(value, bool):
        raise ValueError(f"{value!r} is no number of bytes; write 1048576 or 1M")
    return int(match[1]) * _UNITS[match[2].lower()]


def _count(value: Any) -> int | None:
    if value is None or str(value).strip().lower() in ("", "none"):
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
    if not _TOKEN.fullmatch(name):
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
NETWORKS = Kind("addresses", _networks)
HEADER_CHANGES = Kind("headers", _header_changes)
HOOK = Kind("module:name", _hook)
