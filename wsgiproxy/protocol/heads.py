"""How the head of an HTTP/1.1 response is read.

urllib3 opens and verifies the connections; what goes over them is read here, because a proxy
must not change a byte and ``http.client`` changes many. Bytes in, values out: nothing here
touches a socket, so worker threads and the relay share it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from ..errors import UpstreamBroken

__all__ = ["MAX_HEAD", "MAX_INTERIM", "Fields", "Head", "HeadReader", "parse_field", "parse_head"]

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
_BARE_END = re.compile(rb"\n\r?\n")


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
    if "\r\n " in text or "\r\n\t" in text:
        # RFC 9112, 5.2: a proxy replaces an obsolete line folding with spaces. A status line
        # has none: what is left of it there is no field line.
        first, _, rest = text.partition("\r\n")
        text = first + "\r\n" + re.sub(r"\r\n[ \t]+", " ", rest)
    first, *lines = text.split("\r\n")
    minor, status, reason = _parse_status(first)
    # Most lines come again and again; to remember one takes a tenth of reading it.
    fields = list(map(_known_field if len(text) < 2000 else parse_field, lines))
    return Head(minor, status, reason, [field[0] for field in fields], [f[1] for f in fields])


@lru_cache(64)
def _parse_status(line: str) -> tuple[int, int, str]:
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        raise UpstreamBroken(f"invalid status line {line[:80]!r}", stage="head")
    return int(found[1]), int(found[2]), found[3] or ""


def parse_field(line: str, stage: str = "head") -> tuple[tuple[str, str], str]:
    """One field line: name and value, and the name lower-cased.

    :param stage: of the exchange, for the error.
    :raises UpstreamBroken: if it is none (RFC 9112, 5).
    """
    found = _FIELD_LINE.fullmatch(line)
    if found is None:
        raise UpstreamBroken(f"invalid field line {line[:80]!r}", stage=stage)
    return (found[1], found[2].strip(" \t")), found[1].lower()


_known_field = lru_cache(1024)(parse_field)


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
        end = self._buffer.find(b"\r\n\r\n", self._seen)
        bare = None if end >= 0 else self._bare_end()
        if bare is not None:
            end = bare.start()
        if end > MAX_HEAD or (end < 0 and len(self._buffer) > MAX_HEAD):
            raise UpstreamBroken(f"response head over {MAX_HEAD} bytes", stage="head")
        if end < 0:
            self._seen = max(0, len(self._buffer) - 3)
            return None
        block = bytes(self._buffer[:end])
        head = parse_head(block if bare is None else block.replace(b"\n", b"\r\n"))
        self._buffer = self._buffer[end + 4 if bare is None else bare.end() :]
        self._seen = 0
        return head

    def _bare_end(self) -> re.Match[bytes] | None:
        """The end of a head of bare line feeds, if it is here.

        A reader may take a bare LF for a line end (RFC 9112, 2.2). Both kinds in one head are
        refused at once: two readers could see two heads there.
        """
        found = _BARE_END.search(self._buffer, self._seen)
        if found is not None and self._buffer.find(b"\r", 0, found.end()) >= 0:
            raise UpstreamBroken("line ends of two kinds in the response head", stage="head")
        return found
