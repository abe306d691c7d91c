"""Taking connections over from real servers."""

from __future__ import annotations

import logging
import socket
import ssl
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import trustme
from waitress.channel import HTTPChannel

from tests.support import RawClient, eventually, get, serve
from tests.support.tunnels import SERVERS, log_of, taker
from wsgiproxy import errors
from wsgiproxy.servers import contract, waitress
from wsgiproxy.servers import hijack as takeover

TAKER: dict[str, Any] = {"app": "tests.support.tunnels:taker"}
UPGRADE = get("/ws", "Connection: Upgrade", "Upgrade: test")


@pytest.mark.parametrize("server", SERVERS)
def test_taken_connection_carries_bytes_both_ways(server: str) -> None:
    with serve(TAKER, server) as address:
        with RawClient(address) as client:
            client.send(UPGRADE)
            assert client.read_response_head().status == 101
            for message in (b"one", b"x" * 100_000, b"three"):
                client.send(message)
                assert client.read_exactly(len(message)) == message
            client.half_close()
            assert client.read_to_end() == b""
            assert client.ended == "eof"
        assert log_of(address) == ""


@pytest.mark.parametrize("server", SERVERS)
def test_bytes_sent_together_with_the_request_are_not_lost(server: str) -> None:
    with serve(TAKER, server) as address, RawClient(address) as client:
        client.send(UPGRADE + b"\x81\x85early\n" + bytes(range(256)))
        assert client.read_response_head().status == 101
        assert client.read_exactly(264) == b"\x81\x85early\n" + bytes(range(256))


@pytest.mark.parametrize("server", SERVERS)
def test_server_goes_on_after_a_takeover(server: str) -> None:
    with serve(TAKER, server) as address, RawClient(address) as tunnel:
        tunnel.send(UPGRADE)
        assert tunnel.read_response_head().status == 101
        for _ in range(3):
            with RawClient(address) as plain:
                assert plain.exchange(get("/plain")).body == b"plain"
        tunnel.send(b"still here")
        assert tunnel.read_exactly(10) == b"still here"


@pytest.mark.parametrize("server", ["waitress", "gunicorn-gthread", "gunicorn-gevent"])
def test_kept_alive_connection_is_taken_over_at_its_second_request(server: str) -> None:
    with serve(TAKER, server) as address, RawClient(address) as client:
        assert client.exchange(get("/plain")).body == b"plain"
        client.send(UPGRADE)
        assert client.read_response_head().status == 101
        client.send(b"hello")
        assert client.read_exactly(5) == b"hello"


@pytest.mark.parametrize("lookahead", [0, 5])
def test_waitress_refuses_when_requests_follow_the_upgrade(lookahead: int) -> None:
    options = {"channel_request_lookahead": lookahead}
    with serve(taker, "waitress", **options) as address, RawClient(address) as client:
        client.send(UPGRADE + get("/plain"))
        response = client.read_response()
        assert response.status == 400
        assert b"behind" in response.body


def test_waitress_is_quiet_about_a_takeover(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serve(taker, "waitress") as address, RawClient(address) as client:
        client.send(UPGRADE)
        assert client.read_response_head().status == 101
        client.send(b"hello")
        assert client.read_exactly(5) == b"hello"
    said = [record for record in caplog.records if record.name == "waitress"]
    assert said == []  # how long its queue is depends on the machine


def test_waitress_frees_its_thread_and_its_place(caplog: pytest.LogCaptureFixture) -> None:
    with serve(taker, "waitress", threads=1, connection_limit=8) as address:
        tunnels = [RawClient(address) for _ in range(30)]
        for tunnel in tunnels:
            tunnel.send(UPGRADE)
            assert tunnel.read_response_head().status == 101
        with RawClient(address) as plain:
            assert plain.exchange(get("/plain")).body == b"plain"
        for tunnel in tunnels:
            tunnel.close()


def test_waitress_without_what_the_adapter_needs_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(contract, "_warned", set())
    monkeypatch.setattr(waitress, "NEEDED", (("trigger",), ("no_such_thing",)))

    class Channel:
        class server:
            trigger = None

        def check(self) -> bool:
            return False

    environ = {
        "SERVER_PROTOCOL": "HTTP/1.1",
        "waitress.client_disconnected": Channel().check,
    }
    assert takeover.find(environ) is None
    assert takeover.find(environ) is None
    assert len(caplog.records) == 1
    message = caplog.records[0].getMessage()
    assert f"waitress {version('waitress')} has changed inside: no_such_thing is not" in message


def test_waitress_has_what_the_adapter_needs() -> None:
    source = Path(sys.modules[HTTPChannel.__module__].__file__ or "").read_text()
    for name in waitress.NEEDED[1]:
        assert hasattr(HTTPChannel, name) or f"self.{name} = " in source or name == "socket"


@pytest.mark.parametrize("environ", [{}, {"werkzeug.socket": None}], ids=["none", "empty"])
def test_server_without_a_socket_gives_no_takeover(environ: dict[str, Any]) -> None:
    assert takeover.find(environ) is None


def test_http_2_connection_is_left_alone() -> None:
    near, far = socket.socketpair()
    with near, far:
        assert takeover.find({"SERVER_PROTOCOL": "HTTP/2", "gunicorn.socket": near}) is None


def test_hidden_read_ahead_refuses_the_takeover() -> None:
    near, far = socket.socketpair()
    with near, far:
        environ = {"werkzeug.socket": near, "wsgi.input": object()}
        found = takeover.find({"SERVER_PROTOCOL": "HTTP/1.1", **environ})
        assert found is not None
        with pytest.raises(errors.HijackRefused, match="hidden"):
            found.hijack()
        near.send(b"untouched")
        assert far.recv(100) == b"untouched"


def test_server_of_a_connection_that_was_taken_reads_an_end_and_no_error() -> None:
    """Whatever it has written meanwhile: a closed pair with unread bytes would be a reset."""
    near, far = socket.socketpair()
    with near, far, near.makefile("rb") as stream:
        environ = {"werkzeug.socket": near, "wsgi.input": stream}
        found = takeover.find({"SERVER_PROTOCOL": "HTTP/1.1", **environ})
        assert found is not None
        with found.hijack().sock:
            near.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            found.release().close()  # type: ignore[attr-defined]
            assert near.recv(1) == b""


def test_client_that_left_is_noticed_by_waitress() -> None:
    outcomes: list[str] = []
    begun, proceed = threading.Event(), threading.Event()

    def late(environ: Any, start_response: Any) -> Any:
        begun.set()
        eventually(environ["waitress.client_disconnected"])
        try:
            takeover.find(environ).hijack()  # type: ignore[union-attr]
        except errors.ClientGone as error:
            outcomes.append(str(error))
        proceed.set()
        start_response("204 No Content", [])
        return []

    with serve(late, "waitress") as address:
        with RawClient(address) as client:
            client.send(UPGRADE)
            assert begun.wait(15)  # waitress drops the request of a client that leaves sooner
        assert proceed.wait(15)
    assert outcomes == ["the client left before its connection was taken over"]


def test_wrapped_start_response_is_not_direct() -> None:
    assert not takeover.is_direct(lambda *args: None)


def test_tls_server_holds_its_worker_and_relays(
    authority: trustme.CA, tmp_path: Path, ca_file: str
) -> None:
    issued = authority.issue_cert("localhost")
    certificate, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    options = {"certfile": certificate, "keyfile": key}
    with serve(TAKER, "gunicorn-gthread", **options) as address:
        context = ssl.create_default_context(cafile=ca_file)
        raw = socket.create_connection(address[:2], 15)
        with context.wrap_socket(raw, server_hostname="localhost") as client:
            client.sendall(UPGRADE + b"early")
            received = b""
            while b"early" not in received:
                received += client.recv(1000)
            assert received.startswith(b"HTTP/1.1 101 ")
            client.sendall(b"y" * 200_000)
            size = 0
            while size < 200_000:
                size += len(client.recv(65536))
            assert size == 200_000
        assert log_of(address) == ""
