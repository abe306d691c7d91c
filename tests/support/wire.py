"""Reading HTTP/1.1 messages off a socket, without any of the package's own parsers.

:class:`Wire` is what :class:`~tests.support.RawClient` and the connections of
:class:`~tests.support.RawUpstream` have in common: send bytes, read until a marker,
read a body by its framing, leave politely or rudely.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from collections.abc import Iterable, Iterator

from .deadline import DEADLINE

__all__ = ["Headers", "PeerClosed", "Wire", "message"]

BLOCK = 65536


class PeerClosed(Exception):
    """The other side ended the connection before all that was asked for had come.

    ``partial`` holds what did come; ``how`` is ``"eof"`` or ``"reset"``.
    """

    def __init__(self, partial: bytes, how: str) -> None:
        super().__init__(f"{how} after {len(partial)} bytes: {partial[-200:]!r}")
        self.partial = partial
        self.how = how


class Headers(list[tuple[str, str]]):
    """An ordered list of name and value pairs (latin-1), with look-ups by name."""

    @classmethod
    def parse(cls, lines: Iterable[bytes]) -> Headers:
        """The pairs of raw header lines; what has no colon gets an empty value."""
        split = (line.decode("latin-1").partition(":") for line in lines)
        return cls((name, value.strip(" \t")) for name, _, value in split)

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order; names compare without case."""
        return [value for key, value in self if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """The one value of a header, or ``None``; more than one is an error."""
        values = self.all(name)
        assert len(values) < 2, f"{name} is repeated: {values}"
        return values[0] if values else None

    def names(self) -> list[str]:
        """The names in order, in lower case."""
        return [name.lower() for name, _ in self]


def message(
    start: str | bytes, headers: Iterable[tuple[str, str] | str] = (), body: bytes = b""
) -> bytes:
    """The bytes of a message: start line, headers as given, an empty line, the body.

    Nothing is added, a ``Content-Length`` neither. Text is written as latin-1.
    """
    lines = [start if isinstance(start, bytes) else start.encode("latin-1")]
    for header in headers:
        text = header if isinstance(header, str) else f"{header[0]}: {header[1]}"
        lines.append(text.encode("latin-1"))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Wire:
    """One connected socket with a read buffer; every wait has a deadline."""

    def __init__(self, sock: socket.socket, timeout: float = DEADLINE) -> None:
        self.sock = sock
        self.sock.settimeout(timeout)
        self.buffer = b""
        #: ``""`` while open, then how the other side ended: ``"eof"`` or ``"reset"``.
        self.ended = ""

    # -- writing -----------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send all of ``data``."""
        self.sock.sendall(data)

    def send_chunk(self, data: bytes) -> None:
        """Send one chunk of a chunked body (an empty one ends it)."""
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    # -- reading -----------------------------------------------------------------

    def read_some(self) -> bytes:
        """What is there, or the next piece that arrives; ``b""`` at the end."""
        if self.buffer:
            data, self.buffer = self.buffer, b""
            return data
        return self._receive()

    def read_until(self, marker: bytes) -> bytes:
        """Everything up to and including ``marker``; raises :class:`PeerClosed`."""
        while marker not in self.buffer:
            self._fill()
        end = self.buffer.index(marker) + len(marker)
        data, self.buffer = self.buffer[:end], self.buffer[end:]
        return data

    def read_exactly(self, size: int) -> bytes:
        """``size`` bytes; raises :class:`PeerClosed` with the part that came."""
        pieces: list[bytes] = []
        while size:
            try:
                if not self.buffer:
                    self._fill()
            except PeerClosed as gone:
                raise PeerClosed(b"".join(pieces), gone.how) from None
            piece, self.buffer = self.buffer[:size], self.buffer[size:]
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def read_to_end(self) -> bytes:
        """All bytes until the other side closes or resets; ``ended`` tells which."""
        pieces = []
        while piece := self.read_some():
            pieces.append(piece)
        return b"".join(pieces)

    def read_head(self) -> tuple[bytes, list[bytes]]:
        """The raw head of a message, and its lines without their line ends."""
        head = self.read_until(b"\r\n\r\n")
        return head, head[:-4].split(b"\r\n")

    def iter_chunks(self) -> Iterator[bytes]:
        """The chunks of a chunked body one by one, trailers read and dropped."""
        while True:
            line = self.read_until(b"\r\n")
            size = int(line.split(b";")[0], 16)
            if not size:
                while self.read_until(b"\r\n") != b"\r\n":
                    pass
                return
            data = self.read_exactly(size)
            assert self.read_exactly(2) == b"\r\n", "a chunk is longer than its size says"
            yield data

    def is_silent(self, seconds: float = 0.05) -> bool:
        """Whether nothing, not even an end, arrives for so many seconds."""
        if self.buffer:
            return False
        readable, _, _ = select.select([self.sock], [], [], seconds)
        return not readable

    def wait_closed(self) -> str:
        """Read and drop until the other side ends: ``"eof"`` or ``"reset"``."""
        self.read_to_end()
        return self.ended

    def _fill(self) -> None:
        data = self._receive()
        if not data:
            raise PeerClosed(self.buffer, self.ended)
        self.buffer += data

    def _receive(self) -> bytes:
        try:
            data = self.sock.recv(BLOCK)
        except (ConnectionError, BrokenPipeError):
            self.ended = "reset"
            return b""
        if not data:
            self.ended = "eof"
        return data

    # -- leaving -----------------------------------------------------------------

    def half_close(self) -> None:
        """Say that nothing more will be sent; the other direction stays open."""
        with contextlib.suppress(OSError):  # the other side may have reset it meanwhile
            self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a TCP reset: what is unsent is dropped, the other side gets an error."""
        linger = struct.pack("ii", 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.sock.close()

    def close(self) -> None:
        """Close; may be called twice."""
        self.sock.close()

    def abort_waits(self) -> None:
        """Wake whoever reads or writes this socket in another thread."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
