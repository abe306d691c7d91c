"""The response on its way back: headers adapted, body passed on as it comes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

from ..errors import ClientGone, ExchangeError
from ..protocol import fields as rules
from ..protocol.fields import HeaderList
from ..protocol.http1 import Head
from ..protocol.url_map import HeaderUrls
from ..upstream.exchange import Exchange

__all__ = ["ResponseBody", "adapt_headers", "sendable_body", "status_line"]

# What to do with a header by its lower-cased name: drop it, or the method of HeaderUrls that
# translates it. Alt-Svc would send clients past us (RFC 7838).
_DROP = "drop"
_ACTIONS: dict[str, str] = {
    **dict.fromkeys(rules.HOP_BY_HOP, _DROP),
    "alt-svc": _DROP,
    "location": "to_client",
    "content-location": "to_client",
    "link": "link",
    "refresh": "refresh",
    "set-cookie": "set_cookie",
}


def status_line(head: Head) -> str:
    """Status and reason as ``start_response`` takes them, the reason as received."""
    return f"{head.status} {head.reason}"


def adapt_headers(
    head: Head,
    urls: Callable[[], HeaderUrls],
    hidden: Iterable[str] = (),
    changes: Sequence[tuple[str, str | None]] = (),
) -> HeaderList:
    """The headers for the client, in the order they came.

    :param urls: makes the translation of URLs, called only if one is needed.
    :param hidden: names of cookies that the upstream may not set.
    :param changes: headers to set, or to remove where the value is ``None``.

    Hop-by-hop headers and those that ``Connection`` names are dropped (RFC 9110, 7.6.1),
    ``Content-Length`` where ``Transfer-Encoding`` overrules it (RFC 9112, 6.3).
    """
    is_plain = head.status not in (204, 304) and _ACTIONS.keys().isdisjoint(head.names)
    if is_plain and not changes:
        return head.headers
    adapted: HeaderList = []
    special = []
    for (name, value), lowered in zip(head.headers, head.names, strict=True):
        if lowered in _ACTIONS:
            special.append(lowered)
            value_or_none = _act(_ACTIONS[lowered], value, urls, hidden)
            if value_or_none is None:
                continue
            value = value_or_none
        adapted.append((name, value))
    if "connection" in special or "transfer-encoding" in special or head.status in (204, 304):
        adapted = _without(adapted, _overruled(head))
    for name, content in changes:
        adapted = _without(adapted, {name.lower()})
        if content is not None:
            adapted.append((name, content))
    return adapted


def _act(
    action: str, value: str, urls: Callable[[], HeaderUrls], hidden: Iterable[str]
) -> str | None:
    if action is _DROP:
        return None
    if action == "set_cookie" and value.partition("=")[0].strip() in hidden:
        return None
    mapped: str = getattr(urls(), action)(value)
    return mapped


def _overruled(head: Head) -> set[str]:
    names: set[str] = set()
    for name, value in head.headers:
        lowered = name.lower()
        if lowered == "connection":
            names |= rules.connection_options(value) - {"content-length", "content-type"}
        elif lowered == "transfer-encoding":
            names.add("content-length")
    if head.status in (204, 304):  # RFC 9110, 8.6: not allowed, and not needed
        names.add("content-length")
    return names


def _without(headers: HeaderList, names: set[str]) -> HeaderList:
    return [pair for pair in headers if pair[0].lower() not in names]


def sendable_body(method: str, status: str, body: Iterable[bytes]) -> Iterable[bytes]:
    """The body that goes to the client: closed and empty where it expects none.

    Hooks make such bodies. The answer to ``HEAD``, a 204 and a 304 end with their head
    (RFC 9112, 6.3): what followed would be taken for the start of the next response.

    :param method: the client's, which a hook may have changed for the upstream.
    """
    if method != "HEAD" and not status.startswith(("204", "304")):
        return body
    if hasattr(body, "close"):
        body.close()
    return []


class ResponseBody:
    """The body as an iterator of the pieces that arrive; closes the exchange at its end.

    :param first: the piece that has been read already.
    :param on_failure: called with the error that broke it off, before it is raised: the
        headers have gone out, so the server must cut the connection (RFC 9112, 8).
    :param say_instead: makes the page to show where nothing has gone out yet.
    :param on_close: called when nothing more is read, maybe more than once.
    """

    def __init__(
        self,
        exchange: Exchange,
        first: bytes,
        on_failure: Callable[[ExchangeError], object],
        say_instead: Callable[[ExchangeError], bytes],
        on_close: Callable[[], None],
    ) -> None:
        self._exchange = exchange
        self._on_failure = on_failure
        self._say_instead = say_instead
        self._has_begun = self._is_over = False
        self._on_close = on_close
        self._first = first

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            self._has_begun = True
            return first
        if self._is_over:
            raise StopIteration
        try:
            piece = self._exchange.read()
        except ExchangeError as error:
            self.close()
            if not self._has_begun:
                return self._say_instead(error)
            self._on_failure(error)
            if isinstance(error, ClientGone):
                raise _client_left() from error
            raise
        if not piece:
            self.close()
            raise StopIteration
        self._has_begun = True
        return piece

    def close(self) -> None:
        """Called by the server in the end, also when the client has gone."""
        self._is_over = True
        self._exchange.close()
        self._on_close()


def _client_left() -> Exception:
    """What servers take for a client that has left, so that they log no traceback."""
    waitress = sys.modules.get("waitress.channel")
    kinds = (waitress.ClientDisconnected,) if waitress else ()
    left: Exception = type("ClientLeft", (*kinds, ConnectionResetError), {})("the client left")
    return left
