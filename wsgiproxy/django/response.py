"""Responses of an upstream as Django's, with nothing lost: repeats, spelling, reason, cookies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from http.cookies import CookieError, Morsel, SimpleCookie
from typing import Any

from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from urllib3 import HTTPHeaderDict

from ..access.subrequest import Answer
from ..protocol import fields as rules
from ..protocol.fields import HeaderList

__all__ = ["ProxyResponse", "get_django_response"]


class ProxyResponse:
    """What came from the upstream, adapted for the client; views may change it.

    :param answer: the proxy's.
    :param is_head: whether it answers a ``HEAD``.
    :ivar headers: as urllib3 has them: ``get``, ``getlist``, ``add`` and item access.
    """

    def __init__(self, answer: Answer, is_head: bool = False) -> None:
        self.is_head = is_head
        self.status = answer.code
        self.reason = answer.status[4:]
        self.headers = HTTPHeaderDict(answer.headers)
        self.body: Iterable[bytes] = answer.body

    def stream(self, amt: int | None = None) -> Iterator[bytes]:
        """The pieces of the body as they arrive, whatever size is asked for."""
        return iter(self.body)

    @property
    def data(self) -> bytes:
        """The whole body, kept for whoever sends it on."""
        if not isinstance(self.body, list):
            body = self.body
            self.body = [b"".join(body)]
            getattr(body, "close", lambda: None)()
        return b"".join(self.body)

    def close(self) -> None:
        """Be done with the body unread."""
        getattr(self.body, "close", lambda: None)()


def get_django_response(
    proxy_response: Any, strict_cookies: bool = False, streaming_amount: int | None = None
) -> HttpResponse | StreamingHttpResponse:
    """A response for Django's middleware to see and for its server to send.

    :param proxy_response: what came from the upstream; a ``urllib3.HTTPResponse`` is taken too.
    :param strict_cookies: drop cookies that ``http.cookies`` would not accept.
    :param streaming_amount: of no importance: what has arrived goes on at once.

    A body that is there already and says its length is an ``HttpResponse``, so that it can be
    looked at, and so is none at all; every other streams.
    """
    headers = proxy_response.headers
    body = proxy_response.body if hasattr(proxy_response, "body") else _Foreign(proxy_response)
    is_told = "Content-Length" in headers
    response: Any
    if isinstance(body, list) and (is_told or not any(body)):
        response = _Whole(b"".join(body), status=proxy_response.status)
    else:
        response = _Streaming(body, status=proxy_response.status)
    response.reason_phrase = proxy_response.reason
    dropped = rules.HOP_BY_HOP | {"set-cookie"}
    pairs = [pair for pair in headers.iteritems() if pair[0].lower() not in dropped]
    response.set_received(pairs)
    is_empty = proxy_response.status in (204, 304) or getattr(proxy_response, "is_head", False)
    response.has_no_length = is_empty and not is_told
    for text in headers.getlist("Set-Cookie"):
        if not strict_cookies or _is_strict(text):
            _add_cookie(response.cookies, text)
    return response


class _Foreign:
    """The body of a urllib3 response, from a view that has fetched one itself."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._pieces = response.stream(65536, decode_content=False)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
        """Not pooled again unless it was read to its end."""
        self._response.close()


class _Received:
    """Headers as they were received, unless Django's middleware changes them."""

    headers: Any
    has_no_length = False
    _received: HeaderList

    def set_received(self, pairs: HeaderList) -> None:
        """Take over a list of headers; those of Django's own making go."""
        for name in list(self.headers):
            del self.headers[name]
        for name, value in pairs:
            before = self.headers.get(name)
            self.headers[name] = value if before is None else f"{before}, {value}"
        self._received = pairs
        self._as_given = dict(self.headers.items())

    def items(self) -> Iterable[tuple[str, str]]:
        """What goes to the server: each received header as it was, changed ones as they are.

        Where nothing came, Django's middleware would say ``Content-Length: 0``: for ``HEAD`` and
        304 that is wrong, and for 204 not allowed (RFC 9110, 8.6).
        """
        now = {name.lower(): (name, value) for name, value in self.headers.items()}
        given = {name.lower(): value for name, value in self._as_given.items()}
        pairs: HeaderList = []
        for name, value in self._received:
            current = now.get(name.lower())
            if current is not None and current[1] == given[name.lower()]:
                pairs.append((name, value))
        known = {name.lower() for name, _ in pairs}
        if self.has_no_length:
            known.add("content-length")
        return pairs + [pair for name, pair in now.items() if name not in known]


class _Whole(_Received, HttpResponse):  # type: ignore[misc]  # Django has no types
    """A body that is there."""


class _Streaming(_Received, StreamingHttpResponse):  # type: ignore[misc]  # Django has no types
    """A body that is on its way."""


# -- cookies -----------------------------------------------------------------------------


class _ReceivedMorsel(Morsel[str]):
    """A cookie that is sent on letter by letter."""

    def __init__(self, name: str, value: str, text: str) -> None:
        super().__init__()
        self._key, self._value, self._coded_value = name, value, value
        self._text = text

    def OutputString(self, attrs: Any = None) -> str:
        """The text as it came, for the server."""
        return self._text


def _add_cookie(cookies: Any, text: str) -> None:
    """Put a ``Set-Cookie`` among Django's.

    Under its own name, so that tests and middleware find it; unless there is one already, or
    Django will set one of that name, for another path mostly: both have to go out.
    """
    pair, *attributes = text.split(";")
    name, _, value = (part.strip() for part in pair.partition("="))
    morsel = _ReceivedMorsel(name, value.strip('"'), text)
    for attribute in attributes:
        key, equals, content = (part.strip() for part in attribute.partition("="))
        if morsel.isReservedKey(key):
            with contextlib.suppress(CookieError):
                morsel[key] = content if equals else True
    own = (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, settings.LANGUAGE_COOKIE_NAME)
    place = name if name and name not in cookies and name not in own else f"{name};{len(cookies)}"
    dict.__setitem__(cookies, place, morsel)


def _is_strict(text: str) -> bool:
    try:
        return bool(SimpleCookie(text))
    except CookieError:
        return False
