"""``HostProxy`` and ``TransparentProxy``: the call of WSGIProxy2, and where it may lead."""

from __future__ import annotations

from typing import Any

import pytest
import webtest

from tests.support import RawClient, RawUpstream, call, message, serve
from wsgiproxy import ConfigurationError, HostProxy, TransparentProxy


def test_webtest_reaches_a_real_server_by_its_url(upstream: RawUpstream) -> None:
    upstream.respond(
        message(
            "HTTP/1.1 201 Made", ["Content-Type: text/plain", "X: y", "Content-Length: 5"], b"hello"
        )
    )
    app = webtest.TestApp(upstream.url + "#urllib3")

    response = app.post("/a?b=c", {"d": "e"}, headers={"X-Test": "t"}, status=201)

    assert (response.text, response.headers["X"]) == ("hello", "y")
    request = upstream.request
    assert (request.method, request.target, request.body) == ("POST", "/a?b=c", b"d=e")
    assert request.headers.get("X-Test") == "t"


@pytest.mark.parametrize("client", [None, "urllib3", "requests", "httplib"])
def test_every_client_name_of_wsgiproxy2_is_taken(upstream: RawUpstream, client: Any) -> None:
    app = HostProxy(upstream.url, client=client, timeout=5)

    assert call(app, "/x").body == b"ok"


def test_host_proxy_refuses_methods_that_are_not_allowed(upstream: RawUpstream) -> None:
    app = HostProxy(upstream.url, None, ["GET"])

    answer = call(app, "/x", REQUEST_METHOD="POST")

    assert answer.status.startswith("405")
    assert ("Allow", "GET") in answer.headers
    assert not upstream.requests


@pytest.mark.parametrize(("strip", "target"), [(True, "/x"), (False, "/mount/x")])
def test_script_name_is_stripped_or_kept(upstream: RawUpstream, strip: bool, target: str) -> None:
    app = HostProxy(upstream.url, strip_script_name=strip)

    call(app, "/x", SCRIPT_NAME="/mount")

    assert upstream.request.target == target


def test_host_proxy_keeps_the_base_path(upstream: RawUpstream) -> None:
    call(HostProxy(upstream.url + "/base/"), "/x%2F", REQUEST_URI="/x%252F")

    assert upstream.request.target == "/base/x%252F"


def test_host_proxy_is_served_like_any_application(upstream: RawUpstream) -> None:
    with serve(HostProxy(upstream.url)) as address, RawClient(address) as client:
        response = client.exchange(b"GET /p%2Fx?y HTTP/1.1\r\nHost: front\r\n\r\n")

    assert response.body == b"ok"
    assert upstream.request.target == "/p%2Fx?y"


def test_unknown_option_of_host_proxy_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="timeot"):
        HostProxy("http://localhost:1", timeot=3)


# -- TransparentProxy -----------------------------------------------------------------------------


def test_transparent_proxy_reaches_allowed_hosts_only(upstream: RawUpstream) -> None:
    app = TransparentProxy([upstream.netloc])

    assert call(app, "/x", HTTP_HOST=upstream.netloc).body == b"ok"
    assert upstream.request.headers.get("Host") == upstream.netloc


@pytest.mark.parametrize(
    "host",
    [
        *("evil", "", "127.0.0.1", "127.0.0.1:22", "127.1:PORT", "localhost:PORT", "0:PORT"),
        *("[::1]:PORT", "[::ffff:127.0.0.1]:PORT", "127.0.0.1:PORT@evil", "evil#127.0.0.1:PORT"),
        *("127.0.0.1:0PORT", "127.0.0.1:PORT.evil", "127.0.0.1:PORT, evil", "2130706433:PORT"),
        "127.0.0.1:99999",
    ],
)
def test_transparent_proxy_refuses_all_other_hosts(upstream: RawUpstream, host: str) -> None:
    app = TransparentProxy([upstream.netloc])

    answer = call(app, "/x", HTTP_HOST=host.replace("PORT", str(upstream.port)))

    assert answer.status.startswith(("403", "400"))
    assert not upstream.connections


def test_transparent_proxy_is_not_led_astray_by_the_target(upstream: RawUpstream) -> None:
    with RawUpstream() as inside:
        app = TransparentProxy([upstream.netloc])
        with serve(app) as address, RawClient(address) as client:
            lines = [f"GET {inside.url}/x HTTP/1.1", f"Host: {upstream.netloc}"]
            client.exchange("\r\n".join(lines).encode() + b"\r\n\r\n")

        assert not inside.connections


def test_transparent_proxy_needs_a_list_of_hosts() -> None:
    with pytest.raises(ConfigurationError, match="allowed_hosts"):
        TransparentProxy([])


def test_transparent_proxy_takes_no_single_string() -> None:
    with pytest.raises((ConfigurationError, TypeError)):
        TransparentProxy("localhost:8000")
