"""Upstreams that cannot be reached, answer nonsense, or take too long: a name for each."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support import RawResponse, RawUpstream, Site, UpstreamConnection, Wire, call, front, get
from wsgiproxy import ConfigurationError, ProxyMiddleware, Route, Upstream

Proxied = Callable[..., Site]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port where nobody listens: bound by us, so that nobody else can."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def failed(site: Site, caplog: pytest.LogCaptureFixture, *headers: str) -> RawResponse:
    """The answer to a request that fails; checks what is true of every such answer."""
    response = site.get("/p/<script>alert(1)</script>?token=s3cret", *headers)
    records = [r for r in caplog.records if r.name.startswith("wsgiproxy")]
    assert len(records) == 1, [r.getMessage() for r in records]
    line = records[0].getMessage()
    text = (response.head + response.body).decode("latin-1")
    assert re.search(r"\b[0-9a-f]{8,}\b", line)[0] in text, "the id of the log line"
    assert "\n" not in line
    assert "s3cret" not in line
    assert not re.search(r"127\.0\.0\.1|localhost|Traceback|\.py|<script>", text)
    assert response.complete
    assert response.headers.get("X-Content-Type-Options") == "nosniff"
    assert "charset" in (response.headers.get("Content-Type") or "") or response.headers.get(
        "Content-Type"
    ) in ("application/json", "application/problem+json")
    assert response.headers.get("Proxy-Status")
    return response


def broken(raw: bytes) -> Callable[[UpstreamConnection], None]:
    """A script: read a request, send these bytes, close."""

    def handler(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(raw)

    return handler


# -- no connection -----------------------------------------------------------------------------


def test_refused_connection_is_a_502(
    proxied: Proxied, closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    site = proxied({"/p": f"http://127.0.0.1:{closed_port}"})

    response = failed(site, caplog)

    assert response.status == 502
    assert "connection_refused" in (response.headers.get("Proxy-Status") or "")
    assert "stage=connect" in caplog.text
    assert f"127.0.0.1:{closed_port}" in caplog.text


def test_unresolvable_name_is_a_502(proxied: Proxied, caplog: pytest.LogCaptureFixture) -> None:
    response = failed(proxied({"/p": "http://no-such-host.invalid"}), caplog)

    assert response.status == 502
    assert "dns_error" in (response.headers.get("Proxy-Status") or "")


def test_name_that_no_resolver_takes_is_a_502(proxied: Proxied) -> None:
    assert proxied({"/p": f"http://{'a' * 70}.invalid"}).get("/p/x").status == 502


def test_connection_that_is_never_accepted_is_a_504(
    proxied: Proxied, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):  # the queue is full now: nothing answers a SYN
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        site = proxied({"/p": f"http://127.0.0.1:{full.getsockname()[1]}"}, connect_timeout=0.3)

        response = failed(site, caplog)

    assert response.status == 504
    assert "connection_timeout" in (response.headers.get("Proxy-Status") or "")


def test_unix_socket_that_is_not_there_is_a_502(
    proxied: Proxied, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert failed(proxied({"/p": f"unix:{tmp_path}/none"}), caplog).status == 502


def test_unix_socket_is_asked(proxied: Proxied, unix_upstream: RawUpstream) -> None:
    site = proxied({"/p": f"unix:{unix_upstream.address}"})

    assert site.get("/p/a%2Fb").body == b"ok"
    assert unix_upstream.request.target == "/a%2Fb"
    assert unix_upstream.request.headers.get("Host") == "localhost"


def test_name_with_two_addresses_is_tried_at_both(proxied: Proxied) -> None:
    # The upstream listens on 127.0.0.1 only; localhost may be ::1 first.
    site = proxied()
    name = site.upstream.url.replace("127.0.0.1", "localhost")

    assert proxied({"/p": name}).get("/p/x").body == b"ok"


def test_ipv6_upstream_is_asked(proxied: Proxied) -> None:
    with RawUpstream(host="::1") as upstream:
        assert proxied({"/p": upstream.url}).get("/p/x").body == b"ok"
        assert upstream.request.headers.get("Host") == f"[::1]:{upstream.port}"


def test_upstream_that_comes_back_is_asked_at_once(proxied: Proxied) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        site = proxied({"/p": f"http://127.0.0.1:{listener.getsockname()[1]}"})
        assert [site.get("/p/x").status for _ in range(2)] == [502, 502]

        listener.listen()
        client = site.connect()
        client.send(get("/p/x"))
        with contextlib.closing(Wire(listener.accept()[0])) as conn:
            conn.read_head()
            conn.send(OK)
            assert client.read_response().body == b"ok"


# -- several servers ---------------------------------------------------------------------------


def test_server_that_refuses_is_passed_over(proxied: Proxied, closed_port: int) -> None:
    with RawUpstream() as good:
        site = proxied({"/p": Upstream([f"http://127.0.0.1:{closed_port}", good.url])})

        assert [site.get("/p/x").status for _ in range(4)] == [200] * 4
        assert len(good.requests) == 4


def test_upstream_whose_servers_all_refuse_is_a_502_then_a_503(
    proxied: Proxied, closed_port: int
) -> None:
    urls = [f"http://127.0.0.1:{closed_port}", f"http://localhost:{closed_port}"]
    site = proxied({"/p": Upstream(urls)})

    assert site.get("/p/x").status == 502
    response = site.get("/p/x")
    assert response.status == 503
    assert int(response.headers.get("Retry-After") or 0) > 0


def test_servers_take_turns(proxied: Proxied) -> None:
    with RawUpstream() as one, RawUpstream() as two:
        site = proxied({"/p": Route([one.url, two.url])})

        for _ in range(6):
            assert site.get("/p/x").status == 200
        assert (len(one.requests), len(two.requests)) == (3, 3)


# -- TLS ---------------------------------------------------------------------------------------


def test_verified_upstream_is_asked(
    proxied: Proxied, tls_upstream: RawUpstream, ca_file: str
) -> None:
    site = proxied({"/p": tls_upstream.url}, ca=ca_file)

    assert [site.get("/p/x").body for _ in range(2)] == [b"ok", b"ok"]
    assert len(tls_upstream.connections) == 1
    assert tls_upstream.requests[0].headers.get("Host") == tls_upstream.netloc
    assert tls_upstream.requests[0].headers.get("X-Forwarded-Proto") == "http"


def test_large_bodies_pass_through_tls(
    proxied: Proxied, tls_upstream: RawUpstream, ca_file: str
) -> None:
    from tests.support import post

    body = b"0123456789" * 100_000
    tls_upstream.respond(
        lambda request: (
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request.body) + request.body
        )
    )
    site = proxied({"/p": tls_upstream.url}, ca=ca_file)

    assert site.exchange(post("/p/x", body)).body == body


@pytest.mark.parametrize("framing", [b"Content-Length: 99\r\n", b"Connection: close\r\n"])
def test_tls_cut_without_goodbye_is_a_cut(
    proxied: Proxied, tls_upstream: RawUpstream, ca_file: str, framing: bytes
) -> None:
    tls_upstream.script(broken(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\nhalf"))
    site = proxied({"/p": tls_upstream.url}, ca=ca_file)

    response = site.get("/p/x")

    # A body that ends with the connection cannot be told from a truncated one (RFC 9112, 9.8).
    assert not response.complete or b"close" in framing


def test_unknown_authority_is_a_502(
    proxied: Proxied, tls_upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    response = failed(proxied({"/p": tls_upstream.url}), caplog)

    assert response.status == 502
    assert "tls_certificate_error" in (response.headers.get("Proxy-Status") or "")
    assert not tls_upstream.requests


def test_certificate_of_another_name_is_a_502(
    proxied: Proxied, authority: trustme.CA, ca_file: str, caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    with RawUpstream(tls=context) as upstream:
        response = failed(proxied({"/p": upstream.url}, ca=ca_file), caplog)

        assert response.status == 502
        assert "tls_certificate_error" in (response.headers.get("Proxy-Status") or "")
        assert not upstream.requests


def test_unverified_upstream_is_asked_only_if_it_is_written(
    proxied: Proxied, tls_upstream: RawUpstream
) -> None:
    assert proxied({"/p": tls_upstream.url}, verify=False).get("/p/x").body == b"ok"


def test_plain_upstream_asked_for_tls_is_a_502(
    proxied: Proxied, upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.script(lambda conn: conn.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    site = proxied({"/p": upstream.url.replace("http:", "https:")})

    assert failed(site, caplog).status == 502


def test_tls_upstream_asked_for_plain_is_a_502(
    proxied: Proxied, tls_upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    site = proxied({"/p": tls_upstream.url.replace("https:", "http:")})

    assert failed(site, caplog).status == 502


def test_tls_handshake_that_stalls_is_a_504(
    proxied: Proxied, upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.script(lambda conn: conn.wait_closed())
    site = proxied({"/p": upstream.url.replace("http:", "https:")}, connect_timeout=0.3)

    assert failed(site, caplog).status == 504


def test_client_certificate_is_shown(
    proxied: Proxied, authority: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    mine = authority.issue_cert("me@example.org")
    pem = tmp_path / "client.pem"
    mine.private_key_and_cert_chain_pem.write_to_path(str(pem))
    with RawUpstream(tls=context) as upstream:
        assert proxied({"/p": upstream.url}, ca=ca_file).get("/p/x").status == 502
        site = proxied({"/p": upstream.url}, ca=ca_file, client_cert=str(pem))
        assert site.get("/p/x").body == b"ok"


@pytest.mark.parametrize("option", ["ca", "client_cert"])
def test_certificate_file_that_is_missing_is_told_at_start(option: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"{option}.*none.pem"):
        Route("https://localhost", **{option: str(tmp_path / "none.pem")})


# -- no valid head ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", id="half-a-head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="half-a-header"),
        pytest.param(b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n", id="only-interim"),
        pytest.param(b"HTTP/1.1 103 Early\r\n\r\n" * 200 + OK, id="interim-flood"),
        pytest.param(b"hello\r\n\r\n", id="http-0.9"),
        pytest.param(b"<html></html>", id="html"),
        pytest.param(b"SSH-2.0-OpenSSH_9.0\r\n", id="ssh"),
        pytest.param(b"HTTP/2 200\r\n\r\n", id="http-2"),
        pytest.param(b"HTTP/1.1 abc\r\n\r\n", id="no-code"),
        pytest.param(b"HTTP/1.1 200 OK\nA: b\n\n", id="bare-lf"),
        pytest.param(b"HTTP/1.1 200 O\rK\r\n\r\n", id="reason-with-cr"),
        pytest.param(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", id="no-colon"),
        pytest.param(b"HTTP/1.1 200 OK\r\n: v\r\n\r\n", id="no-name"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", id="space-before-colon"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\x00\r\n\r\n", id="nul"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n", id="bare-cr"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70000 + b"\r\n\r\n", id="70-kb-line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab", id="two-lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="negative-length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab", id="unknown-coding"),
        pytest.param(
            b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            id="unasked-upgrade",
        ),
    ],
)
def test_answer_that_is_no_http_is_a_502_and_asked_for_once(
    proxied: Proxied, upstream: RawUpstream, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.script(broken(raw))

    response = failed(proxied(), caplog)

    assert response.status == 502
    assert "stage=head" in caplog.text
    assert "party=upstream" in caplog.text
    assert len(upstream.requests) == 1
    upstream.respond(OK)
    assert proxied().get("/p/next").body == b"ok"


def test_head_reset_is_a_502(proxied: Proxied, caplog: pytest.LogCaptureFixture) -> None:
    def reset(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(b"HTTP/1.1 200")
        conn.reset()

    site = proxied()
    site.upstream.script(reset)

    assert failed(site, caplog).status == 502


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Early\r\n\r\n"])
def test_head_that_does_not_come_is_a_504(
    proxied: Proxied, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    def stall(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(sent)
        conn.wait_closed()

    site = proxied(read_timeout=0.3)
    site.upstream.script(stall)

    response = failed(site, caplog)

    assert response.status == 504
    assert "http_response_timeout" in (response.headers.get("Proxy-Status") or "")


def test_head_in_drops_is_bounded_as_a_whole(proxied: Proxied) -> None:
    stop = threading.Event()

    def dribble(conn: UpstreamConnection) -> None:
        conn.read_request()
        for letter in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000:
            conn.send(bytes([letter]))
            if stop.wait(0.02):
                return

    site = proxied(read_timeout=0.5)
    site.upstream.script(dribble)

    assert site.get("/p/x").status == 504
    stop.set()


def test_retry_after_is_the_clients_business(proxied: Proxied) -> None:
    site = proxied()
    raw = b"HTTP/1.1 503 Busy\r\nRetry-After: 21600\r\nContent-Length: 0\r\n\r\n"
    site.upstream.respond(raw)

    response = site.get("/p/x")

    assert (response.status, response.headers.get("Retry-After")) == (503, "21600")
    assert len(site.upstream.requests) == 1


# -- error pages and hooks ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("application/json", "application/json"),
        ("text/html;q=0.1, application/json;q=0.9", "application/json"),
        ("text/plain", "text/plain"),
        ("*/*", "text/"),
        ("image/png", "text/"),
        ("nonsense", "text/"),
        (";;;,,,q=", "text/"),
    ],
)
def test_error_page_is_of_a_kind_that_the_client_takes(
    proxied: Proxied, closed_port: int, caplog: pytest.LogCaptureFixture, accept: str, kind: str
) -> None:
    site = proxied({"/p": f"http://127.0.0.1:{closed_port}"})

    response = failed(site, caplog, f"Accept: {accept}")

    assert kind in (response.headers.get("Content-Type") or "")
    if "json" in kind:
        assert json.loads(response.body)


def test_error_page_has_no_body_for_head(proxied: Proxied, closed_port: int) -> None:
    site = proxied({"/p": f"http://127.0.0.1:{closed_port}"}, validate=True)
    client = site.connect()

    response = client.exchange(get("/p/x", method="HEAD"))

    assert response.status == 502
    assert client.is_silent()


def test_error_hook_may_answer(proxied: Proxied, closed_port: int) -> None:
    import webob

    def hook(error: Any, request: Any) -> Any:
        body = f"{error.status} {error.stage} {request.method}"
        return webob.Response(body, status=599, content_type="text/plain")

    site = proxied({"/p": f"http://127.0.0.1:{closed_port}"}, on_error=hook)

    response = site.get("/p/x")

    assert (response.status, response.body) == (599, b"502 connect GET")


def test_failures_are_counted(closed_port: int) -> None:
    app = ProxyMiddleware(front, {"/p": f"http://127.0.0.1:{closed_port}"})
    for _ in range(3):
        call(app, "/p/x")

    assert app.failures == {"UpstreamUnreachable": 3}


def test_failure_of_the_client_is_logged_at_debug(
    upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "wsgiproxy")
    app = ProxyMiddleware(front, {"/p": upstream.url})

    assert call(app, "/p/../x").status.startswith("400")

    assert [r.levelno for r in caplog.records if "400" in r.getMessage()] == [logging.DEBUG]


def test_secrets_are_not_logged(
    proxied: Proxied, closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for routes in (None, {"/p": f"http://127.0.0.1:{closed_port}"}):
        proxied(routes).get("/p/x?t=s3cret", "Authorization: Basic s3cret", "Cookie: a=s3cret")

    assert "s3cret" not in caplog.text
