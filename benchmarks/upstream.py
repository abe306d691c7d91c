"""An upstream that costs next to nothing, so that the proxy in front of it is what is measured.

``GET /1k``, ``/20k``, ``/100k``, ``/200m`` answer with that many bytes; any request with a body has
it read and thrown away, and is answered with the number of bytes that came.

    python -m benchmarks.upstream [PORT]
"""

from __future__ import annotations

import re
import selectors
import socket
import sys
import threading

SIZES = {"1k": 1 << 10, "20k": 20 << 10, "100k": 100 << 10}
BIG = 200 << 20
_BLOCK = bytes(1 << 18)
_FILLER = b"All that a reverse proxy has to do with a body is to leave it alone.\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


def head(length: int) -> bytes:
    """A response head with the fields that a usual application sends."""
    return (
        b"HTTP/1.1 200 OK\r\n"
        b"Server: upstream\r\n"
        b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
        b"Content-Type: text/html; charset=utf-8\r\n"
        b"Last-Modified: Wed, 31 Dec 2025 00:00:00 GMT\r\n"
        b'ETag: "5f5e1000-400"\r\n'
        b"Cache-Control: max-age=60\r\n"
        b"Content-Length: %d\r\n\r\n" % length
    )


def body(length: int) -> bytes:
    """``length`` bytes of text."""
    return (_FILLER * (length // len(_FILLER) + 1))[:length]


ANSWERS = {f"GET /{name} ".encode(): head(length) + body(length) for name, length in SIZES.items()}


class Upstream:
    """One loop for the small answers; a thread for each big one.

    :ivar port: the port of 127.0.0.1 it listens on.
    """

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._wake, self._waker = socket.socketpair()
        self._selector.register(self._wake, selectors.EVENT_READ)

    def start(self) -> Upstream:
        """Serve in a background thread until :meth:`close`."""
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def serve(self) -> None:
        """Answer until :meth:`close` is called."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._wake:
                    return self._end()
                if key.fileobj is self._listener:
                    client = self._listener.accept()[0]
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._selector.register(client, selectors.EVENT_READ)
                else:
                    self._answer(key.fileobj)  # type: ignore[arg-type]

    def close(self) -> None:
        """Stop :meth:`serve`."""
        self._waker.send(b"x")

    def _end(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()
        self._waker.close()

    def _answer(self, client: socket.socket) -> None:
        try:
            request = client.recv(65536)
        except OSError:
            request = b""
        if not request:
            self._selector.unregister(client)
            client.close()
            return
        answer = ANSWERS.get(request[: request.find(b" ", 4) + 1])
        if answer is not None and request.endswith(b"\r\n\r\n"):
            client.sendall(answer)
            return
        self._selector.unregister(client)
        threading.Thread(target=_serve_big, args=(client, request), daemon=True).start()


def _serve_big(client: socket.socket, received: bytes) -> None:
    """Answer one request at length, and close; proxies must cope with that."""
    with client:
        try:
            while b"\r\n\r\n" not in received:
                received += client.recv(65536)
            if received.startswith(b"GET "):
                _send_big(client)
            else:
                _read_body(client, received)
        except OSError:
            return


def _send_big(client: socket.socket) -> None:
    client.sendall(head(BIG).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    for _ in range(BIG // len(_BLOCK)):
        client.sendall(_BLOCK)


def _read_body(client: socket.socket, received: bytes) -> None:
    start, rest = received.split(b"\r\n\r\n", 1)
    length = _LENGTH.search(start)
    count = len(rest)
    buffer = bytearray(1 << 18)
    tail = rest[-5:]
    while (count < int(length[1])) if length else not tail.endswith(b"0\r\n\r\n"):
        size = client.recv_into(buffer)
        if not size:
            return
        count += size
        tail = (tail + bytes(buffer[max(0, size - 5) : size]))[-5:]
    text = b"%d" % count
    client.sendall(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)
    )


def main() -> None:
    """Serve on the port of the command line, 9999 unless told."""
    upstream = Upstream(int(sys.argv[1]) if len(sys.argv) > 1 else 9999)
    print(f"http://127.0.0.1:{upstream.port}/", flush=True)
    upstream.serve()


if __name__ == "__main__":
    main()
