"""How an HTTP/1.1 response is read: its head, and where its body ends.

urllib3 opens and verifies the connections; what goes over them is read here, because a proxy
must not change a byte and ``http.client`` changes many. Bytes in, values out: nothing here
touches a socket, so worker threads and the relay share it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, Protocol

from ..errors import UpstreamBroken
from .fields import connection_options

__all__ = [
    "MAX_HEAD",
    "BodyReader",
    "ChunkedReader",
    "Head",
    "HeadReader",
    "LengthReader",
    "OpenReader",
    "body_reader",
    "content_length",
    "parse_head",
]

#: The longest response head that is taken, and the longest trailer section, in bytes.
MAX_HEAD = 65536
#: How many interim (1xx) responses are skipped before one request is given up.
MAX_INTERIM = 32

# RFC 9112, 4: status-line = HTTP-version SP status-code SP [ reason-phrase ]. The last
# space is missing in the answers of enough servers to be taken as optional.
_STATUS_LINE = re.compile(r"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
# RFC 9110, 5.1 and 5.5: a name is a token; a value holds no control but the tab. RFC 9112, 5.1: a
# proxy removes the space before a colon of a response.
_FIELD_LINE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*:([^\x00-\x08\x0a-\x1f\x7f]*)")
# A line ends with CRLF; a reader may take a bare LF for one (RFC 9112, 2.2).
_HEAD_END = re.compile(rb"\n\r?\n")
# RFC 9112, 7.1: chunk-size [ chunk-ext ]; fifteen digits are more than any body needs.
_DIGITS = frozenset(b"0123456789abcdefABCDEF")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")


#: Names and values in the order they came; repeats survive.
Fields = list[tuple[str, str]]


class Head(NamedTuple):
    """The head of one response, as received."""

    minor: int  #: the x of HTTP/1.x
    status: int
    reason: str
    headers: Fields
    names: list[str]  #: the names of the headers in the same order, lower-cased

    def all(self, name: str) -> list[str]:
        """The values of every header of that (lower-cased) name."""
        pairs = zip(self.headers, self.names, strict=True)
        return [header[1] for header, lowered in pairs if lowered == name]


def parse_head(block: bytes) -> Head:
    """Read a response head.

    :param block: its bytes, from the first up to the empty line (not included).
    :raises UpstreamBroken: if any line is not what RFC 9112 allows.
    """
    text = block.decode("latin-1")
    if "\r" not in text:
        text = text.replace("\n", "\r\n")
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


def _parse_field(line: str, stage: str = "head") -> tuple[tuple[str, str], str]:
    """Name and value, and the name lower-cased."""
    found = _FIELD_LINE.fullmatch(line)
    if found is None:
        raise UpstreamBroken(f"invalid field line {line[:80]!r}", stage=stage)
    return (found[1], found[2].strip(" \t")), found[1].lower()


_known_field = lru_cache(1024)(_parse_field)


class HeadReader:
    """Takes bytes until they hold a whole response head; interim responses are set aside.

    Every 1xx but 101 is interim (RFC 9110, 15.2): whoever takes a 103 for the final response
    hands the real one to the next request on this connection.

    :ivar interim: the interim heads so far, for whoever passes them on.
    :ivar passed: how many of them have been passed on.
    """

    __slots__ = ("_buffer", "_seen", "interim", "passed")

    def __init__(self) -> None:
        self.interim: list[Head] = []
        self.passed = 0
        self._buffer: bytes | bytearray = b""
        self._seen = 0  # bytes in which no end of a head begins

    @property
    def rest(self) -> bytes:
        """The bytes that followed the final head."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> Head | None:
        """The final head once it is whole; what follows it is then in :attr:`rest`.

        :raises UpstreamBroken: for an invalid or an over-long head.
        """
        if not self._buffer:
            self._buffer = data
        else:
            # In place, so that a head that drips in byte by byte costs no copy for each.
            if isinstance(self._buffer, bytes):
                self._buffer = bytearray(self._buffer)
            self._buffer += data
        while (head := self._next()) is not None:
            if head.status >= 200 or head.status == 101:
                return head
            self.interim.append(head)
            if len(self.interim) > MAX_INTERIM:
                raise UpstreamBroken(f"over {MAX_INTERIM} interim responses", stage="head")
        return None

    def _next(self) -> Head | None:
        found = _HEAD_END.search(self._buffer, self._seen)
        end = len(self._buffer) if found is None else found.start()
        if end > MAX_HEAD:
            raise UpstreamBroken(f"response head over {MAX_HEAD} bytes", stage="head")
        if found is None:
            self._seen = max(0, end - 2)
            return None
        block = bytes(self._buffer[: found.end()])
        if 0 < block.count(b"\r\n") < block.count(b"\n"):
            # Two readers might see two heads here: where lines end is no matter of taste.
            raise UpstreamBroken("line ends of two kinds in the response head", stage="head")
        head = parse_head(block[:end].removesuffix(b"\r"))
        self._buffer = self._buffer[found.end() :]
        self._seen = 0
        return head


class BodyReader(Protocol):
    """Cuts one response body out of the bytes of a connection."""

    done: bool  #: the end has been seen
    clean: bool  #: nothing followed the end: the connection may be used again

    def feed(self, data: bytes) -> bytes:
        """The bytes of the body that are in ``data``."""

    def eof(self) -> None:
        """The upstream closed; raises UpstreamBroken if the body was to go on."""

    @property
    def remaining(self) -> int | None:
        """The bytes of the body that are still to come; ``None`` if that is unknown."""

    @property
    def trailers(self) -> Fields:
        """The trailer fields that came behind the body (RFC 9110, 6.5)."""


class LengthReader:
    """A body of a known length, in bytes; also the empty one."""

    __slots__ = ("clean", "done", "remaining")

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.done = length == 0
        self.clean = True

    @property
    def trailers(self) -> Fields:
        """None: only a chunked body has any."""
        return []

    def feed(self, data: bytes) -> bytes:
        """The part of ``data`` that belongs to the body."""
        if len(data) > self.remaining:
            self.clean = False
            data = data[: self.remaining]
        self.remaining -= len(data)
        self.done = not self.remaining
        return data

    def eof(self) -> None:
        """Refuse an early end."""
        if not self.done:
            raise UpstreamBroken(f"the body ended {self.remaining} bytes early", stage="body")


class OpenReader:
    """A body that ends when the upstream closes (RFC 9112, 6.3, last case)."""

    __slots__ = ("clean", "done")

    remaining = None

    def __init__(self) -> None:
        self.done = self.clean = False

    @property
    def trailers(self) -> Fields:
        """None: only a chunked body has any."""
        return []

    def feed(self, data: bytes) -> bytes:
        """All of ``data``."""
        return data

    def eof(self) -> None:
        """The regular end."""
        self.done = True


class ChunkedReader:
    """A chunked body (RFC 9112, 7.1); chunk extensions are dropped.

    :ivar trailers: the trailer fields, once the body is done.
    """

    __slots__ = (
        "_is_between",
        "_left",
        "_line",
        "_line_done",
        "_trailer",
        "clean",
        "done",
        "trailers",
    )

    remaining = None

    def __init__(self) -> None:
        self.done = False
        self.clean = True
        self.trailers: Fields = []
        self._left = 0  # bytes of the open chunk that are still to come
        self._line = b""  # the part of a line that has come so far
        self._trailer = 0
        self._is_between = True  # at the first byte of a chunk-size line
        self._line_done = self._size

    def feed(self, data: bytes) -> bytes:
        """The payload in ``data``.

        :raises UpstreamBroken: for anything that is no chunk.
        """
        if self._left >= len(data):
            self._left -= len(data)
            return data
        pieces = []
        at, end = 0, len(data)  # an index instead of the rest copied for each chunk
        while at < end and not self.done:
            if self._left:
                piece = data[at : at + self._left]
                self._left -= len(piece)
                at += len(piece)
                pieces.append(piece)
            elif self._is_between and (after := _whole_chunks(data, at, pieces)) > at:
                at = after
            else:
                at = self._take_line(data, at)
        if at < end:
            self.clean = False
        return b"".join(pieces)

    def eof(self) -> None:
        """Refuse an end before the last chunk."""
        if not self.done:
            raise UpstreamBroken("the chunked body broke off", stage="body")

    def _take_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        stop = len(data) if end < 0 else end + 1
        self._line += data[at:stop]
        self._is_between = False
        if len(self._line) > MAX_HEAD:
            raise UpstreamBroken("over-long line in the chunked body", stage="body")
        if end >= 0:
            if not self._line.endswith(b"\r\n"):
                raise UpstreamBroken("bare line feed in the chunked body", stage="body")
            line, self._line = self._line[:-2], b""
            self._line_done(line)
        return stop

    def _size(self, line: bytes) -> None:
        size = _CHUNK_LINE.fullmatch(line)
        if size is None:
            raise UpstreamBroken(f"invalid chunk size {line[:40]!r}", stage="body")
        self._left = int(size[1], 16)
        self._line_done = self._end_of_chunk if self._left else self._end_of_trailers

    def _end_of_chunk(self, line: bytes) -> None:
        if line:
            raise UpstreamBroken("a chunk is longer than its size", stage="body")
        self._is_between = True
        self._line_done = self._size

    def _end_of_trailers(self, line: bytes) -> None:
        self._trailer += len(line)
        if self._trailer > MAX_HEAD:
            raise UpstreamBroken(f"trailers over {MAX_HEAD} bytes", stage="body")
        self.done = not line
        if line:  # RFC 9112, 7.1.2: a trailer section is made of field lines
            self.trailers.append(_parse_field(line.decode("latin-1"), "body")[0])


def _whole_chunks(data: bytes, at: int, pieces: list[bytes]) -> int:
    """Take the plain chunks that lie in ``data`` as a whole; returns where they end.

    Thousands of small ones would cost several calls each otherwise. What is not plain is left to
    the reader, which knows what is wrong with it.
    """
    while (eol := data.find(b"\r\n", at, at + 17)) > at:
        digits = data[at:eol]
        size = int(digits, 16) if _DIGITS.issuperset(digits) else 0
        start = eol + 2
        stop = start + size
        if not size or data[stop : stop + 2] != b"\r\n":
            break
        pieces.append(data[start:stop])
        at = stop + 2
    return at


def body_reader(head: Head, method: str) -> tuple[BodyReader, bool]:
    """What reads the body behind ``head``, and whether the connection lives on after it.

    :param method: of the request; a response to ``HEAD`` has no body.
    :raises UpstreamBroken: for framing that two readers could read differently.

    The cases of RFC 9112, 6.3, in its order.
    """
    alive = _lives_on(head)
    if method == "HEAD" or head.status in (204, 304) or head.status < 200:
        return LengthReader(0), alive
    is_sized = "content-length" in head.names
    if "transfer-encoding" in head.names and (codings := _codings(head)):
        if codings != ["chunked"]:
            raise UpstreamBroken(f"unknown transfer coding {codings}", stage="head")
        # Both framings, or chunks from HTTP/1.0: read it, then trust no more.
        return ChunkedReader(), bool(alive and head.minor and not is_sized)
    if is_sized:
        return LengthReader(content_length(head)), alive
    return OpenReader(), False


def _codings(head: Head) -> list[str]:
    """The transfer codings; ``identity``, which older servers name, is none (RFC 7230, A.2)."""
    codings = ",".join(head.all("transfer-encoding")).lower().split(",")
    return [coding.strip(" \t") for coding in codings if coding.strip(" \t") != "identity"]


def _lives_on(head: Head) -> bool:
    # RFC 9112, 9.3: HTTP/1.1 keeps the connection unless told, HTTP/1.0 closes it unless told.
    if "connection" not in head.names:
        return head.minor > 0
    options = connection_options(",".join(head.all("connection")))
    return "close" not in options if head.minor else "keep-alive" in options


def content_length(head: Head) -> int:
    """The length that a head names, in bytes; it has to name one.

    :raises UpstreamBroken: for one that is no number, and for two that differ.
    """
    length = head.headers[head.names.index("content-length")][1]
    if head.names.count("content-length") > 1 or not length.isdigit():
        values = head.all("content-length")
        # RFC 9112, 6.3: the same value repeated, also as a list, counts as one.
        length, *others = {value.strip(" \t") for value in ",".join(values).split(",")}
        length = "" if others else length
    if not (length.isascii() and length.isdigit()) or len(length) > 18:
        raise UpstreamBroken(f"invalid Content-Length {length[:40]!r}", stage="head")
    return int(length)
