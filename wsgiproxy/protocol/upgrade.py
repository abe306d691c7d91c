"""Upgrades: asking the upstream for another protocol, and checking that it is the one.

Pure functions on headers. The bytes of the new protocol are nobody's business here.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from ..errors import UpstreamBroken
from . import fields as rules
from .http1 import Head

__all__ = ["WEBSOCKET_GUID", "announce", "asked_for", "check", "switching_head"]

#: RFC 6455, 1.3: what the server's proof of understanding is made with.
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def asked_for(environ: Mapping[str, Any], allowed: Iterable[str]) -> str | None:
    """The protocol that the client asks for and the route allows, in the client's spelling.

    ``None`` if there is none: then ``Upgrade`` is dropped and the request is an ordinary one
    (RFC 9110, 7.8: a server MAY ignore it). So are requests with a body, whose end and the
    new protocol's begin would be one server's word, and those from HTTP/1.0.
    """
    upgrade = environ.get("HTTP_UPGRADE")
    if not upgrade or "upgrade" not in rules.connection_options(environ.get("HTTP_CONNECTION", "")):
        return None
    if environ.get("SERVER_PROTOCOL") != "HTTP/1.1" or _has_body(environ):
        return None
    names = {name.lower() for name in allowed}
    for token in upgrade.split(","):
        token = token.strip()
        if token.lower() in names and _is_well_formed(token, environ):
            return str(token)
    return None


def _has_body(environ: Mapping[str, Any]) -> bool:
    return environ.get("CONTENT_LENGTH") not in (None, "", "0") or (
        "HTTP_TRANSFER_ENCODING" in environ
    )


def _is_well_formed(token: str, environ: Mapping[str, Any]) -> bool:
    # RFC 6455, 4.1: the method MUST be GET. Its other demands are the upstream's to check.
    return token.lower() != "websocket" or environ["REQUEST_METHOD"] == "GET"


def announce(environ: MutableMapping[str, Any], protocol: str) -> None:
    """Put the two hop-by-hop headers back that ask for the protocol."""
    environ["HTTP_CONNECTION"] = "Upgrade"
    environ["HTTP_UPGRADE"] = protocol


def check(head: Head, environ: Mapping[str, Any], protocol: str) -> None:
    """See that a 101 answers what was asked.

    :param environ: of the request that was sent.
    :raises UpstreamBroken: if it switches to anything else (RFC 9110, 7.8), or is no proof
        that the upstream understood (RFC 6455, 4.1).
    """
    if _values(head, "upgrade") != [protocol.lower()]:
        raise _refuse(f"switched to {_values(head, 'upgrade')} when asked for {protocol}")
    if not head.minor or "upgrade" not in rules.connection_options(
        ",".join(_values(head, "connection"))
    ):
        raise _refuse("switched without saying Connection: Upgrade")
    if protocol.lower() == "websocket":
        _check_websocket(head, environ)


def _check_websocket(head: Head, environ: Mapping[str, Any]) -> None:
    key = environ.get("HTTP_SEC_WEBSOCKET_KEY", "").strip() + WEBSOCKET_GUID
    digest = hashlib.sha1(key.encode("latin-1"), usedforsecurity=False).digest()
    if _values(head, "sec-websocket-accept", str) != [base64.b64encode(digest).decode()]:
        raise _refuse("Sec-WebSocket-Accept does not fit the key")
    chosen = _values(head, "sec-websocket-protocol", str)
    offered = [p.strip() for p in environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(",")]
    if len(chosen) > 1 or (chosen and chosen[0] not in offered):
        raise _refuse(f"chose the subprotocol {chosen} of {offered}")


def _values(head: Head, wanted: str, case: Any = str.lower) -> list[str]:
    return [case(value.strip()) for name, value in head.headers if name.lower() == wanted]


def _refuse(message: str) -> UpstreamBroken:
    return UpstreamBroken(message, stage="head", error="http_upgrade_failed")


def switching_head(headers: Iterable[tuple[str, str]], protocol: str) -> bytes:
    """The 101 for the client, from headers that hop-by-hop ones have been dropped from."""
    lines = ["HTTP/1.1 101 Switching Protocols", f"Upgrade: {protocol}", "Connection: Upgrade"]
    # RFC 9110, 8.6: no Content-Length in a 1xx.
    lines += [f"{name}: {value}" for name, value in headers if name.lower() != "content-length"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
