"""The request on its way to the upstream: target, head, and body with its framing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from webob import Request

from ..errors import BadRequest, BodyTooLarge, CodingUnsupported
from ..protocol import fields as rules
from ..protocol.request_target import encode_path, encode_query
from ..routing.router import Match
from ..upstream.connection import BLOCK
from .prepare import CODING

__all__ = ["SUPPRESS", "has_body", "read_body", "request_head", "target_of"]

#: The environ key by which a hook asks for no ``Content-Length: 0``, which some services refuse.
SUPPRESS = "wsgiproxy.suppress_empty_body"
#: Methods whose request without a body says so (RFC 9110, 8.6).
_WITH_BODY = frozenset(("POST", "PUT", "PATCH"))
_CONTROLS = bytes({*range(0x20), 0x7F} - {0x09})


def target_of(request: Request, match: Match, environ: Mapping[str, Any], base: str = "") -> str:
    """The request target: as the client spelt it, but for what a hook has changed.

    :param environ: the request as it came.
    :param base: the path that the server has in front of all others.
    """
    route = match.mount.route
    path, query = request.environ.get("PATH_INFO", ""), request.environ.get("QUERY_STRING", "")
    if route.strip_prefix:
        before, raw_path = match.path or "/", match.raw_path or "/"
    else:
        before, raw_path = environ.get("PATH_INFO", ""), match.prefix + match.raw_path
    if path != before:
        raw_path = encode_path(path)
    raw_query = match.query
    if query != environ.get("QUERY_STRING", ""):
        raw_query = encode_query(query)
    target = raw_path + raw_query
    if route.rewrites:
        from ..protocol.url_rules import rewritten

        target = rewritten(route.rewrites, target)
    return base + target


# Host comes first, and the framing is ours.
_WRITTEN_APART = frozenset(("HTTP_HOST", "HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"))


@lru_cache(64)
def _names(keys: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """``"Name: "`` and key of everything in an environ that is a header, once for each set."""
    named = ((_name(key), key) for key in keys if key not in _WRITTEN_APART)
    return tuple((f"{name}: ", key) for name, key in named if name)


def _name(key: str) -> str | None:
    if key.startswith("HTTP_"):
        return rules.wire_name(key[5:])
    if key.startswith(rules.LITERAL):
        return key[len(rules.LITERAL) :]
    return "Content-Type" if key == "CONTENT_TYPE" else None


def request_head(request: Request, target: str, framing: str) -> bytes:
    """The head of the clone, up to and with its empty line.

    :param target: see :func:`target_of`.
    :param framing: the header line that frames the body; empty for none.
    :raises BadRequest: for a method or a header that cannot go over the wire.
    """
    environ = request.environ
    method = environ["REQUEST_METHOD"]
    if not environ.get("CONTENT_TYPE", "-"):
        del environ["CONTENT_TYPE"]  # servers say so where there is none
    lines = [f"{method} {target} HTTP/1.1", f"Host: {environ['HTTP_HOST']}"]
    lines += [name + environ[key] for name, key in _names(tuple(environ))]
    if framing:
        lines.append(framing)
    lines.append("\r\n")
    try:
        head = "\r\n".join(lines).encode("latin-1")
    except UnicodeEncodeError:
        raise BadRequest("a header holds characters beyond latin-1") from None
    # Every control character but the tab, and the breaks that are ours, by their number.
    if len(head.translate(None, _CONTROLS)) != len(head) - 2 * len(lines):
        raise BadRequest("a header holds a control character")
    if not (method.isalpha() and method.isascii()) and not rules.TOKEN.fullmatch(method):
        raise BadRequest(f"{method!r} is no method")
    return head


def has_body(environ: Mapping[str, Any]) -> bool:
    """Whether a request says that a body follows its head (RFC 9112, 6.3)."""
    return environ.get("CONTENT_LENGTH") not in (None, "", "0") or bool(
        environ.get("HTTP_TRANSFER_ENCODING") or environ.get(CODING)
    )


def read_body(
    environ: Mapping[str, Any], max_body: int | None
) -> tuple[str, bytes | Iterator[bytes]]:
    """The framing header and the body: with the client's own framing (RFC 9112, 6).

    The body is bytes if it is at hand, and short; it can be sent again then. Else it is an
    iterator of pieces as they arrive.

    :param max_body: the largest body, in bytes, that is accepted.
    :raises BadRequest, CodingUnsupported, BodyTooLarge: as they say.
    """
    method = environ["REQUEST_METHOD"]
    length: str = environ.get("CONTENT_LENGTH") or ""
    if _is_chunked(environ):
        return "Transfer-Encoding: chunked", _chunks(environ["wsgi.input"], max_body)
    if not length or length == "0":
        is_told = method in _WITH_BODY and SUPPRESS not in environ
        return ("Content-Length: 0" if is_told else ""), b""
    if not (length.isascii() and length.isdigit()) or len(length) > 18:
        raise BadRequest(f"invalid Content-Length {length[:40]!r}")
    size = int(length)
    if max_body is not None and size > max_body:
        raise BodyTooLarge(f"a body of {size} bytes, over the limit of {max_body}")
    pieces = _pieces(_rewound(environ["wsgi.input"]), size)
    return f"Content-Length: {size}", b"".join(pieces) if size <= BLOCK else pieces


def _is_chunked(environ: Mapping[str, Any]) -> bool:
    """Whether the body comes in chunks, and can be read.

    :raises CodingUnsupported: for any other transfer coding (RFC 9112, 6.1: 501).
    :raises BadRequest: for one that cannot be told from the next request.
    """
    value = environ.get(CODING, "")
    if not value:
        return False
    if value.strip(" \t").lower() != "chunked":
        raise CodingUnsupported(f"transfer coding {value[:80]!r}; only chunked is known")
    # RFC 9112, 6.1: an HTTP/1.0 message with Transfer-Encoding has faulty framing.
    if environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        raise BadRequest("a chunked body in an HTTP/1.0 request")
    if not environ.get("wsgi.input_terminated"):
        raise BadRequest("a chunked request body, which this WSGI server does not decode")
    return True


def _rewound(stream: Any) -> Any:
    """The input at its first byte, though an application may have read it before us."""
    seekable = getattr(stream, "seekable", None)
    if seekable is not None and seekable() and stream.tell():
        stream.seek(0)
    return stream


def _pieces(stream: Any, left: int) -> Iterator[bytes]:
    while left:
        piece = _read(stream, min(left, BLOCK * 4))
        if not piece:
            raise BadRequest(
                f"the request body ended {left} bytes early: the client broke off, or "
                "something in front of the proxy has read it and it cannot be rewound"
            )
        left -= len(piece)
        yield piece


def _chunks(stream: Any, max_body: int | None) -> Iterator[bytes]:
    total = 0
    while piece := _read(stream, BLOCK):
        total += len(piece)
        if max_body is not None and total > max_body:
            raise BodyTooLarge(f"a chunked body over the limit of {max_body} bytes")
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def _read(stream: Any, size: int) -> bytes:
    try:
        # What has arrived, where the input can tell; else it waits for all of ``size``.
        piece: bytes = getattr(stream, "read1", stream.read)(size)
    except Exception as error:  # servers raise exceptions of their own here
        raise BadRequest(f"reading the request body failed: {error!r}", stage="send") from error
    return piece
