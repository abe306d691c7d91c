"""The response on its way back: headers adapted, body passed on as it comes."""

from __future__ import annotations

import errno
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from ..errors import ExchangeError
from ..protocol import fields as rules
from ..protocol.fields import HeaderList
from ..protocol.http1 import Head, body_reader, content_length
from ..protocol.url_map import HeaderUrls
from ..upstream.exchange import Exchange

__all__ = ["BegunBody", "ResponseBody", "adapt_headers", "collect", "cut_off", "status_line"]

#: How a header's value is translated, by its lower-cased name; ``None`` drops the header.
#: Alt-Svc would send clients past us (RFC 7838).
Translate = Callable[[HeaderUrls, str], str]
_TRANSLATE: dict[str, Translate | None] = {
    **dict.fromkeys(rules.HOP_BY_HOP),
    "alt-svc": None,
    "location": HeaderUrls.to_client,
    "content-location": HeaderUrls.to_client,
    "link": HeaderUrls.link,
    "refresh": HeaderUrls.refresh,
    "set-cookie": HeaderUrls.set_cookie,
}


def status_line(head: Head) -> str:
    """Status and reason as ``start_response`` takes them, the reason as received."""
    return f"{head.status} {head.reason}"


def adapt_headers(
    head: Head,
    urls: Callable[[], HeaderUrls],
    hidden: Iterable[str] = (),
    changes: Sequence[tuple[str, str | None]] = (),
    beyond: frozenset[str] = frozenset(),
) -> HeaderList:
    """The headers for the client, in the order they came.

    :param urls: makes the translation of URLs, called only if one is needed.
    :param hidden: names of cookies that the upstream may not set.
    :param changes: headers to set, or to remove where the value is ``None``.
    :param beyond: lower-cased names of headers that are not the upstream's to send.

    Hop-by-hop headers and those that ``Connection`` names are dropped (RFC 9110, 7.6.1),
    ``Content-Length`` where ``Transfer-Encoding`` overrules it (RFC 9112, 6.3).
    """
    is_plain = head.status not in (204, 304) and _TRANSLATE.keys().isdisjoint(head.names)
    if is_plain and not changes and not beyond and _has_plain_length(head):
        return head.headers
    dropped = _overruled(head) | beyond
    adapted: HeaderList = []
    for (name, value), lowered in zip(head.headers, head.names, strict=True):
        if lowered in dropped:
            continue
        if lowered in _TRANSLATE:
            translate = _TRANSLATE[lowered]
            if translate is None or (lowered == "set-cookie" and _cookie_name(value) in hidden):
                continue
            value = translate(urls(), value)
        adapted.append((name, value))
    if "content-length" in head.names and "content-length" not in dropped:
        adapted = _with_one_length(adapted, head)
    for name, content in changes:
        adapted = [pair for pair in adapted if pair[0].lower() != name.lower()]
        if content is not None:
            adapted.append((name, content))
    return adapted


def _cookie_name(value: str) -> str:
    return value.partition("=")[0].strip()


def _overruled(head: Head) -> set[str]:
    """The names that this head itself says are not for the client."""
    names: set[str] = set()
    if "connection" in head.names:
        options = rules.connection_options(",".join(head.all("connection")))
        names |= options - {"content-length", "content-type"}
    if "transfer-encoding" in head.names and body_reader(head, "GET")[0].remaining is None:
        names.add("content-length")  # RFC 9112, 6.3
    if head.status in (204, 304):  # RFC 9110, 8.6: not allowed, and not needed
        names.add("content-length")
    return names


def _has_plain_length(head: Head) -> bool:
    if "content-length" not in head.names:
        return True
    value = head.headers[head.names.index("content-length")][1]
    return value.isdigit() and head.names.count("content-length") == 1


def _with_one_length(headers: HeaderList, head: Head) -> HeaderList:
    """``Content-Length`` once: a repeated one is one (RFC 9112, 6.3), servers take it for two."""
    if _has_plain_length(head):
        return headers
    others = [pair for pair in headers if pair[0].lower() != "content-length"]
    return [*others, ("Content-Length", str(content_length(head)))]


class ResponseBody:
    """The body as an iterator of the pieces that arrive; closes the exchange at its end.

    :param exchange: read to its end.
    :param pieces: those that have been read already.
    :param on_failure: called with the error that broke it off once the head was said.
    :param on_close: called when nothing more is read, maybe more than once.
    :ivar is_said: whether the head has gone to the server. Until then a failure is an exception
        like any other; from then on it must cut the connection (RFC 9112, 8).
    """

    def __init__(
        self,
        exchange: Exchange,
        pieces: Iterable[bytes],
        on_failure: Callable[[ExchangeError], object],
        on_close: Callable[[], None],
    ) -> None:
        self._exchange = exchange
        self._pieces = deque(pieces)
        self._on_failure = on_failure
        self._on_close = on_close
        self._is_over = False
        self.is_said = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._pieces:
            return self._pieces.popleft()
        if self._is_over:
            raise StopIteration
        try:
            piece = self._exchange.read()
        except ExchangeError as error:
            self.close()
            if not self.is_said:
                raise
            self._on_failure(error)
            raise cut_off(error) from error
        if not piece:
            self.close()
            raise StopIteration
        return piece

    def close(self) -> None:
        """Called by the server in the end, also when the client has gone."""
        self._is_over = True
        self._exchange.close()
        self._on_close()


class BegunBody:
    """A body whose first piece is here already, so that its head may be said.

    Servers send the head with the first piece (PEP 3333): what fails before it is still an
    ordinary failure.

    :raises ExchangeError: if the first piece cannot be had.
    """

    def __init__(self, body: Iterable[bytes]) -> None:
        self._body = body
        try:
            self._pieces = iter(body)
            self._first = next(self._pieces, b"")
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return next(self._pieces)

    def close(self) -> None:
        """Close the body itself (PEP 3333)."""
        if hasattr(self._body, "close"):
            self._body.close()


def collect(exchange: Exchange, seconds: float, most: int) -> list[bytes]:
    """The pieces of a body that come at once.

    :param seconds: how long to wait in all; none are waited for once it has passed.
    :param most: bytes after which no more are read.
    :raises UpstreamBroken, UpstreamTimeout: as reading the body does.
    """
    pieces: list[bytes] = []
    end = time.monotonic() + seconds
    size = 0
    while not exchange.at_end and size < most:
        if not exchange.connection.wait(max(end - time.monotonic(), 0.0)):
            break
        piece = exchange.read_on()
        size += len(piece)
        if piece:
            pieces.append(piece)
    return pieces


def cut_off(error: ExchangeError) -> Exception:
    """What servers take for a client that has left: they cut the connection, and log no traceback.

    The failure has its own line in the log already.
    """
    return _cut_kind(sys.modules.get("waitress.channel"))(errno.ECONNRESET, str(error))


@lru_cache(2)
def _cut_kind(waitress: Any) -> type[Exception]:
    kinds = (waitress.ClientDisconnected,) if waitress else ()
    return type("ResponseCut", (*kinds, ConnectionResetError), {})
