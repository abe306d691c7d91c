"""Settings from a TOML file, an ini section and the command line, read by one schema.

Every source becomes the same plain *document*, and a document becomes routes::

    app = "mysite.wsgi:application"         # what answers everything else
    [server]                                # ServerOptions
    [defaults]                              # Route's options, for every route
    [routes]                                # prefix = URL, or URLs, or a table, or tables
    "/new_req" = "http://localhost:9999"
    [routes."/api"]
    upstream = ["http://10.0.0.1:8000", "http://10.0.0.2:8000"]
    strip_prefix = false
    [theme]                                 # ThemeMiddleware's options

So an option has the same name, type and default wherever it is written.
"""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ..routing.route import Route
from ..settings.kinds import import_object
from ..settings.options import check_names
from .serve import ServerOptions

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["Config", "from_strings", "load_application", "merge", "parse_route", "read_toml"]

Document = dict[str, Any]

_SECTIONS = {"app": str, "server": dict, "defaults": dict, "routes": dict, "theme": dict}
#: Options that name files; in a TOML file they are taken from that file's folder.
_ROUTE_FILES = ("ca", "client_cert", "client_key")
_THEME_FILES = ("rules", "theme")
#: What may stand for a file and is none: a URL, ``module:name``, or the text itself.
_NO_PATH = re.compile(r"\s*<|.*://|[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
_OPTION_LINE = re.compile(r"([A-Za-z_]\w*)\s*=\s*(.*)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Config:
    """What a document says, checked.

    :ivar routes: prefix and route, in the order written; a prefix may stand more than once,
        with routes that differ in ``host_match``.
    :ivar app: ``module:callable`` of the wrapped application, or nothing.
    """

    routes: tuple[tuple[str, Route], ...]
    server: ServerOptions
    app: str = ""
    theme: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def read(cls, document: Document, where: str) -> Config:
        """Check a document.

        :param where: what it came from, for messages.
        :raises ConfigurationError: for the first thing in it that cannot work.
        """
        _check_sections(document, where)
        server = document.get("server", {})
        defaults = document.get("defaults", {})
        check_names(server, ServerOptions.names(), f"{where}, section server")
        check_names(defaults, Route.names(), f"{where}, section defaults")
        return cls(
            tuple(_routes(document.get("routes", {}), defaults, where)),
            ServerOptions(**server),
            document.get("app", ""),
            document.get("theme", {}),
        )

    @property
    def believes_proxies(self) -> bool:
        """Whether any route believes what some clients say in ``X-Forwarded-*``."""
        return any(route.trusted_proxies for _, route in self.routes)


def _check_sections(document: Document, where: str) -> None:
    check_names(document, _SECTIONS, where)
    for name, kind in _SECTIONS.items():
        if not isinstance(document.get(name, kind()), kind):
            shape = f'{name} = "module:callable"' if kind is str else f"a section [{name}]"
            raise ConfigurationError(f"{where}: {name} has the wrong shape; write {shape}")


def _routes(
    given: Mapping[str, Any], defaults: Mapping[str, Any], where: str
) -> Iterator[tuple[str, Route]]:
    for prefix, value in given.items():
        is_several = isinstance(value, list) and value and isinstance(value[0], dict)
        for one in value if is_several else [value]:
            yield prefix, _route(prefix, one, defaults, where)


def _route(prefix: str, value: Any, defaults: Mapping[str, Any], where: str) -> Route:
    """A route from a URL, from several, or from a table with ``upstream`` in it."""
    place = f"{where}, route {prefix}"
    table = dict(value) if isinstance(value, Mapping) else {"upstream": value}
    check_names(table, {"upstream", *Route.names()}, place)
    upstream = table.pop("upstream", None)
    urls = upstream.split() if isinstance(upstream, str) else upstream
    if not urls or not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise ConfigurationError(f'{place}: it has no upstream; write "http://localhost:9999"')
    try:
        return Route(upstream=urls, **{**defaults, **table})
    except ConfigurationError as error:
        raise ConfigurationError(f"{place}: {error}") from None


def merge(base: Document, over: Document) -> Document:
    """Both documents; where both have a value, that of ``over`` holds.

    :raises ConfigurationError: for a prefix that stands in both.
    """
    merged = dict(base)
    for name, value in over.items():
        if name == "routes":
            for prefix in value:
                if prefix in base.get(name, {}):
                    raise ConfigurationError(
                        f"two routes for prefix {prefix!r}, one in the file and one on the "
                        "command line; leave one out"
                    )
        merged[name] = {**base.get(name, {}), **value} if isinstance(value, dict) else value
    return merged


# -- TOML ----------------------------------------------------------------------


def read_toml(path: str) -> Document:
    """The document in a TOML file.

    :raises ConfigurationError: if it cannot be read.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; check the name") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}; this is no valid TOML") from None
    _anchor_files(document, os.path.dirname(path))
    return document


def _anchor_files(document: Document, folder: str) -> None:
    """Take the names of files from the folder of the document."""
    tables = [document.get("defaults")]
    routes = document.get("routes")
    for value in routes.values() if isinstance(routes, dict) else ():
        tables.extend(value if isinstance(value, list) else [value])
    for table in tables:
        _anchor(table, _ROUTE_FILES, folder)
    _anchor(document.get("theme"), _THEME_FILES, folder)


def _anchor(table: Any, names: tuple[str, ...], folder: str) -> None:
    for name in names:
        value = table.get(name) if isinstance(table, dict) else None
        if isinstance(value, str) and not _NO_PATH.match(value):
            table[name] = os.path.join(folder, value)


# -- strings -------------------------------------------------------------------


def from_strings(settings: Mapping[str, str]) -> Document:
    """The document in an ini section: keys that begin with ``/`` are routes.

    Every other key is an option for all of them. A route's own options stand below its
    URL, one a line::

        read_timeout = 30
        /new_req = http://localhost:9999
        /api =
            http://10.0.0.1:8000 http://10.0.0.2:8000
            strip_prefix = false
    """
    routes = {key: parse_route(value, key) for key, value in settings.items() if key[:1] == "/"}
    defaults = {key: value for key, value in settings.items() if key not in routes}
    return {"defaults": defaults, "routes": routes}


def parse_route(text: str, prefix: str) -> Document:
    """A route's table from lines of URLs and ``name = value``."""
    table: Document = {"upstream": []}
    for line in filter(None, map(str.strip, text.splitlines())):
        option = _OPTION_LINE.fullmatch(line)
        if option is None:
            table["upstream"] += line.split()
            continue
        name, value = option.groups()
        check_names([name], Route.names(), f"route {prefix}")
        # What has several lines, such as headers, names the option in each of them.
        table[name] = f"{table[name]}\n{value}" if name in table else value
    return table


def load_application(path: str) -> WSGIApplication:
    """The application that ``module:callable`` names; the current folder is searched too.

    :raises ConfigurationError: if there is none, or its module fails when imported.
    """
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        application: WSGIApplication = import_object(path, callable, "WSGI application")
    except ValueError as error:
        raise ConfigurationError(f"app {error}") from None
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise ConfigurationError(
            f"app {path!r}: importing it raised {type(error).__name__}: {error} "
            f"({place.filename}, line {place.lineno}); import it in Python to see more"
        ) from error
    return application
