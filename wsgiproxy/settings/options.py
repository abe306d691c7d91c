"""One table of options for every way to give them.

A settings class derives from :class:`Options` and names its options with :func:`option`. Each
has its help text and its :class:`Kind`, which turns a Python value, a TOML value or a string from
an ini file or a command line into the value that is used. So the constructor, the
configuration file, paste.deploy and ``--help`` cannot disagree.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

from ..errors import ConfigurationError

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
        return getattr(importlib.import_module("wsgiproxy." + module), name)(value)

    return read


class Option(NamedTuple):
    """One row of a table of options."""

    default: Any
    kind: Kind
    help: str


def option(default: Any, kind: Kind, help: str) -> Any:
    """An option of a settings class: its value there has the type that ``kind`` reads."""
    return Option(default, kind, help)


class _Signature:
    """``inspect.signature`` of a settings class, made from its table when it is asked for."""

    def __get__(self, instance: object, owner: type[Options]) -> Any:
        import inspect  # imports of its own that nobody else needs

        parameters = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=row.default)
            for name, row in owner.table().items()
        ]
        return inspect.Signature([*owner.positional(), *parameters])


def _documented(named: tuple[str, Option]) -> str:
    name, row = named
    return f"\n    :param {name}: ({row.kind.name}) {row.help}."


class Options:
    """Base of the settings classes: keyword-only, read by their kinds, frozen.

    Not a dataclass: importing those takes as long as all of this package.

    :raises ConfigurationError: for an unknown option or a value that cannot work.
    """

    _table: ClassVar[dict[str, Option]] = {}
    #: Older names of options, which are still understood.
    aliases: ClassVar[Mapping[str, str]] = {}
    __signature__ = _Signature()

    def __init_subclass__(cls) -> None:
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Option)}
        cls._table = {**cls._table, **own}
        # So that help() shows what the signature cannot: what each option does.
        cls.__doc__ = (cls.__doc__ or "") + "".join(map(_documented, own.items()))

    def __init__(self, **given: Any) -> None:
        check_names(given, self.names(), type(self).__name__)
        given = {self.aliases.get(name, name): value for name, value in given.items()}
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

    @classmethod
    def positional(cls) -> list[Any]:
        """The parameters of the constructor that are no options, for its signature."""
        return []

    @classmethod
    def names(cls) -> Iterable[str]:
        """Every name that an option may be given by, older ones included."""
        return (*cls._table, *cls.aliases)


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
