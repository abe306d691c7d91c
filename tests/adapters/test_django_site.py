"""A real Django site with services behind it and inside it, in a process of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.support import Address, RawClient, RawUpstream, eventually, message
from tests.support.auth import PAGE, Visitor, received, serve_apart, service, told

SERVERS = ("waitress", "gunicorn-gthread")


@pytest.fixture(scope="module")
def behind() -> Iterator[RawUpstream]:
    """The service."""
    with RawUpstream() as upstream:
        upstream.script(service)
        yield upstream


@pytest.fixture(scope="module", params=SERVERS)
def site(request: pytest.FixtureRequest, behind: RawUpstream) -> Iterator[Address]:
    """The site, on each server."""
    with serve_apart(
        "tests.adapters.django_site.site:create", request.param, upstream=behind.url
    ) as address:
        yield address


@pytest.fixture
def upstream(behind: RawUpstream) -> RawUpstream:
    """The service without what it was asked before."""
    behind.requests.clear()
    return behind


@pytest.fixture
def visitor(site: Address) -> Visitor:
    """Somebody who is not logged in."""
    return Visitor(site)


def log_in(visitor: Visitor, name: str) -> Visitor:
    response = visitor.submit("/accounts/login/", username=name, password="secret")
    assert response.status == 302, response.body
    return visitor


# -- in front of Django ---------------------------------------------------------------------


def test_user_logs_in_and_out_upstream_sees_the_name_while_it_lasts(visitor: Visitor) -> None:
    assert "remote-user" not in told(visitor.ask("/named/"))["headers"]
    log_in(visitor, "alice")
    headers = told(visitor.ask("/named/"))["headers"]
    assert headers["remote-user"] == "alice"
    assert headers["remote-email"] == "alice@example.org"
    assert headers["x-groups"] == "UTF-8''a%2Cb,editors"
    token = re.search(rb'value="(\w+)"', visitor.page("/accounts/login/").body)
    assert token
    visitor.ask("/accounts/logout/", f"X-CSRFToken: {token[1].decode()}", method="POST")
    assert "remote-user" not in told(visitor.ask("/named/"))["headers"]


def test_old_service_gets_its_header_with_underscore(visitor: Visitor) -> None:
    log_in(visitor, "bob")
    found = told(visitor.ask("/old/", "Remote-User: root"))
    assert [n for n in found["names"] if "remote" in n.lower()] == ["REMOTE_USER"]
    assert found["headers"]["remote_user"] == "bob"


@pytest.mark.parametrize(("name", "sent"), [
    ("zo\xeb", "zo\xeb"),
    ("\u5f20\u4e09", "UTF-8''%E5%BC%A0%E4%B8%89"),
], ids=["latin-1", "beyond"])  # fmt: skip
def test_name_beyond_ascii_arrives_unambiguous(visitor: Visitor, name: str, sent: str) -> None:
    log_in(visitor, name)
    for target in ("/named/", "/private/"):
        assert told(visitor.ask(target))["headers"]["remote-user"] == sent


def test_forged_session_cookie_is_nobody(visitor: Visitor) -> None:
    headers = told(visitor.ask("/named/", "Cookie: sessionid=abcdefgh", "Remote-User: root"))
    assert "remote-user" not in headers["headers"]


def test_finding_the_user_costs_no_query_for_visitors(visitor: Visitor) -> None:
    assert json.loads(visitor.ask("/queries").body) == {"user": None, "queries": []}
    log_in(visitor, "alice")
    found = json.loads(visitor.ask("/queries").body)
    assert found["user"] == "alice"
    users = [sql for sql in found["queries"] if "auth_user" in sql]
    sessions = [sql for sql in found["queries"] if "django_session" in sql]
    assert (len(users), len(sessions), len(found["queries"])) == (1, 1, 2)


def test_user_who_is_no_longer_active_is_nobody(visitor: Visitor) -> None:
    log_in(visitor, "bob")
    assert told(visitor.ask("/named/"))["headers"]["remote-user"] == "bob"
    visitor.ask("/active/bob/0")
    try:
        assert "remote-user" not in told(visitor.ask("/named/"))["headers"]
        assert visitor.ask("/private/").status == 302
    finally:
        visitor.ask("/active/bob/1")


def test_guarded_page_leads_to_login_and_back(visitor: Visitor, upstream: RawUpstream) -> None:
    response = visitor.page("/guarded/report?q=1")
    assert response.status == 302
    assert response.headers.get("Location") == ("/accounts/login/?next=/guarded/report%3Fq%3D1")
    assert not upstream.requests
    log_in(visitor, "alice")
    headers = told(visitor.ask("/guarded/report?q=1", "X-Level: 9", "X_Mail: x"))["headers"]
    assert headers["x-mail"] == "alice@example.org"
    assert "x-level" not in headers


def test_guarded_fetch_and_websocket_get_401(visitor: Visitor, upstream: RawUpstream) -> None:
    response = visitor.ask("/guarded/api", "Accept: application/json")
    assert (response.status, response.headers.get("Content-Type")) == (
        401, "application/json; charset=utf-8",
    )  # fmt: skip
    with visitor.websocket("/guarded/ws") as (_, response):
        assert response.status == 401
    assert not upstream.requests


def test_guarded_websocket_of_user_is_tunnelled(visitor: Visitor) -> None:
    log_in(visitor, "alice")
    with visitor.websocket("/guarded/ws") as (client, response):
        assert response.status == 101
        client.send(b"ping")
        assert client.read_until(b"ping") == b"echo ping"


# -- inside Django -----------------------------------------------------------------------


@pytest.mark.parametrize("target", [
    "/a%2Fb", "/a%252Fb", "/a%20b", "/a+b", "/%e2%9c%93", "/%ff", "/a//b", "//a", "/~u;v=1",
    "/x?b=2&a=1&b=3", "/x?q=a%20b", "/x?", "/x?a[]=%zz", "/100%", "/p/http://evil/", "/@evil/",
    "/", "/a.b/./c",
])  # fmt: skip
def test_view_passes_the_target_as_the_client_spelt_it(visitor: Visitor, target: str) -> None:
    assert told(visitor.ask("/view" + target))["target"] == target


@pytest.mark.parametrize("target", ["/../admin", "/%2e%2e/admin", "/..%2fadmin"])
def test_view_refuses_to_leave_its_upstream(
    visitor: Visitor, upstream: RawUpstream, target: str
) -> None:
    assert visitor.ask("/view" + target).status == 400
    assert not upstream.requests


@pytest.mark.parametrize("method", [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE",
])  # fmt: skip
def test_view_takes_every_method_without_csrf_token(
    visitor: Visitor, upstream: RawUpstream, method: str
) -> None:
    body = b"a=1" if method in ("POST", "PUT", "PATCH") else b""
    response = visitor.ask("/view/x", "Content-Type: text/odd", method=method, body=body)
    assert response.status == 200
    record = upstream.request
    assert (record.method, record.body) == (method, body)
    assert record.headers.get("Content-Type") == "text/odd"


def test_view_keeps_repeats_spelling_reason_and_cookies(visitor: Visitor, site: Address) -> None:
    response = visitor.ask("/view/repeats")
    assert (response.status, response.reason) == (299, "Odd Reason")
    assert response.headers.all("X-Twice") == ["one", "two"]
    if site.log is not None:  # waitress spells names its own way
        assert b"x-odd-CASE: 1" in response.head
    assert sorted(response.headers.all("Set-Cookie")) == [
        'a="2 3"; Path=/view/other',
        "a=1; Path=/view/; Weird=yes; HttpOnly",
        "sessionid=theirs; Path=/view/",
    ]


def test_view_maps_redirects_under_its_url(visitor: Visitor) -> None:
    response = visitor.ask("/view/moved")
    assert (response.status, response.headers.get("Location")) == (
        302, "/view/inside?next=http://other/",
    )  # fmt: skip


@pytest.mark.parametrize(("target", "kind"), [
    ("/notype", "application/octet-stream"), ("/notype.css", "text/css"),
])  # fmt: skip
def test_view_names_a_missing_type(visitor: Visitor, target: str, kind: str) -> None:
    assert visitor.ask("/view" + target).headers.get("Content-Type") == kind


def test_view_passes_errors_and_chunks(visitor: Visitor) -> None:
    response = visitor.ask("/view/missing")
    assert (response.status, response.body) == (404, b"nothing")
    assert visitor.ask("/view/chunks").body == b"helloworld"


def test_view_below_another_spelling_keeps_the_rest_raw(visitor: Visitor) -> None:
    assert told(visitor.ask("/%76iew/a%2Fb"))["target"] == "/a%2Fb"


def test_view_glued_to_its_path_joins_with_one_slash(visitor: Visitor) -> None:
    assert told(visitor.ask("/glued/a%2Fb"))["target"] == "/base/a%2Fb"


def test_view_for_one_page_asks_for_that_page(visitor: Visitor) -> None:
    assert told(visitor.ask("/one?x=1"))["target"] == "/status.json?x=1"


def test_view_at_the_root_has_no_prefix(visitor: Visitor) -> None:
    assert told(visitor.ask("/everywhere/a%2Fb"))["target"] == "/everywhere/a%2Fb"
    assert told(visitor.ask("/simple/a%2Fb//c"))["target"] == "/a%2Fb//c"


def test_view_that_fetches_by_urllib3_keeps_the_response(visitor: Visitor) -> None:
    response = visitor.ask("/fetched/repeats")
    assert (response.status, response.reason, response.body) == (299, "Odd Reason", b"x")
    assert response.headers.all("X-Twice") == ["one", "two"]
    assert len(response.headers.all("Set-Cookie")) == 3
    assert visitor.ask("/fetched/chunks").body == b"helloworld"


def test_private_view_sends_to_login_then_names_the_user(
    visitor: Visitor, upstream: RawUpstream
) -> None:
    response = visitor.page("/private/x")
    assert (response.status, response.headers.get("Location")) == (
        302, "/accounts/login/?next=/private/x",
    )  # fmt: skip
    with visitor.websocket("/private/ws") as (_, refused):
        assert refused.status == 302
    assert not upstream.requests
    log_in(visitor, "alice")
    assert told(visitor.ask("/private/x", "Remote_User: root"))["headers"]["remote-user"] == "alice"
    with visitor.websocket("/private/ws") as (client, response):
        assert response.status == 101
        client.send(b"ping")
        assert client.read_until(b"ping") == b"echo ping"
    assert upstream.requests[-1].headers.get("Remote-User") == "alice"


@pytest.mark.parametrize("spelling", [
    "Remote-User", "Remote_User", "remote--user", "HTTP_REMOTE_USER", "HTTP-HTTP-Remote-User",
    "X-Remote-User", "X-Forwarded-User", "X-Forwarded-For", "Forwarded", "Proxy",
])  # fmt: skip
def test_view_passes_no_claim_of_the_client(visitor: Visitor, spelling: str) -> None:
    found = told(visitor.ask("/view/x", f"{spelling}: evil-claim"))
    assert "evil-claim" not in str(found["headers"])


def test_permission_lets_some_users_pass(visitor: Visitor, upstream: RawUpstream) -> None:
    log_in(visitor, "bob")
    assert visitor.ask("/perm/x").status == 403
    assert not upstream.requests
    log_in(visitor, "alice")
    headers = told(visitor.ask("/perm/x", "X-Forwarded-For: 1.2.3.4"))["headers"]
    assert headers["remote-user"] == "alice"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-prefix"] == "/perm"


def test_subclass_changes_headers_and_path(visitor: Visitor) -> None:
    found = told(visitor.ask("/extra/a b".replace(" ", "%20"), "X-Unwanted: 1", "X-Kept: 1"))
    assert found["target"] == "/v1/a%20b"
    assert (found["headers"]["x-extra"], found["headers"]["x_under"]) == ("yes", "kept")
    assert "X_Under" in found["names"]
    assert "x-unwanted" not in found["headers"]
    assert found["headers"]["x-kept"] == "1"


def test_subclass_chooses_the_upstream(visitor: Visitor) -> None:
    assert told(visitor.ask("/team/red/x"))["target"] == "/red/x"
    assert told(visitor.ask("/team/blue/x"))["target"] == "/blue/x"


@pytest.mark.parametrize(("target", "location"), [
    ("/rules/old/a%2Fb?x=1", "/rules/new/a/b?x=1"),
    ("/rules/old/%0d%0aSet-Cookie:a=b", "/rules/new/%0D%0ASet-Cookie:a=b"),
    ("/rules/out/x?y", "https://other.example/x?y"),
    ("/rules/bare//evil.example/", "/evil.example/"),
    ("/rules/bare/%5cevil.example/", "/%5Cevil.example/"),
    ("/rules/named", "/"),
])  # fmt: skip
def test_rewrite_redirects_before_the_upstream_hears_of_it(
    visitor: Visitor, upstream: RawUpstream, target: str, location: str
) -> None:
    response = visitor.ask(target, method="POST")
    # Django's patterns see no line breaks, so such a URL is another page or none.
    if response.status != 404 or "%0d" not in target:
        assert (response.status, response.headers.get("Location")) == (302, location)
    assert "Set-Cookie" not in response.headers.names()
    assert not upstream.requests


def test_options_for_cookies_spaces_and_empty_bodies(
    visitor: Visitor, upstream: RawUpstream
) -> None:
    assert visitor.ask("/view/cookies").headers.all("Set-Cookie") == ["no equals", "good=1"]
    assert visitor.ask("/strict/cookies").headers.all("Set-Cookie") == ["good=1"]
    assert told(visitor.ask("/plus/a%20b+c"))["target"] == "/a+b+c"
    assert "content-length" not in told(visitor.ask("/empty/x", method="POST"))["headers"]
    assert told(visitor.ask("/view/x", method="POST"))["headers"]["content-length"] == "0"


def test_view_with_auth_asks_the_site_itself(visitor: Visitor, upstream: RawUpstream) -> None:
    assert visitor.ask("/asked/x").status == 401
    assert visitor.page("/asked/x").headers.get("Location") == "/accounts/login/?next=/asked/x"
    assert not upstream.requests
    log_in(visitor, "alice")
    assert told(visitor.ask("/asked/x"))["headers"]["x-mail"] == "alice@example.org"


def test_wrong_scheme_of_upstream_is_a_server_error(visitor: Visitor) -> None:
    assert visitor.ask("/scheme/x").status == 500


def test_themed_view_puts_pages_into_the_template(visitor: Visitor) -> None:
    log_in(visitor, "alice")
    response = visitor.page("/themed/page")
    assert response.status == 200
    assert response.body.startswith(b"<!DOCTYPE html>")
    for part in (b"Our Site, alice", b"<h1>Hello</h1>", b"<title>Service</title>"):
        assert part in response.body
    assert visitor.ask("/themed/page", "X-Requested-With: XMLHttpRequest").body == PAGE
    assert visitor.ask("/themed/page", "X-Diazo-Off: yes").body == PAGE
    assert visitor.page("/bare/page").body == PAGE


def test_upload_streams_through_the_view(site: Address, upstream: RawUpstream) -> None:
    half = b"x" * 300_000
    head = message(
        "POST /view/upload HTTP/1.1",
        ["Host: front", "Content-Type: multipart/form-data; boundary=b", "Content-Length: 600000"],
    )
    with RawClient(site) as client:
        client.send(head + half)
        if site.log is not None:  # waitress reads a whole body first
            eventually(lambda: received["bytes"] > 100_000, what="the first half upstream")
        client.send(half)
        assert client.read_response().body == b"600000"


def test_events_pass_at_once_and_end_with_the_client(site: Address, upstream: RawUpstream) -> None:
    with RawClient(site) as client:
        client.send(message("GET /view/events HTTP/1.1", ["Host: front"]))
        assert client.read_until(b"data: first\n\n")
        record = upstream.request
    connection = upstream.connections[record.connection]
    eventually(connection.finished.is_set, what="the upstream is told")


def test_client_of_the_sites_own_tests_sees_the_response(visitor: Visitor) -> None:
    found = json.loads(visitor.ask("/inside").body)
    assert 'name="a"' in found.pop("posted")
    assert found == {
        "status": 299,
        "reason": "Odd Reason",
        "content": "x",
        "cookie": "1",
        "path": "/view/",
        "twice": "one, two",
        "streamed": "helloworld",
    }


def test_half_a_response_is_never_told_to_be_a_whole_one(visitor: Visitor) -> None:
    response = visitor.ask("/view/half", allow_cut=True)
    assert (response.body, response.complete) == (b"half of it", False)
