"""Heads for the client where its connection is ours: final, interim, and trailer sections."""

from __future__ import annotations

from email.utils import formatdate

from ..errors import UpstreamBroken
from ..protocol import fields as rules
from ..protocol.fields import HeaderList
from ..protocol.http1 import Fields

__all__ = ["interim_head", "last_head", "trailer_section"]

# RFC 9110, 6.5.1: what frames, routes, authenticates or controls a message is no trailer.
_NO_TRAILER = rules.HOP_BY_HOP | {
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "host",
    "location",
    "set-cookie",
    "vary",
    "www-authenticate",
}


def last_head(status: str, headers: HeaderList) -> bytes:
    """The bytes of a response head that is the last on its connection.

    :param status: code and reason.
    :raises UpstreamBroken: if a hook has put what no header may hold into one.
    """
    names = {name.lower() for name, _ in headers}
    if "date" not in names:  # RFC 9110, 6.6.1
        headers = [*headers, ("Date", formatdate(usegmt=True))]
    return _head(status, [*headers, ("Connection", "close")])


def interim_head(status: str, headers: HeaderList) -> bytes:
    """The bytes of an interim response, such as 103 (RFC 9110, 15.2; RFC 8297)."""
    # RFC 9110, 8.6: no Content-Length in a 1xx.
    return _head(status, [pair for pair in headers if pair[0].lower() != "content-length"])


def trailer_section(trailers: Fields) -> bytes:
    """The trailer fields that may be passed on, each with its line end (RFC 9112, 7.1.2)."""
    lines = [f"{name}: {value}\r\n" for name, value in trailers if name.lower() not in _NO_TRAILER]
    return "".join(lines).encode("latin-1")


def _head(status: str, headers: HeaderList) -> bytes:
    lines = [f"{name}: {value}" for name, value in headers]
    if not all(map(rules.is_safe_value, [status, *lines])):
        raise UpstreamBroken("a header holds a control character", stage="head")
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")
