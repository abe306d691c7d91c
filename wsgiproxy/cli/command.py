"""The command line: ``python -m wsgiproxy`` and ``wsgiproxy``."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import logging
import re
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from .. import __version__
from ..errors import ConfigurationError
from ..middleware import ProxyMiddleware
from ..routing.route import Route
from ..settings import kinds
from ..settings.options import Kind, Options
from . import demo
from . import serve as server
from .document import Config, Document, load_application, merge, parse_route, read_toml
from .serve import ServerOptions

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["document_of", "hide_secrets", "main", "parser"]

_DESCRIPTION = """\
Bring HTTP services that run on other ports under prefixes of one address.

  wsgiproxy /new_req=http://localhost:9999
      http://127.0.0.1:8080/new_req/ now shows what http://localhost:9999/ shows
  wsgiproxy --listen 0.0.0.0:80 --app mysite.wsgi:application /new_req=http://localhost:9999
      the same for everybody, beside your own WSGI application
  wsgiproxy "/api=http://10.0.0.1:8000 http://10.0.0.2:8000" /=http://localhost:3000
      two servers that take turns, and another service for all the rest
  wsgiproxy --config proxy.toml
      all of it from a file
  wsgiproxy --demo
      try it: a small application, and the files of this folder under a prefix
"""

_EPILOG = """\
A TOML file has the options under the same names, with _ for -:

  app = "mysite.wsgi:application"
  [server]
  listen = ["0.0.0.0:80"]
  [defaults]                                  # for every route
  read_timeout = 30
  [routes]
  "/new_req" = "http://localhost:9999"
  [routes."/api"]                             # a route with options of its own
  upstream = ["http://10.0.0.1:8000", "http://10.0.0.2:8000"]
  strip_prefix = false

What stands on the command line wins over the file. Exit status: 0 after SIGTERM, 130
after Ctrl-C, 2 if something given cannot work.
"""

_ROUTE_HELP = (
    "proxy requests below PREFIX to URL: http://host[:port][/base], https://... or "
    "unix:/path/to/socket; several URLs of servers that answer alike stand in quotes, with "
    "spaces between; a URL alone takes every request"
)
_USERINFO = re.compile(r"//\S*@")


class _Parser(argparse.ArgumentParser):
    """Its errors are one line with the remedy."""

    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(f"{message}; see {self.prog} --help")

    def unknown(self, argument: str) -> NoReturn:
        """Refuse an argument that is no option, with the nearest one that is."""
        name = argument.partition("=")[0]
        near = difflib.get_close_matches(name, self._option_string_actions, 1)
        remedy = f"did you mean {near[0]}?" if near else f"see {self.prog} --help"
        raise ConfigurationError(f"unknown option {name}; {remedy}")


def parser() -> _Parser:
    """The command line, its route and server options made from their tables."""
    made = _Parser(
        prog="wsgiproxy",
        usage="wsgiproxy [options] [PREFIX=URL ...]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("routes", nargs="*", metavar="PREFIX=URL", help=_ROUTE_HELP)
    made.add_argument(
        "--app", metavar="MODULE:CALLABLE", help="your WSGI application, for the rest"
    )
    made.add_argument("--config", metavar="FILE", help="read settings from this TOML file")
    made.add_argument("--demo", action="store_true", help="serve a small example; try this first")
    made.add_argument("--verbose", action="store_true", help="log a line for every request")
    made.add_argument("--version", action="version", version=f"wsgiproxy {__version__}")
    _add_table(made.add_argument_group("the server"), ServerOptions)
    _add_table(made.add_argument_group("every route on the command line or in the file"), Route)
    return made


def _add_table(group: Any, settings_class: type[Options]) -> None:
    older = {new: old for old, new in settings_class.aliases.items()}
    for name, field in settings_class.table().items():
        flags = ["--" + flag.replace("_", "-") for flag in (name, older.get(name)) if flag]
        kind: Kind = field.kind
        default = default_text(field.default)
        text = field.help + (f" (default: {default})" if default else "")
        settings: dict[str, Any] = {"dest": name, "default": None, "help": text.replace("%", "%%")}
        if kind is kinds.BOOLEAN:
            group.add_argument(*flags, action=argparse.BooleanOptionalAction, **settings)
            continue
        # What holds several may be given several times, as lines of a file would be.
        action = "append" if isinstance(field.default, tuple) else "store"
        metavar = "VALUE" if " " in kind.name else kind.name.upper()
        group.add_argument(*flags, metavar=metavar, action=action, **settings)


def default_text(value: Any) -> str:
    """An option's default as people write it; nothing where there is none."""
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    :return: the exit status: 0, 130 after Ctrl-C, 2 for settings that cannot work.
    """
    try:
        return _run(parser(), sys.argv[1:] if arguments is None else arguments)
    except ConfigurationError as error:
        print(f"wsgiproxy: {hide_secrets(' '.join(str(error).split()))}", file=sys.stderr)
        return 2


def hide_secrets(text: str) -> str:
    """The text without the user and password that a URL in it may hold."""
    return _USERINFO.sub("//...@", text)


def _run(made: _Parser, arguments: Sequence[str]) -> int:
    given, unknown = made.parse_known_intermixed_args(arguments)
    if unknown:
        made.unknown(unknown[0])
    logging.basicConfig(
        level=logging.DEBUG if given.verbose else logging.WARNING,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
    )
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    document = document_of(given)
    with server.stopping() as stopped, contextlib.ExitStack() as stack:
        if given.demo:
            url = stack.enter_context(demo.file_server())
            document["routes"].setdefault(demo.PREFIX, url)
        base = read_toml(given.config) if given.config else {}
        config = Config.read(merge(base, document), given.config or "the command line")
        if not config.routes:
            raise ConfigurationError(
                "no route given; write /new_req=http://localhost:9999, or try --demo"
            )
        _serve(config, given.demo)
    # SIGTERM is how a service is asked to stop, so that is a success.
    return 130 if stopped[:1] == [signal.SIGINT] else 0


def document_of(given: argparse.Namespace) -> Document:
    """What stands on the command line, in the shape of a configuration file."""
    document: Document = {"routes": {}}
    for section, table in (("server", ServerOptions.table()), ("defaults", Route.table())):
        values = {name: getattr(given, name) for name in table}
        document[section] = {
            name: "\n".join(value) if isinstance(value, list) else value
            for name, value in values.items()
            if value is not None
        }
    if given.app:
        document["app"] = given.app
    for text in given.routes:
        prefix, route = _route(text)
        if prefix in document["routes"]:
            raise ConfigurationError(f"two routes for prefix {prefix!r}; leave one out")
        document["routes"][prefix] = route
    return document


def _route(text: str) -> tuple[str, Document]:
    """``PREFIX=URL``, or a URL that takes every request."""
    if text.startswith(("http://", "https://", "unix:")):
        text = f"/={text}"
    prefix, equals, urls = text.partition("=")
    if not equals or not prefix.startswith("/"):
        raise ConfigurationError(
            f"{text!r} is no route; write PREFIX=URL, such as /new_req=http://localhost:9999"
        )
    return prefix, parse_route(urls, prefix)


def _serve(config: Config, is_demo: bool) -> None:
    application: WSGIApplication = demo.application if is_demo else server.not_found
    if config.app:
        application = load_application(config.app)
    application = wrap(application, config)
    sockets = _sockets(config.server, is_demo)
    for line in _started(config, [server.shown(sock) for sock in sockets], is_demo):
        print(hide_secrets(line), flush=True)
    return server.serve(application, sockets, config.server, keep_forwarded=config.believes_proxies)


def wrap(application: WSGIApplication, config: Config) -> WSGIApplication:
    """The application with the proxy around it, and the theme around both."""
    wrapped: WSGIApplication = ProxyMiddleware(application, config.routes)
    if config.theme:
        from ..theming import ThemeMiddleware

        wrapped = ThemeMiddleware(wrapped, **config.theme)
    return wrapped


def _sockets(settings: ServerOptions, is_demo: bool) -> list[Any]:
    try:
        return server.open_sockets(settings.listen)
    except ConfigurationError:
        if not is_demo or settings.listen != ServerOptions().listen:
            raise
        return server.open_sockets([server.Listener("127.0.0.1", 0)])  # any port serves a demo


def _started(config: Config, addresses: list[str], is_demo: bool) -> Iterable[str]:
    yield f"Listening on {' '.join(addresses)}"
    width = max(len(_named(prefix, route)) for prefix, route in config.routes)
    for prefix, route in config.routes:
        yield f"    {_named(prefix, route):{width}}  ->  {' '.join(route.upstream.urls)}"
    if not any(prefix == "/" for prefix, _ in config.routes):
        yield f"    {'all else':{width}}  ->  {config.app or _stand_in(is_demo)}"
    if is_demo:
        first = addresses[0].rstrip("/")
        yield f"Open {first}/ for the application, {first}{demo.PREFIX}/ for the other service."
    yield "Stop with Ctrl-C."


def _stand_in(is_demo: bool) -> str:
    return "a small application of this demo" if is_demo else "404 Not Found"


def _named(prefix: str, route: Route) -> str:
    return f"{route.host_match or ''}{prefix}"
