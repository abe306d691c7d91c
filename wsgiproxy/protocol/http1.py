"""How an HTTP/1.1 response is read: its head, and where its body ends.

urllib3 finds, opens, verifies and pools the connections; what goes over them is read here,
because a proxy must not change a byte and ``http.client`` changes many. Bytes in, values
out: nothing here touches a socket, so worker threads and the relay share it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, Protocol

from ..errors import UpstreamBroken

__all__ = [
    "MAX_HEAD",
    "Body",
    "ChunkedReader",
    "Head",
    "HeadReader",
    "LengthReader",
    "OpenReader",
    "body_reader",
    "parse_head",
]

#: The longest response head that is taken, and the longest trailer section, in bytes.
MAX_HEAD = 65536
#: How many interim (1xx) responses are skipped before one request is given up.
MAX_INTERIM = 32

# RFC 9112, 4: status-line = HTTP-version SP status-code SP [ reason-phrase ]. The last
# space is missing in the answers of enough servers to be taken as optional.
_STATUS_LINE = re.compile(r"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
# RFC 9110, 5.1 and 5.5: a name is a token; a value holds no control but the tab.
_FIELD_LINE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([^\x00-\x08\x0a-\x1f\x7f]*)")
# RFC 9112, 7.1: chunk-size [ chunk-ext ]; fifteen digits are more than any body needs.
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")


class Head(NamedTuple):
    """The head of one response, as received."""

    minor: int  #: the x of HTTP/1.x
    status: int
    reason: str
    headers: list[tuple[str, str]]
    names: list[str]  #: the names of the headers in the same order, lower-cased

    def all(self, name: str) -> list[str]:
        """The values of every header of that (lower-cased) name."""
        pairs = zip(self.headers, self.names, strict=True)
        return [header[1] for header, lowered in pairs if lowered == name]


def parse_head(block: bytes) -> Head:
    """Read a response head, from its first byte up to the empty line (not included).

    :raises UpstreamBroken: if any line is not what RFC 9112 allows.
    """
    text = block.decode("latin-1")
    if "\r\n " in text or "\r\n\t" in text:
        # RFC 9112, 5.2: a proxy replaces an obsolete line folding with spaces. A status line
        # has none: what is left of it there is no field line.
        first, _, rest = text.partition("\r\n")
        text = first + "\r\n" + re.sub(r"\r\n[ \t]+", " ", rest)
    first, *lines = text.split("\r\n")
    minor, status, reason = _parse_status(first)
    # Most lines come again and again; to remember one takes a tenth of reading it.
    fields = list(map(_known_field if len(text) < 2000 else _parse_field, lines))
    return Head(minor, status, reason, [field[0] for field in fields], [f[1] for f in fields])


@lru_cache(64)
def _parse_status(line: str) -> tuple[int, int, str]:
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        raise UpstreamBroken(f"invalid status line {line[:80]!r}", stage="head")
    return int(found[1]), int(found[2]), found[3] or ""


def _parse_field(line: str) -> tuple[tuple[str, str], str]:
    """Name and value, and the name lower-cased."""
    found = _FIELD_LINE.fullmatch(line)
    if found is None:
        raise UpstreamBroken("invalid header line in the response", stage="head")
    return (found[1], found[2].strip(" \t")), found[1].lower()


_known_field = lru_cache(1024)(_parse_field)


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


class LengthReader:
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


class OpenReader:
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


class ChunkedReader:
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


def body_reader(head: Head, method: str) -> tuple[Body, bool]:
    """The body that follows ``head``, and whether the connection lives on after it.

    RFC 9112, 6.3, in its order.

    :raises UpstreamBroken: for framing that two readers could read differently.
    """
    alive = _lives_on(head)
    if method == "HEAD" or head.status in (204, 304) or head.status < 200:
        return LengthReader(0), alive
    is_sized = "content-length" in head.names
    if "transfer-encoding" in head.names:
        codings = head.all("transfer-encoding")
        if len(codings) > 1 or codings[0].lower() != "chunked":
            raise UpstreamBroken(f"unknown transfer coding {codings}", stage="head")
        # Both framings, or chunks from HTTP/1.0: read it, then trust no more.
        return ChunkedReader(), bool(alive and head.minor and not is_sized)
    if is_sized:
        return LengthReader(_content_length(head)), alive
    return OpenReader(), False


def _lives_on(head: Head) -> bool:
    # RFC 9112, 9.3: HTTP/1.1 keeps the connection unless told, HTTP/1.0 closes it unless told.
    if "connection" not in head.names:
        return head.minor > 0
    options = ",".join(head.all("connection")).lower().replace(" ", "").split(",")
    return "close" not in options if head.minor else "keep-alive" in options


def _content_length(head: Head) -> int:
    length = head.headers[head.names.index("content-length")][1]
    if head.names.count("content-length") > 1 or not length.isdigit():
        values = head.all("content-length")
        # RFC 9112, 6.3: the same value repeated, also as a list, counts as one.
        length, *others = {value.strip() for value in ",".join(values).split(",")}
        length = "" if others else length
    if not (length.isascii() and length.isdigit()) or len(length) > 18:
        raise UpstreamBroken(f"invalid Content-Length {length[:40]!r}", stage="head")
    return int(length)
