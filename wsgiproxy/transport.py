"""A lean HTTP/1.1 exchange on the socket of a connection that urllib3 made.

urllib3 finds, opens, verifies and pools the connections; on their sockets this module
speaks itself, because a proxy must not change a byte and ``http.client`` changes many.
The upper half works on bytes alone and is what the relay of the tunnels uses too; the
lower half moves those bytes with deadlines.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from .errors import ClientGone, UpstreamBroken, UpstreamTimeout

__all__ = [
    "BLOCK",
    "MAX_HEAD",
    "Body",
    "ChunkedBody",
    "Head",
    "HeadReader",
    "LengthBody",
    "OpenBody",
    "Wire",
    "body_of",
    "parse_head",
]

#: The largest block read or written at once, in bytes.
BLOCK = 65536
#: The longest response head that is taken, and the longest trailer section, in bytes.
MAX_HEAD = 65536
#: How many interim (1xx) responses are skipped before one request is given up.
MAX_INTERIM = 32

# RFC 9112, 4: status-line = HTTP-version SP status-code SP [ reason-phrase ]. The last
# space is missing in the answers of enough servers to be taken as optional.
_STATUS_LINE = re.compile(r"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
# RFC 9110, 5.1 and 5.5: a name is a token; a value holds no control but the tab.
_FIELD_LINE = re.compile(
    r"^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([^\x00-\x08\x0a-\x1f\x7f]*)$", re.MULTILINE
)
# RFC 9112, 7.1: chunk-size [ chunk-ext ]; fifteen digits are more than any body needs.
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")


class Head(NamedTuple):
    """The head of one response, as received."""

    minor: int  #: the x of HTTP/1.x
    status: int
    reason: str
    headers: list[tuple[str, str]]


def parse_head(block: bytes) -> Head:
    """Read a response head, from its first byte up to the empty line (not included).

    :raises UpstreamBroken: if any line is not what RFC 9112 allows.
    """
    text = block.decode("latin-1")
    first, _, rest = text.partition("\r\n")
    status = _STATUS_LINE.fullmatch(first)
    if status is None:
        raise UpstreamBroken(f"invalid status line {first[:80]!r}", stage="head")
    return Head(int(status[1]), int(status[2]), status[3] or "", _parse_fields(rest))


def _parse_fields(text: str) -> list[tuple[str, str]]:
    if not text:
        return []
    # RFC 9112, 5.2: a proxy replaces an obsolete line folding with spaces.
    text = re.sub(r"\r\n[ \t]+", " ", text) if "\r\n " in text or "\r\n\t" in text else text
    lines = text.replace("\r\n", "\n")
    fields = _FIELD_LINE.findall(lines)
    if len(fields) != lines.count("\n") + 1 or text.count("\n") != text.count("\r\n"):
        raise UpstreamBroken("invalid header line in the response", stage="head")
    return [(name, value.strip(" \t")) for name, value in fields]


class HeadReader:
    """Takes bytes until they hold a whole response head; skips interim responses.

    Every 1xx but 101 is skipped (RFC 9110, 15.2): whoever takes a 103 for the answer
    hands the real one to the next request on this connection.
    """

    def __init__(self) -> None:
        self.rest = b""
        self._interim = 0

    def feed(self, data: bytes) -> Head | None:
        """The head once it is whole; what follows it is then in :attr:`rest`.

        :raises UpstreamBroken: for an invalid or an over-long head.
        """
        self.rest = self.rest + data if self.rest else data
        while True:
            end = self.rest.find(b"\r\n\r\n")
            if end > MAX_HEAD or (end < 0 and len(self.rest) > MAX_HEAD):
                raise UpstreamBroken(f"response head over {MAX_HEAD} bytes", stage="head")
            if end < 0:
                return None
            head = parse_head(self.rest[:end])
            self.rest = self.rest[end + 4 :]
            if head.status >= 200 or head.status == 101:
                return head
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise UpstreamBroken(f"over {MAX_INTERIM} interim responses", stage="head")


class Body(Protocol):
    """How one response body is cut out of the bytes of a connection."""

    done: bool  #: the end has been seen
    clean: bool  #: nothing followed the end: the connection may be used again

    def feed(self, data: bytes) -> bytes:
        """The bytes of the body that are in ``data``."""

    def eof(self) -> None:
        """The upstream closed; raises UpstreamBroken if the body was to go on."""


class LengthBody:
    """A body of a known length, in bytes; also the empty one."""

    __slots__ = ("clean", "done", "left")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0
        self.clean = True

    def feed(self, data: bytes) -> bytes:
        """The part of ``data`` that belongs to the body."""
        if len(data) > self.left:
            self.clean = False
            data = data[: self.left]
        self.left -= len(data)
        self.done = not self.left
        return data

    def eof(self) -> None:
        """Refuse an early end."""
        if not self.done:
            raise UpstreamBroken(f"the body ended {self.left} bytes early", stage="body")


class OpenBody:
    """A body that ends when the upstream closes (RFC 9112, 6.3, last case)."""

    __slots__ = ("clean", "done")

    def __init__(self) -> None:
        self.done = self.clean = False

    def feed(self, data: bytes) -> bytes:
        """All of ``data``."""
        return data

    def eof(self) -> None:
        """The regular end."""
        self.done = True


class ChunkedBody:
    """A chunked body (RFC 9112, 7.1); extensions and trailers are dropped."""

    __slots__ = ("_left", "_line", "_step", "_trailer", "clean", "done")

    def __init__(self) -> None:
        self.done = False
        self.clean = True
        self._left = 0  # bytes of the open chunk that are still to come
        self._line = b""  # the part of a line that has come so far
        self._trailer = 0
        self._step = self._size

    def feed(self, data: bytes) -> bytes:
        """The payload in ``data``.

        :raises UpstreamBroken: for anything that is no chunk.
        """
        if self._left >= len(data):
            self._left -= len(data)
            return data
        pieces = []
        while data and not self.done:
            if self._left:
                piece, data = data[: self._left], data[self._left :]
                self._left -= len(piece)
                pieces.append(piece)
            else:
                data = self._take_line(data)
        if data:
            self.clean = False
        return b"".join(pieces)

    def eof(self) -> None:
        """Refuse an end before the last chunk."""
        if not self.done:
            raise UpstreamBroken("the chunked body broke off", stage="body")

    def _take_line(self, data: bytes) -> bytes:
        end = data.find(b"\n")
        self._line += data if end < 0 else data[: end + 1]
        if len(self._line) > MAX_HEAD:
            raise UpstreamBroken("over-long line in the chunked body", stage="body")
        if end < 0:
            return b""
        if not self._line.endswith(b"\r\n"):
            raise UpstreamBroken("bare line feed in the chunked body", stage="body")
        line, self._line = self._line[:-2], b""
        self._step(line)
        return data[end + 1 :]

    def _size(self, line: bytes) -> None:
        size = _CHUNK_LINE.fullmatch(line)
        if size is None:
            raise UpstreamBroken(f"invalid chunk size {line[:40]!r}", stage="body")
        self._left = int(size[1], 16)
        self._step = self._end_of_chunk if self._left else self._end_of_trailers

    def _end_of_chunk(self, line: bytes) -> None:
        if line:
            raise UpstreamBroken("a chunk is longer than its size", stage="body")
        self._step = self._size

    def _end_of_trailers(self, line: bytes) -> None:
        self._trailer += len(line)
        if self._trailer > MAX_HEAD:
            raise UpstreamBroken(f"trailers over {MAX_HEAD} bytes", stage="body")
        self.done = not line


def body_of(head: Head, method: str) -> tuple[Body, bool]:
    """The body that follows ``head``, and whether the connection lives on after it.

    RFC 9112, 6.3, in its order.

    :raises UpstreamBroken: for framing that two readers could read differently.
    """
    lengths, codings, connection = [], [], ""
    for name, value in head.headers:
        lowered = name.lower()
        if lowered == "content-length":
            lengths.append(value)
        elif lowered == "transfer-encoding":
            codings.append(value)
        elif lowered == "connection":
            connection += "," + value.lower()
    options = {option.strip() for option in connection.split(",")} if connection else ()
    alive = "close" not in options if head.minor else "keep-alive" in options
    if method == "HEAD" or head.status in (204, 304) or head.status < 200:
        return LengthBody(0), alive
    if codings:
        if len(codings) > 1 or codings[0].lower() != "chunked":
            raise UpstreamBroken(f"unknown transfer coding {codings}", stage="head")
        # Both framings, or chunks from HTTP/1.0: read it, then trust no more.
        return ChunkedBody(), bool(alive and head.minor and not lengths)
    if lengths:
        return LengthBody(_content_length(lengths)), alive
    return OpenBody(), False


def _content_length(values: list[str]) -> int:
    # RFC 9112, 6.3: one value, or the same one repeated, also as a list.
    found = {value.strip() for value in ",".join(values).split(",")}
    length = found.pop()
    if found or not (length.isascii() and length.isdigit()) or len(length) > 18:
        raise UpstreamBroken(f"invalid Content-Length {values}", stage="head")
    return int(length)


# -- the socket --------------------------------------------------------------------

#: Seconds in which a silent upstream is waited for before the client is watched as well:
#: short answers need no watch, and a client may close its sending half after a request.
WATCH_AFTER = 1.0
_READ = select.POLLIN
_WRITE = select.POLLOUT
_HANGUP = getattr(select, "POLLRDHUP", 0)  # Linux only; elsewhere nobody is watched


class Wire:
    """A connected, non-blocking socket, read and written with a timeout in seconds.

    :param client: the descriptor of the client's socket, if it is known: while the
        upstream is silent, a client that leaves ends the wait.
    """

    __slots__ = ("_ahead", "_deadline", "client", "received", "sock", "timeout")

    def __init__(self, sock: socket.socket, timeout: float | None) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.timeout = timeout
        self.client: int | None = None
        self.received = False  # whether any byte has come since the request
        self._ahead: bytes | None = None
        self._deadline: float | None = None

    def receive(self, stage: str, deadline: float | None = None) -> bytes:
        """What has arrived, waiting for the first byte; ``b""`` at the end.

        :param deadline: the time (monotonic, seconds) that ends the wait, if sooner.
        :raises UpstreamTimeout, UpstreamBroken, ClientGone: as they say.
        """
        if self._ahead is not None:
            data, self._ahead = self._ahead, None
            return data
        timeout = self.timeout
        if deadline is not None:
            timeout = max(deadline - time.monotonic(), 0.0)
        if not self._is_pending():
            self._wait(_READ, timeout, stage)
        while True:
            try:
                data = self.sock.recv(BLOCK)
            except (BlockingIOError, ssl.SSLWantReadError):
                self._wait(_READ, timeout, stage)
            except ssl.SSLWantWriteError:
                self._wait(_WRITE, timeout, stage)
            except ssl.SSLEOFError:
                data = b""
            except OSError as error:
                raise UpstreamBroken(f"reading failed: {error}", stage=stage) from error
            else:
                break
        self.received = True if data else self.received
        return data

    def send(self, data: bytes, is_refused: Callable[[], bool] | None = None) -> bool:
        """Write all of ``data``.

        :param is_refused: asked when bytes arrive before all is written; true ends the
            writing, with false as the result. ``None`` leaves such bytes for later.
        :raises UpstreamTimeout: if nothing could be written in time.
        :raises OSError: if the connection is gone.
        """
        view: Any = data
        while True:
            try:
                sent = self.sock.send(view)
            except (BlockingIOError, ssl.SSLWantWriteError):
                events = self._wait(_WRITE | (_READ if is_refused else 0), self.timeout, "send")
                if is_refused is not None and events & _READ:
                    if is_refused():
                        return False
                    is_refused = None  # what else comes waits until this is written
            except ssl.SSLWantReadError:
                self._wait(_READ, self.timeout, "send")
            else:
                if sent == len(view):
                    return True
                view = memoryview(view)[sent:]

    def has_answered(self) -> bool:
        """Whether bytes, or the end, have come before they were asked for."""
        if self._ahead is None and (self._is_pending() or self._poll(_READ, 0)):
            try:
                self._ahead = self.sock.recv(BLOCK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False  # TLS had something to say, the upstream had not
            except OSError:
                self._ahead = b""
        return self._ahead is not None

    def put_back(self, data: bytes) -> None:
        """Have ``data`` received once more."""
        self._ahead = data

    @property
    def has_ahead(self) -> bool:
        """Whether bytes are here that need no waiting for."""
        return bool(self._ahead)

    def _is_pending(self) -> bool:
        return isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0

    def _wait(self, events: int, timeout: float | None, stage: str) -> int:
        if self.client is None or not _HANGUP:
            found = self._poll(events, timeout)
        else:
            first = WATCH_AFTER if timeout is None else min(timeout, WATCH_AFTER)
            found = self._poll(events, first)
            if not found and (timeout is None or timeout > first):
                found = self._watch(events, timeout and timeout - first, stage)
        if not found:
            raise UpstreamTimeout(f"nothing moved for {timeout:.1f} s", stage=stage)
        return found

    def _poll(self, events: int, timeout: float | None) -> int:
        poll = select.poll()
        poll.register(self.sock, events)
        found = poll.poll(None if timeout is None else timeout * 1000)
        return found[0][1] if found else 0

    def _watch(self, events: int, timeout: float | None, stage: str) -> int:
        poll = select.poll()
        poll.register(self.sock, events)
        if self.client is not None:
            poll.register(self.client, _HANGUP)
        for descriptor, found in poll.poll(None if timeout is None else timeout * 1000):
            if descriptor != self.client:
                return found
            raise ClientGone("the client left while the upstream was silent", stage=stage)
        return 0
