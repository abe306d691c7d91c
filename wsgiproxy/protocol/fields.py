"""Rules about header fields, as functions from values to values.

Nothing here knows of WSGI servers, sockets or routes; headers are strings as PEP 3333
has them, one character for each byte.
"""

from __future__ import annotations

import re

__all__ = [
    "HOP_BY_HOP",
    "LITERAL",
    "TOKEN",
    "HeaderList",
    "connection_options",
    "environ_key",
    "fold_name",
    "is_safe_value",
    "join_name",
    "wire_name",
]

#: Names and values in the order of the wire; repeats survive.
HeaderList = list[tuple[str, str]]

#: Fields that concern one connection and end at a proxy (RFC 9110, 7.6.1, and those that
#: older software takes for such), with two more that a proxy answers for itself:
#: ``Expect`` (RFC 9110, 10.1.1) and the settings of an h2c upgrade (RFC 9113, 3.1).
HOP_BY_HOP = frozenset(
    (
        "connection",
        "expect",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    )
)

#: What begins the environ key of a field whose name goes over the wire letter by letter, as
#: ``REMOTE_USER`` must for old services. No client can make such a key.
LITERAL = "wsgiproxy.field."

# Servers that (wrongly) take names literally know these by their customary spelling.
_SPELLINGS = {
    "DNT": "DNT",
    "SEC_WEBSOCKET_ACCEPT": "Sec-WebSocket-Accept",
    "SEC_WEBSOCKET_EXTENSIONS": "Sec-WebSocket-Extensions",
    "SEC_WEBSOCKET_KEY": "Sec-WebSocket-Key",
    "SEC_WEBSOCKET_PROTOCOL": "Sec-WebSocket-Protocol",
    "SEC_WEBSOCKET_VERSION": "Sec-WebSocket-Version",
}

#: RFC 9110, 5.6.2: what a field name, a method and many values are made of.
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
_SEPARATORS = re.compile(r"[^0-9A-Za-z]+")


def wire_name(key: str) -> str | None:
    """The header name that an environ key without ``HTTP_`` stands for.

    ``None`` for what cannot be a name. Dashes only: to most servers an underscore is the
    same, and that is how headers are forged (``Remote_User``).
    """
    name = _SPELLINGS.get(key) or key.replace("_", "-").title()
    return name if TOKEN.fullmatch(name) else None


def environ_key(name: str) -> str:
    """The environ key of a header name; the two that CGI has without ``HTTP_`` are those.

    :param name: with dashes or underscores, in any case.
    """
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key


def join_name(name: str) -> str:
    """A header name in capitals, without what is neither letter nor digit."""
    return _SEPARATORS.sub("", name).upper()


def fold_name(name: str) -> str:
    """A header name or environ key, without what spellings of one header may differ in.

    Servers and frameworks read ``-``, ``_``, ``.`` and whatever else is neither letter nor digit
    as one and the same: ``Remote-User``, ``remote__user``, ``Remote.User`` and
    ``HTTP_HTTP_REMOTE_USER`` are all ``REMOTEUSER``.
    """
    folded = join_name(name)
    while folded.startswith("HTTP") and folded != "HTTP":
        folded = folded[4:]
    return folded


def connection_options(value: str) -> set[str]:
    """The names that a ``Connection`` header lists, lower-cased."""
    return {option.strip(" \t").lower() for option in value.split(",")} - {""}


def is_safe_value(value: str) -> bool:
    """Whether a value may be written to the wire: no control but the tab, latin-1 only."""
    return not _UNSAFE.search(value)
