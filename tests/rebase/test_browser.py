"""A service that believes it lives at ``/``, visited under a prefix in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.rebase.conftest import Visit
from tests.support import eventually

Start = Callable[..., Visit]


def test_page_loads_without_asking_the_site(visited: Visit) -> None:
    page, service = visited.page, visited.service
    page.wait_for_load_state("networkidle")

    wanted = "/static/app.css /static/more.css /static/main.js /static/dep.js /img/css.png"
    assert set(wanted.split()) | {"/img/style.png", "/framed"} <= set(service.paths())
    assert page.evaluate("getComputedStyle(title).color") == "rgb(1, 2, 3)"
    assert page.evaluate("picture.complete && picture.naturalWidth") == 1
    assert page.evaluate("moduleValue") == "dep"
    assert page.frame_locator("#frame").locator("#where").inner_text() == "/framed"
    assert set(visited.front.paths) <= {"/favicon.ico"}


def test_modules_stay_one_module_each(visited: Visit) -> None:
    assert visited.page.evaluate("sameModule && relative")
    assert visited.service.paths().count("/static/dep.js") == 1
    assert visited.run("return (await lazily('lazy')).answer") == 42
    assert visited.page.evaluate("new URL(metaUrl).pathname") == "/app/static/main.js"


# JavaScript, and what it must give: the path at which the request reached the service.
CALLS = {
    "fetch": "return (await (await fetch('/api/a?b=1')).json()).path",
    "fetch-own-address": "return (await (await fetch(address.replace('ws:', 'http:')"
    ".replace('/ws', '/api/a?b=1'))).json()).path",
    "fetch-url-object": "return (await (await fetch(new URL('/api/a?b=1', location))).json()).path",
    "fetch-request": "return (await (await fetch(new Request('/api/a?b=1'))).json()).path",
    "fetch-json-island": "return (await (await fetch(inline.base + '/a?b=1')).json()).path",
    "fetch-climbing": "return (await (await fetch('../api/a?b=1')).json()).path",
    "fetch-prefixed": "return (await (await fetch('/app/api/a?b=1')).json()).path",
    "xhr": "return await new Promise(done => { const x = new XMLHttpRequest(); x.onload = () =>"
    " done(JSON.parse(x.response).path); x.open('GET', '/api/a?b=1'); x.send(); })",
}


@pytest.mark.parametrize("script", CALLS.values(), ids=CALLS)
def test_request_from_a_script_reaches_the_service(loaded: Visit, script: str) -> None:
    assert loaded.run(script) == "/api/a?b=1"


def test_beacon_reaches_the_service(loaded: Visit) -> None:
    loaded.run("navigator.sendBeacon('/api/beacon', 'bye')")

    eventually(lambda: loaded.service.bodies.get("/api/beacon") == b"bye")


def test_post_with_a_body_reaches_the_service(loaded: Visit) -> None:
    script = "return (await (await fetch('/api/a', {method: 'PUT', body: 'x'})).json()).body"

    assert loaded.run(script) == "x"


SOCKETS = {
    "location": "'ws://' + location.host + '/ws'",
    "own-address": "address",
    "url-object": "new URL('/ws', location.href.replace('http', 'ws'))",
}


@pytest.mark.parametrize("url", SOCKETS.values(), ids=SOCKETS)
def test_websocket_reaches_the_service(loaded: Visit, url: str) -> None:
    script = (
        f"const s = new WebSocket({url}); return await new Promise((done, fail) => {{ s.onerror ="
        " fail; s.onopen = () => s.send('hi'); s.onmessage = m => done([m.data, s instanceof"
        " WebSocket, s.readyState === WebSocket.OPEN]); })"
    )

    assert loaded.run(script) == ["echo hi", True, True]


def test_event_source_reaches_the_service(loaded: Visit) -> None:
    script = (
        "const s = new EventSource('/events'); return await new Promise(done => { s.onmessage ="
        " m => { s.close(); done(m.data) } })"
    )

    assert loaded.run(script) == "tick"


def test_worker_lives_under_the_prefix(loaded: Visit) -> None:
    script = (
        "const w = new Worker('/static/worker.js'); return await new Promise((done, fail) => {"
        " w.onerror = fail; w.onmessage = m => done(m.data); w.postMessage(1) })"
    )
    part, echo, path = loaded.run(script)

    assert (part, echo["path"], path) == ("part", "/api/echo", "/app/static/worker.js")


def test_websocket_of_a_worker_reaches_the_service(visit: Start) -> None:
    visited = visit()  # only there a browser says that it wants a worker
    visited.open()
    script = (
        "const w = new Worker('/static/socket-worker.js'); return await new Promise((done, fail)"
        " => { w.onerror = fail; w.onmessage = m => done(m.data) })"
    )

    assert visited.run(script) == "echo hi"


def test_service_worker_gets_a_scope_under_the_prefix(visit: Start) -> None:
    visited = visit()
    visited.open()
    script = (
        "await navigator.serviceWorker.register('/sw.js', {scope: '/'});"
        " const r = await navigator.serviceWorker.ready; return new URL(r.scope).pathname"
    )

    assert visited.run(script) == "/app/"
    assert visited.run("return (await (await caches.open('v1')).keys()).map(r => r.url)") == [
        visited.url + "/app/static/app.css"
    ]


MARKUP = {
    "property": "const i = new Image(); i.src = '/img/dyn.png'; document.body.append(i)",
    "attribute": "const i = new Image(); i.setAttribute('src', '/img/dyn.png')",
    "inner-html": "title.innerHTML = '<img src=\"/img/dyn.png\">'",
    "inner-html-bare": "title.innerHTML = '<img alt=x src=/img/dyn.png>'",
    "insert-adjacent": "title.insertAdjacentHTML('beforeend', \"<img src='/img/dyn.png'>\")",
    "srcset": "const i = new Image(); i.srcset = '/img/dyn.png 1x'; document.body.append(i)",
    "style-attribute": "title.setAttribute('style', 'background: url(/img/dyn.png)')",
    "style-property": "title.style.backgroundImage = 'url(/img/dyn.png)'",
    "style-element": "const s = document.createElement('style'); s.textContent ="
    " '#title { background: url(/img/dyn.png) }'; document.head.append(s)",
    "frame-without-script": "const f = document.createElement('iframe'); f.srcdoc ="
    " '<img src=/img/dyn.png>'; document.body.append(f)",
    "image-from-template": "const t = document.createElement('template'); t.innerHTML ="
    " '<img src=/img/dyn.png>'; document.body.append(t.content.cloneNode(true))",
}


@pytest.mark.parametrize("script", MARKUP.values(), ids=MARKUP)
def test_markup_made_by_a_script_loads_from_the_service(visited: Visit, script: str) -> None:
    visited.run(script)

    eventually(lambda: "/img/dyn.png" in visited.service.paths(), what="the picture is asked for")
    assert "/img/dyn.png" not in visited.front.paths


def test_address_changed_by_a_script_stays_under_the_prefix(visited: Visit) -> None:
    page = visited.page
    page.evaluate("history.pushState({}, '', '/items/1')")
    assert page.url == visited.url + "/app/items/1"

    page.reload()
    assert page.locator("#where").inner_text() == "/items/1"


GOES = {
    "link": "document.getElementById('link').click()",
    "link-to-own-address": "document.getElementById('own').click()",
    "link-from-script": "late.href = '/items/7'; late.click()",
    "location-href": "location.href = '/items/7'",
    "location-assign": "location.assign('/items/7')",
    "location-replace": "location.replace('/items/7')",
    "location-root": "location.href = '/'",
    "form": "document.getElementById('form').submit()",
}


@pytest.mark.parametrize("script", GOES.values(), ids=GOES)
def test_navigation_stays_with_the_service(visited: Visit, script: str) -> None:
    with visited.page.expect_navigation():
        visited.page.evaluate(f"() => {{ {script} }}")

    assert visited.page.url.startswith(visited.url + "/app/")
    assert visited.page.title() != "front"


def test_cookie_comes_back_to_the_service_only(visited: Visit) -> None:
    visited.run("document.cookie = 'a=1; path=/'; document.cookie = 'b=2; path=/api'")

    assert visited.run("return (await (await fetch('/api/x')).json()).cookie") == "b=2; a=1"
    visited.open("/own")
    assert visited.page.evaluate("document.cookie") == ""


def test_cookie_that_must_be_for_the_whole_host_stays_so(visit: Start) -> None:
    visited = visit()  # a trustworthy origin
    visited.open()

    assert visited.run(
        "document.cookie = '__Host-a=1; path=/; secure'; return document.cookie"
    ) == ("__Host-a=1")


def test_cookie_of_a_response_comes_back_to_the_service(visited: Visit) -> None:
    visited.page.locator("#form button").click()
    expect(visited.page.locator("#where")).to_have_text("/items/")

    assert visited.run("return (await (await fetch('/api/x')).json()).cookie") == "s=1"


def test_window_opened_by_a_script_shows_the_service(visited: Visit) -> None:
    with visited.page.context.expect_page() as opened:
        visited.run("window.open('/items/9')")

    expect(opened.value.locator("#where")).to_have_text("/items/9")


SITES_OWN = {
    "own-page": ("/own", "/own", "front /own"),
    "missing-page": ("/items/3", "/app/items/3", "/items/3"),
}


@pytest.mark.parametrize(("path", "reached", "text"), SITES_OWN.values(), ids=SITES_OWN)
def test_site_keeps_its_own_pages(visited: Visit, path: str, reached: str, text: str) -> None:
    # An absolute link to the site is meant for the site, as far as that has such a page.
    visited.service.pages["/links"] = f'<!doctype html><a id=go href="{visited.url}{path}">go</a>'
    visited.open("/app/links").click("#go")

    expect(visited.page.locator("#where")).to_have_text(text)
    assert visited.page.url == visited.url + reached


def test_stranger_is_not_sent_on(visited: Visit) -> None:
    visited.open("/items/3")

    assert visited.page.locator("#where").inner_text() == "front /items/3"


POLICIES = {
    "none": [],
    "self": ["default-src 'self'; style-src 'self' 'unsafe-inline'"],
    "nonce": ["script-src 'nonce-abc'"],
    "strict-dynamic": ["script-src 'nonce-abc' 'strict-dynamic' https:"],
    "own-address": ["script-src %(own)s 'unsafe-inline'; connect-src %(own)s"],
    "two": ["script-src 'nonce-abc'", "default-src 'self' 'unsafe-inline'"],
    "inline-only": ["script-src 'unsafe-inline'"],
}


@pytest.mark.parametrize("policies", POLICIES.values(), ids=POLICIES)
def test_policy_of_the_page_lets_our_script_in_and_no_other(
    visit: Start, policies: list[str]
) -> None:
    visited = visit()
    service, page = visited.service, visited.page
    page.add_init_script(
        "window.refused = []; addEventListener('securitypolicyviolation', event =>"
        " refused.push(event.blockedURI))"
    )
    service.page_headers = [
        ("Content-Security-Policy", policy.replace("%(own)s", service.url)) for policy in policies
    ]
    service.pages["/strict"] = (
        "<!doctype html><head><meta charset=utf-8><title>strict</title></head><body>"
        "<script src=https://cdn.example/x.js></script><script nonce=abc type=module src=/m.js>"
        "</script>"
    )
    visited.open("/app/strict")

    assert page.evaluate('Symbol.for("wsgiproxy.rebase:/app") in window')
    page.wait_for_function(f"refused.length >= {len(policies) and 1}")
    assert set(page.evaluate("refused")) <= {"https://cdn.example/x.js", visited.url + "/app/m.js"}


def test_page_that_forbids_scripts_gets_none(visit: Start) -> None:
    visited = visit()
    visited.service.page_headers = [("Content-Security-Policy", "script-src 'none'")]
    visited.open("/app/plain")

    assert "wsgiproxy" not in visited.page.content()


def test_router_that_reads_its_base_from_the_page_works(visit: Start) -> None:
    visited = visit()
    visited.service.pages["/"] = (
        '<!doctype html><base href="/"><p id=where></p><script>const base = new URL('
        "document.baseURI).pathname; where.textContent = '/' + location.pathname.slice("
        "base.length)</script>"
    )
    visited.service.pages["/items/5"] = visited.service.pages["/"]
    visited.open("/app/items/5")

    assert visited.page.locator("#where").inner_text() == "/items/5"


def test_script_is_fetched_once_and_kept(visit: Start) -> None:
    visited = visit()
    fetched: list[str] = []
    visited.page.on("request", lambda request: fetched.append(request.url))
    visited.open()
    visited.open("/app/items/1")

    scripts = {url for url in fetched if "wsgiproxy" in url}
    response = visited.page.request.get(scripts.pop())
    assert not scripts
    assert "immutable" in response.headers["cache-control"]
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"


def test_without_rebase_nothing_is_changed(visit: Start) -> None:
    visited = visit(rebase=False)
    page = visited.open()

    assert page.get_attribute("#link", "href") == "/items/7?x=1&y=2"
    assert "/static/app.css" in visited.front.paths
