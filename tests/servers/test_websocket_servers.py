"""WebSockets through the proxy, with real peers on both sides, on every server."""

from __future__ import annotations

import logging
import os
import signal
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support import GUNICORN, RawClient, get, serve
from tests.support.tunnels import SERVERS, EchoServer, log_of, server_context

HANDSHAKE = get(
    "/p/ws",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


@pytest.fixture(scope="module")
def echo() -> Iterator[EchoServer]:
    with EchoServer() as server:
        yield server


@pytest.fixture(scope="module", params=SERVERS)
def site(request: pytest.FixtureRequest, echo: EchoServer) -> Iterator[Any]:
    """A server with the proxy in it, and the WebSocket upstream at ``/p``."""
    with serve({"routes": {"/p": echo.url}}, request.param) as address:
        yield address
        assert log_of(address) == ""


def websocket(address: Any, path: str = "/p/", **options: Any) -> ClientConnection:
    """A client's connection through the proxy."""
    options = {"max_size": None, "ping_interval": None, "close_timeout": 5} | options
    return connect(f"ws://{address.netloc}{path}", **options)


@pytest.mark.parametrize(
    "message",
    ["text", "", "ünïcödé", b"\x00\xff binary", os.urandom(1 << 20), os.urandom(1 << 24)],
    ids=["text", "empty", "unicode", "binary", "1MB", "16MB"],
)
def test_message_comes_back_as_it_was_sent(site: Any, message: Any) -> None:
    with websocket(site, compression=None) as client:
        client.send(message)
        assert client.recv(timeout=15) == message


def test_compressed_messages_pass(site: Any) -> None:
    with websocket(site, compression="deflate") as client:
        assert client.protocol.extensions
        for text in ("a" * 100_000, "b", "c" * 3000):
            client.send(text)
            assert client.recv(timeout=15) == text


def test_fragmented_message_passes(site: Any) -> None:
    with websocket(site) as client:
        client.send(iter(["one ", "two ", "three"]))
        assert client.recv(timeout=15) == "one two three"


def test_subprotocol_is_negotiated(site: Any) -> None:
    with websocket(site, "/p/subprotocol", subprotocols=["first", "second"]) as client:
        assert client.subprotocol == "second"


def test_pings_are_answered(site: Any) -> None:
    with websocket(site) as client:
        assert client.ping().wait(15)


def test_close_code_and_reason_pass(site: Any) -> None:
    with websocket(site, "/p/close") as client:
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=15)
        assert (client.close_code, client.close_reason) == (4321, "as asked")


def test_first_bytes_with_the_handshake_are_not_lost(site: Any) -> None:
    with websocket(site, "/p/greet") as client:
        assert client.recv(timeout=15) == "hello before you"


def test_refusal_is_an_ordinary_response(site: Any) -> None:
    with pytest.raises(InvalidStatus) as refused:
        websocket(site, "/p/refuse")
    assert refused.value.response.status_code == 403
    assert refused.value.response.body == b"you may not\n"


def test_upstream_that_dies_ends_the_client(site: Any) -> None:
    with websocket(site, "/p/die") as client:
        client.send("now")
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=15)
        assert client.close_code == 1006


def test_ordinary_requests_go_on_beside_tunnels(site: Any) -> None:
    with websocket(site) as client:
        with RawClient(site) as other:
            assert other.exchange(get("/front")).status == 200
        client.send("still")
        assert client.recv(timeout=15) == "still"


def test_secure_websocket_with_a_private_authority(authority: Any, ca_file: str) -> None:
    with EchoServer(tls=server_context(authority, "localhost")) as echo:
        spec = {"routes": {"/p": {"url": echo.url, "ca": ca_file}}}
        with serve(spec, "waitress") as address, websocket(address) as client:
            for message in (b"x" * 5_000_000, "text"):
                client.send(message)
                assert client.recv(timeout=15) == message


def test_secure_websocket_with_an_unknown_authority_is_refused(authority: Any) -> None:
    with (
        EchoServer(tls=server_context(authority, "localhost")) as echo,
        serve({"routes": {"/p": echo.url}}, "waitress") as address,
        pytest.raises(InvalidStatus) as refused,
    ):
        websocket(address)
    assert refused.value.response.status_code == 502


def test_websocket_to_a_unix_socket(tmp_path: Path) -> None:
    with EchoServer(unix=str(tmp_path / "echo.sock")) as echo:
        spec = {"routes": {"/p": echo.url}}
        with serve(spec, "waitress") as address, websocket(address) as client:
            client.send("by file")
            assert client.recv(timeout=15) == "by file"


def test_server_that_speaks_tls_itself_relays_in_its_worker(
    echo: EchoServer, authority: Any, ca_file: str, tmp_path: Path
) -> None:
    issued = authority.issue_cert("localhost")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    options = {"certfile": certificate, "keyfile": key}
    context = ssl.create_default_context(cafile=ca_file)
    with serve({"routes": {"/p": echo.url}}, "gunicorn-gthread", **options) as address:
        with connect(f"wss://localhost:{address.port}/p/", ssl=context, max_size=None) as client:
            for message in (b"z" * 3_000_000, "text"):
                client.send(message)
                assert client.recv(timeout=15) == message
        assert log_of(address) == ""


@pytest.mark.parametrize("server", GUNICORN)
def test_sigterm_ends_the_tunnels_and_the_server_quickly(server: str, echo: EchoServer) -> None:
    with serve({"routes": {"/p": echo.url}}, server, graceful_timeout=60) as address:
        with websocket(address) as client:
            client.send("open")
            assert client.recv(timeout=15) == "open"
            assert address.pid is not None
            os.kill(address.pid, signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=15)
        assert log_of(address) == ""


@pytest.mark.parametrize("server", ["cheroot", "wsgiref"])
def test_server_without_a_socket_answers_501_and_warns_once(
    server: str, echo: EchoServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "wsgiproxy")
    with serve({"routes": {"/p": echo.url}}, server) as address:
        for _ in range(2):
            with RawClient(address) as client:
                response = client.exchange(HANDSHAKE)
            assert response.status == 501
            assert b"waitress" in response.body
    warnings = [r.getMessage() for r in caplog.records if "does not give" in r.getMessage()]
    assert len(warnings) == 1


def test_many_threads_talk_at_once(echo: EchoServer) -> None:
    failures: list[BaseException] = []

    def talk() -> None:
        try:
            with websocket(address) as client:
                for number in range(20):
                    client.send(f"{number}")
                    assert client.recv(timeout=15) == f"{number}"
        except BaseException as error:
            failures.append(error)

    with serve({"routes": {"/p": echo.url}}, "waitress", threads=2) as address:
        threads = [threading.Thread(target=talk) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert failures == []
