"""A real browser: a page behind the prefix whose script opens a WebSocket and an EventSource."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from tests.support import RawUpstream, Site, eventually
from wsgiproxy.relay import relay

PAGE = b"""<!DOCTYPE html><title>live</title><script>
const heard = {socket: [], events: [], closed: null};
const base = location.host + location.pathname;
const socket = new WebSocket("ws://" + base + "ws", ["chat"]);
socket.binaryType = "arraybuffer";
socket.onopen = () => { socket.send("hello"); socket.send(new Uint8Array(300000)); };
socket.onmessage = message => heard.socket.push(
    typeof message.data === "string" ? message.data : message.data.byteLength);
socket.onclose = event => { heard.closed = event.code; };
const events = new EventSource("events");
events.onmessage = event => heard.events.push(event.data);
</script>"""


class Live:
    """The upstream: the page, its events, its WebSocket that echoes."""

    def __init__(self) -> None:
        self.tick = threading.Event()
        self.left = threading.Event()

    def __call__(self, conn: Any) -> None:
        while True:
            request = conn.read_request()
            if request.target == "/ws":
                self.talk(conn, request)
                return
            if request.target == "/events":
                self.send_events(conn)
                return
            body = PAGE if request.target == "/" else b""
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n"
            conn.send(head % len(body) + body)

    def send_events(self, conn: Any) -> None:
        conn.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        conn.send_chunk(b"data: first\n\n")
        assert self.tick.wait(30)
        conn.send_chunk(b"data: second\n\n")
        conn.sock.settimeout(60)
        conn.read_to_end()
        self.left.set()

    def talk(self, conn: Any, request: Any) -> None:
        protocol = ServerProtocol(subprotocols=[Subprotocol("chat")])
        protocol.receive_data(request.head)
        (asked,) = protocol.events_received()
        assert isinstance(asked, Request)
        protocol.send_response(protocol.accept(asked))
        echo = {
            Opcode.TEXT: protocol.send_text,
            Opcode.BINARY: protocol.send_binary,
            Opcode.CONT: protocol.send_continuation,
        }
        while not protocol.close_expected():
            for data in protocol.data_to_send():
                conn.send(data)
            protocol.receive_data(conn.read_some())
            for frame in protocol.events_received():
                if isinstance(frame, Frame) and frame.opcode in echo:
                    echo[frame.opcode](frame.data, frame.fin)
        for data in protocol.data_to_send():
            conn.send(data)


def test_page_talks_and_listens_through_the_prefix(
    browser: Browser, proxied: Callable[..., Site], upstream: RawUpstream
) -> None:
    live = Live()
    upstream.script(live)
    site = proxied(prefix="/live", server_options={"threads": 1})
    page = browser.new_page()
    page.goto(f"{site.address.url}/live/")
    page.wait_for_function("heard.socket.length == 2 && heard.events.length == 1")
    assert page.evaluate("[socket.protocol, heard]") == [
        "chat",
        {"socket": ["hello", 300000], "events": ["first"], "closed": None},
    ]
    # Both stay open, and the one worker thread is free.
    eventually(lambda: relay.counts() == {"tunnels": 1, "streams": 1})
    assert site.get("/front").status == 200
    live.tick.set()
    page.wait_for_function("heard.events.length == 2")
    page.evaluate("socket.close(3001, 'enough')")
    page.wait_for_function("heard.closed == 3001")
    page.close()
    assert live.left.wait(15)
    eventually(lambda: relay.counts() == {"tunnels": 0, "streams": 0})
