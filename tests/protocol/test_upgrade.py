"""Which requests ask for another protocol, and which 101 answers them."""

from __future__ import annotations

import base64
import hashlib

import pytest

from wsgiproxy.errors import UpstreamBroken
from wsgiproxy.protocol.http1 import Head, parse_head
from wsgiproxy.protocol.upgrade import WEBSOCKET_GUID, asked_for, check, switching_head

ALLOWED = ("websocket", "Tunnel/2")
ASKED = {
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_CONNECTION": "keep-alive, Upgrade",
    "HTTP_UPGRADE": "websocket",
}


@pytest.mark.parametrize(
    ("changes", "protocol"),
    [
        pytest.param({}, "websocket", id="websocket"),
        pytest.param({"HTTP_UPGRADE": "WebSocket"}, "WebSocket", id="own-spelling"),
        pytest.param({"HTTP_UPGRADE": "tunnel/2"}, "tunnel/2", id="another"),
        pytest.param({"HTTP_UPGRADE": "h2c, websocket"}, "websocket", id="first-allowed"),
        pytest.param({"HTTP_UPGRADE": "tunnel/2,websocket"}, "tunnel/2", id="client-prefers"),
        pytest.param({"HTTP_UPGRADE": "h2c"}, None, id="not-allowed"),
        pytest.param({"HTTP_UPGRADE": ""}, None, id="empty"),
        pytest.param({"HTTP_UPGRADE": None}, None, id="no-upgrade"),
        pytest.param({"HTTP_CONNECTION": "keep-alive"}, None, id="not-named"),
        pytest.param({"HTTP_CONNECTION": None}, None, id="no-connection"),
        pytest.param({"HTTP_CONNECTION": "UPGRADE"}, "websocket", id="any-case"),
        pytest.param({"SERVER_PROTOCOL": "HTTP/1.0"}, None, id="http-1.0"),
        pytest.param({"SERVER_PROTOCOL": "HTTP/2"}, None, id="http-2"),
        pytest.param({"REQUEST_METHOD": "POST"}, None, id="post-websocket"),
        pytest.param(
            {"REQUEST_METHOD": "POST", "HTTP_UPGRADE": "websocket, tunnel/2"},
            "tunnel/2",
            id="post-another",
        ),
        pytest.param({"CONTENT_LENGTH": "0"}, "websocket", id="length-0"),
        pytest.param({"CONTENT_LENGTH": ""}, "websocket", id="length-empty"),
        pytest.param({"CONTENT_LENGTH": "1"}, None, id="body"),
        pytest.param({"HTTP_TRANSFER_ENCODING": "chunked"}, None, id="chunked-body"),
    ],
)
def test_upgrade_is_asked_for_by_a_whole_handshake_only(
    changes: dict[str, str | None], protocol: str | None
) -> None:
    environ = {key: value for key, value in {**ASKED, **changes}.items() if value is not None}

    assert asked_for(environ, ALLOWED) == protocol


KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = base64.b64encode(hashlib.sha1((KEY + WEBSOCKET_GUID).encode()).digest()).decode()
TOLD = {"HTTP_SEC_WEBSOCKET_KEY": KEY, "HTTP_SEC_WEBSOCKET_PROTOCOL": "chat, superchat"}
PROOF = f"Sec-WebSocket-Accept: {ACCEPT}"
UPGRADE = "Upgrade: websocket"


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([UPGRADE, "Connection: Upgrade", PROOF], id="plain"),
        pytest.param(["Upgrade: WebSocket", "Connection: upgrade", PROOF], id="any-case"),
        pytest.param([UPGRADE, "Connection: keep-alive, Upgrade", PROOF], id="list"),
        pytest.param(
            [UPGRADE, "Connection: keep-alive", "Connection: Upgrade", PROOF], id="two-lines"
        ),
        pytest.param(
            [UPGRADE, "Connection: Upgrade", PROOF, "Sec-WebSocket-Protocol: superchat"],
            id="subprotocol",
        ),
    ],
)
def test_switch_that_was_asked_for_is_accepted(lines: list[str]) -> None:
    check(_switched(lines), TOLD, "websocket")


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([UPGRADE, PROOF], id="no-connection"),
        pytest.param([UPGRADE, "Connection: close", PROOF], id="connection-says-else"),
        pytest.param(["Connection: Upgrade", PROOF], id="no-upgrade"),
        pytest.param(["Upgrade: h2c", "Connection: Upgrade", PROOF], id="another"),
        pytest.param([UPGRADE, UPGRADE, "Connection: Upgrade", PROOF], id="upgrade-twice"),
        pytest.param([UPGRADE, "Connection: Upgrade"], id="no-proof"),
        pytest.param([UPGRADE, "Connection: Upgrade", PROOF.lower()], id="proof-in-lower-case"),
        pytest.param([UPGRADE, "Connection: Upgrade", PROOF, PROOF], id="proof-twice"),
        pytest.param(
            [UPGRADE, "Connection: Upgrade", PROOF, "Sec-WebSocket-Protocol: other"],
            id="subprotocol-not-offered",
        ),
        pytest.param(
            [UPGRADE, "Connection: Upgrade", PROOF, "Sec-WebSocket-Protocol: CHAT"],
            id="subprotocol-in-another-case",
        ),
        pytest.param(
            [
                *(UPGRADE, "Connection: Upgrade", PROOF),
                *("Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: superchat"),
            ],
            id="two-subprotocols",
        ),
    ],
)
def test_switch_to_anything_else_is_refused(lines: list[str]) -> None:
    with pytest.raises(UpstreamBroken) as refused:
        check(_switched(lines), TOLD, "websocket")

    assert refused.value.error == "http_upgrade_failed"
    assert refused.value.stage == "head"


def test_switch_of_http_1_0_is_refused() -> None:
    lines = [UPGRADE, "Connection: Upgrade", PROOF]

    with pytest.raises(UpstreamBroken):
        check(_switched(lines, "HTTP/1.0"), TOLD, "websocket")


def test_other_protocol_needs_no_proof() -> None:
    check(_switched(["Upgrade: Tunnel/2", "Connection: Upgrade"]), {}, "tunnel/2")


def test_switching_head_is_exact() -> None:
    head = switching_head([("X-A", "1"), ("CONTENT-LENGTH", "0"), ("X-B", "\xff")], "Tunnel/2")

    assert head == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: Tunnel/2\r\nConnection: Upgrade\r\n"
        b"X-A: 1\r\nX-B: \xff\r\n\r\n"
    )


def _switched(lines: list[str], version: str = "HTTP/1.1") -> Head:
    return parse_head("\r\n".join([f"{version} 101 Switching", *lines]).encode())
