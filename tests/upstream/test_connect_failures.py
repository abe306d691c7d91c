"""Upstreams that cannot be reached: a name for each way to fail."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import RawUpstream, Site, Wire, get
from tests.support.failures import OK, failed
from wsgiproxy import Route, Upstream

Proxied = Callable[..., Site]


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


@pytest.mark.parametrize("host", ["upstream", "client", "fixed.example"])
def test_request_that_goes_to_the_next_server_is_addressed_to_it(
    proxied: Proxied, closed_port: int, host: str
) -> None:
    refused = f"http://127.0.0.1:{closed_port}"
    with RawUpstream() as good:
        addresses = {
            "upstream": (good.netloc, good.url),
            "client": ("front", "http://front"),
            "fixed.example": ("fixed.example", "http://fixed.example"),
        }
        name, origin = addresses[host]

        ours = (
            "Origin: http://front",
            "Referer: http://front/p/y",
            "Destination: http://front/p/z",
        )
        for headers in (ours, (f"Origin: {refused}0", f"Referer: {refused}0/y")):
            proxied({"/p": Route([refused, good.url], host=host)}).get("/p/x", *headers)

    own, foreign = (request.headers for request in good.requests)
    assert (own.get("Host"), own.get("Origin")) == (name, origin)
    assert own.get("Referer") == (f"{origin}/y" if host != "client" else f"{origin}/p/y")
    assert own.get("Destination") == f"{origin}/z"
    assert foreign.get("Host") == name
    assert foreign.get("Origin") == f"{refused}0"
    assert foreign.get("Referer") == f"{refused}0/y"


def test_upstream_whose_servers_all_refuse_is_a_502_then_a_503(
    proxied: Proxied, closed_port: int
) -> None:
    urls = [f"http://127.0.0.1:{closed_port}", f"http://localhost:{closed_port}"]
    site = proxied({"/p": Upstream(urls)})

    assert site.get("/p/x").status == 502
    response = site.get("/p/x")
    assert response.status == 503
    assert int(response.headers.get("Retry-After") or 0) > 0


def test_only_failures_in_a_row_take_a_server_out(proxied: Proxied, tmp_path: Path) -> None:
    path = tmp_path / "flaky.sock"
    with RawUpstream() as good:
        site = proxied({"/p": Upstream([f"unix:{path}", good.url], max_fails=2)})

        def asked() -> int:
            """How many of two requests, so that each server has its turn, the good one gets."""
            before = len(good.requests)
            assert [site.get("/p/x").status for _ in range(2)] == [200, 200]
            return len(good.requests) - before

        for _ in range(3):
            assert asked() == 2  # one failure
            with RawUpstream(unix=path) as flaky:
                assert (asked(), len(flaky.requests)) == (1, 1)
            path.unlink()
        assert [asked(), asked()] == [2, 2]  # two in a row
        with RawUpstream(unix=path):
            assert asked() == 2


def test_servers_take_turns(proxied: Proxied) -> None:
    with RawUpstream() as one, RawUpstream() as two:
        site = proxied({"/p": Route([one.url, two.url])})

        for _ in range(6):
            assert site.get("/p/x").status == 200
        assert (len(one.requests), len(two.requests)) == (3, 3)
