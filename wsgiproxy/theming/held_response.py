"""A response of the application, held back only while it may be themed (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from .fields import Headers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["HeldResponse", "Rest", "Verdict"]

#: What becomes of a body: passed on as it comes, held to be themed, or not wanted.
Verdict = Literal["pass", "hold", "discard"]


class HeldResponse:
    """A response of the application that is held back while it may be themed (PEP 3333).

    :param start_response: the server's.
    :param judge: called with this response when status and headers are there; may change
        ``status`` and ``headers``, and decides what becomes of the body.
    :param max_size: bytes; a held body that grows larger is passed on after all.

    ::

        held = HeldResponse(start_response, lambda held: "hold", 1 << 20)
        passed = held.ask(app, environ)
        if passed is None:
            held.headers.append(("Content-Length", str(len(held.body))))
            held.start()
    """

    def __init__(
        self, start_response: StartResponse, judge: Callable[[HeldResponse], Verdict], max_size: int
    ) -> None:
        self.status = ""
        self.headers: Headers = []
        self.original: Headers = []
        self.verdict: Verdict | None = None
        self.overflowed = False
        self._real = start_response
        self._judge = judge
        self._max_size = max_size
        self._held: list[bytes] = []
        self._size = 0
        self._exc_info: Any = None
        self._real_write: Callable[[bytes], object] | None = None

    @property
    def body(self) -> bytes:
        """The held body."""
        return b"".join(self._held)

    def ask(self, app: WSGIApplication, environ: WSGIEnvironment) -> Iterable[bytes] | None:
        """Call the application.

        :param app: a WSGI application.
        :param environ: what it is called with.
        :returns: the body for the server; ``None`` when the whole body is held and the response
            has not been started.
        """
        found = app(environ, self.start_response)
        if self.verdict == "pass" and not self._held:
            return found
        iterator = iter(found)
        try:
            for chunk in self._wanted(iterator):
                self._hold(chunk)
                if self.verdict == "pass":
                    return self._rest(iterator, found)
        except BaseException:
            _close(found)
            raise
        if self.verdict in ("hold", "discard"):
            _close(found)
            return None if self.verdict == "hold" else []
        return self._rest(iterator, found)

    def start_response(
        self, status: str, headers: Headers, exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        """What the application calls in place of the server's ``start_response`` (PEP 3333).

        :param status: such as ``200 OK``.
        :param headers: names and values.
        :param exc_info: of the error that replaces an earlier response.
        :returns: the ``write`` of PEP 3333.
        :raises AssertionError: for a second call without ``exc_info``.
        """
        if self._real_write is not None:
            return self._start(status, headers, exc_info)
        if self.verdict is not None and exc_info is None:
            raise AssertionError("start_response was called twice without exc_info")
        self.status, self.headers, self.original = status, list(headers), list(headers)
        # The server has seen nothing of what an error replaces.
        self._exc_info = exc_info if self.verdict is None else None
        self._held.clear()
        self._size = 0
        self.verdict = self._judge(self)
        if self.verdict != "hold":
            self.start()
        return self._write

    def start(self) -> None:
        """Call the server's ``start_response`` with the present status and headers."""
        self._real_write = self._start(self.status, self.headers, self._exc_info)

    def _start(self, status: str, headers: Headers, exc_info: Any) -> Callable[[bytes], object]:
        try:
            if exc_info is None:
                return self._real(status, headers)
            return self._real(status, headers, exc_info)
        finally:
            exc_info = None

    def _write(self, data: bytes) -> None:
        if self.verdict == "hold":
            self._hold(data)
            if not self.overflowed:
                return
            held, self._held = self._held, []
            for chunk in held:
                self._server_write(chunk)
        elif self.verdict == "pass":
            self._server_write(data)

    def _server_write(self, data: bytes) -> None:
        if self._real_write is not None:
            self._real_write(data)

    def _wanted(self, iterator: Iterator[bytes]) -> Iterator[bytes]:
        """The chunks, unless the body is not wanted; the first may start the response."""
        while self.verdict != "discard":
            try:
                chunk = next(iterator)
            except StopIteration:
                return
            if self.verdict is not None:
                yield chunk

    def _hold(self, chunk: bytes) -> None:
        self._held.append(chunk)
        self._size += len(chunk)
        if self.verdict == "hold" and self._size > self._max_size:
            self.overflowed = True
            self.give_up()

    def give_up(self) -> None:
        """Pass the response on as the application gave it."""
        self.verdict = "pass"
        self.headers = self.original
        self.start()

    def _rest(self, iterator: Iterator[bytes], found: Iterable[bytes]) -> Iterable[bytes]:
        held, self._held = self._held, []
        return Rest(held, iterator, found)


class Rest:
    """A body of which some chunks were read already.

    :param taken: the chunks that were read.
    :param iterator: gives the others.
    :param found: the application's iterable; closed by :meth:`close`.
    """

    def __init__(
        self, taken: list[bytes], iterator: Iterator[bytes], found: Iterable[bytes]
    ) -> None:
        self._taken = taken[::-1]
        self._iterator = iterator
        self._found = found

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._taken.pop() if self._taken else next(self._iterator)

    def close(self) -> None:
        """Close the application's iterable."""
        _close(self._found)


def _close(found: Iterable[bytes]) -> None:
    close = getattr(found, "close", None)
    if close is not None:
        close()
