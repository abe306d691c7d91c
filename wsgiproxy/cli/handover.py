"""The words ``export`` and ``import``: the routes in the language of another server, and back.

::

    python -m wsgiproxy export nginx --config proxy.toml > /etc/nginx/conf.d/wsgiproxy.conf
    python -m wsgiproxy import /etc/nginx/nginx.conf > proxy.toml
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..errors import ConfigurationError
from ..export import TARGETS, Address, Site, export, read_address
from . import command
from .document import Config, merge, read_toml

__all__ = ["WORDS", "main"]

#: What the first argument may be instead of a route.
WORDS = ("export", "import")
_CLUSTER = ("kubernetes", "ingress")
_TO = (
    "where this proxy listens from now on (default: where it listens by its settings; "
    "127.0.0.1:8080 if the new server takes that port; in Kubernetes the Service wsgiproxy:8080)"
)
_AT = "where the new server listens (default: 0.0.0.0:80)"
_WITHOUT = (
    "hand routes over although this gets lost: an option, or what a comment names, such as "
    "location or cookies; may be given several times"
)


def main(arguments: Sequence[str]) -> int:
    """Run one of the two words.

    :param arguments: the word and what follows it.
    :returns: the exit status: 0, or 2 for what cannot work.
    """
    try:
        return _RUN[arguments[0]](arguments[1:])
    except ConfigurationError as error:
        text = command.hide_secrets(" ".join(str(error).split()))
        print(f"wsgiproxy {arguments[0]}: {text}", file=sys.stderr)
        return 2


def _export(arguments: Sequence[str]) -> int:
    made = command.parser()
    made.prog, made.usage = "wsgiproxy export", "wsgiproxy export TARGET [options] [PREFIX=URL ...]"
    made.description = f"Write the routes for another server: {', '.join(TARGETS)}."
    made.add_argument("--to", metavar="HOST:PORT", help=_TO)
    made.add_argument("--at", metavar="HOST:PORT", help=_AT)
    made.add_argument("--without", metavar="NAME", action="append", default=[], help=_WITHOUT)
    target, rest = _target(arguments)
    given, unknown = made.parse_known_intermixed_args(rest)
    if unknown:
        made.unknown(unknown[0])
    if target is None:
        raise ConfigurationError(f"no target given; write one of {', '.join(TARGETS)}")
    config = _config(given)
    written = export(target, _site(config, given, target), given.without)
    print(written.text, end="")
    for line in (*written.warnings, *_server_warnings(config)):
        print(f"wsgiproxy export: {command.hide_secrets(line)}", file=sys.stderr)
    return 0


def _target(arguments: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    if arguments and not arguments[0].startswith("-"):
        return arguments[0], arguments[1:]
    return None, arguments


def _config(given: argparse.Namespace) -> Config:
    base = read_toml(given.config) if given.config else {}
    document = merge(base, command.document_of(given))
    config = Config.read(document, given.config or "the command line")
    if not config.routes:
        raise ConfigurationError("no route given; write /new_req=http://localhost:9999")
    return config


def _site(config: Config, given: argparse.Namespace, target: str) -> Site:
    at = read_address(given.at or "0.0.0.0:80", "--at")
    listener = config.server.listen[0]
    host = "127.0.0.1" if listener.host in ("0.0.0.0", "::", "") else listener.host  # noqa: S104
    if given.to:
        to = read_address(given.to, "--to")
    elif target in _CLUSTER:
        to = Address("wsgiproxy", 8080)
    else:
        is_taken = listener.port in (0, at.port)
        to = Address("127.0.0.1", 8080) if is_taken else Address(host, listener.port)
    return Site.of(config.routes, at, to, bool(config.theme))


def _server_warnings(config: Config) -> list[str]:
    """Options of the server in front, which this proxy goes on to have and the new one has not."""
    table = type(config.server).table()
    changed = [n for n, row in table.items() if getattr(config.server, n) != row.default]
    return [
        f"the server's option {name} holds for this proxy only; see the new server's own"
        for name in changed
        if name != "listen"
    ]


def _import(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise ConfigurationError("name one file; write: wsgiproxy import /etc/nginx/nginx.conf")
    from ..export.nginx_import import read_nginx

    found = read_nginx(arguments[0])
    print(found.text, end="")
    for line in found.warnings:
        print(f"wsgiproxy import: {line}", file=sys.stderr)
    return 0


_RUN = {"export": _export, "import": _import}
