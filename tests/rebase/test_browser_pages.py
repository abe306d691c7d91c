"""Pages that policies, hashes or service workers stand behind, in a real browser."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import pytest

from tests.rebase.conftest import Visit
from tests.rebase.service import STATIC
from tests.support import eventually

Start = Callable[..., Visit]

HEARD = (
    "window.refused = []; addEventListener('securitypolicyviolation', event =>"
    " refused.push(event.blockedURI + ' ' + event.violatedDirective))"
)
SHEET = "#title { color: rgb(1, 2, 3); background: url(/img/a.png) }"
STYLE = "color: rgb(1, 2, 3); background: url(/img/a.png)"
IMPORTS = '{"imports": {"dep": "/static/dep.js"}}'
MODULE = (
    '<script type="module" nonce="abc">import { value } from "dep"; window.value = value</script>'
)


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


POLICIES = {
    "sheet": (f"style-src {_hash(SHEET)}", f"<style>{SHEET}</style>"),
    "sheet-by-nonce": (f"style-src 'nonce-abc' {_hash('x')}", f"<style nonce=abc>{SHEET}</style>"),
    "sheet-by-default": (f"default-src 'self' {_hash(SHEET)}", f"<style>{SHEET}</style>"),
    "attribute": (f"style-src 'unsafe-hashes' {_hash(STYLE)}", None),
}


@pytest.mark.parametrize("is_meta", [False, True], ids=["header", "meta"])
@pytest.mark.parametrize(("policy", "style"), POLICIES.values(), ids=POLICIES)
def test_style_that_a_policy_knows_by_its_hash_still_counts(
    visit: Start, policy: str, style: str | None, is_meta: bool
) -> None:
    visited = visit()
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">' if is_meta else ""
    visited.service.page_headers = [] if is_meta else [("Content-Security-Policy", policy)]
    visited.service.pages["/styled"] = (
        f"<!doctype html><meta charset=utf-8>{meta}{style or ''}"
        f"<h1 id=title {'' if style else f'style={chr(34)}{STYLE}{chr(34)}'}>x</h1>"
    )
    visited.page.add_init_script(HEARD)
    visited.open("/app/styled")

    assert visited.page.evaluate("getComputedStyle(title).color") == "rgb(1, 2, 3)"
    assert visited.page.evaluate("refused") == []


def test_import_map_that_a_policy_knows_by_its_hash_still_counts(visit: Start) -> None:
    visited = visit()
    policy = f"script-src 'self' 'nonce-abc' {_hash(IMPORTS)}"
    visited.service.page_headers = [("Content-Security-Policy", policy)]
    visited.service.pages["/mapped"] = (
        f'<!doctype html><meta charset=utf-8><script type="importmap">{IMPORTS}</script>{MODULE}'
    )
    visited.page.add_init_script(HEARD)
    visited.open("/app/mapped")

    visited.page.wait_for_function("window.value === 'dep'")
    assert visited.page.evaluate("refused") == []


METAS = {
    "own-origin": "script-src 'self' 'nonce-abc'; img-src %(own)s",
    "nonce": "script-src 'nonce-abc'",
    "default": "default-src 'self' 'nonce-abc'",
}


@pytest.mark.parametrize("policy", METAS.values(), ids=METAS)
def test_policy_within_a_page_is_treated_as_the_header(visit: Start, policy: str) -> None:
    visited = visit()
    policy = policy.replace("%(own)s", visited.service.url)
    visited.service.pages["/strict"] = (
        f'<!doctype html><meta charset=utf-8><meta content="{policy}" http-equiv='
        '"content-security-policy"><img id=picture src=/img/a.png><script type=module nonce=abc>'
        'import { value } from "/static/dep.js"; window.value = value</script>'
    )
    visited.page.add_init_script(HEARD)
    visited.open("/app/strict")

    visited.page.wait_for_function("window.value === 'dep'")
    assert visited.page.evaluate("refused") == []
    assert visited.page.evaluate("picture.complete && picture.naturalWidth") == 1


WORKER = (
    "self.addEventListener('install', event => event.waitUntil(caches.open('v1').then("
    "cache => cache.addAll(['/', '/items/1'])).then(() => self.skipWaiting())));"
    " self.addEventListener('activate', event => event.waitUntil(clients.claim()));"
    " self.addEventListener('fetch', event => event.respondWith("
    "caches.match(event.request).then(found => found || fetch(event.request))));"
)


def test_page_that_a_service_worker_fetched_is_a_page(
    visit: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STATIC, "/sw.js", ("text/javascript", WORKER))
    visited = visit()
    visited.service.pages["/items/1"] = "<!doctype html><title>1</title><h1 id=title>1</h1>"
    visited.open("/app/items/2")
    visited.run("await navigator.serviceWorker.register('/sw.js', {scope: '/'});")
    visited.page.wait_for_function("navigator.serviceWorker.controller")
    visited.service.requests.clear()
    visited.open("/app/items/1")

    assert visited.page.evaluate('Symbol.for("wsgiproxy.rebase:/app") in window')
    assert visited.run("return (await caches.match('/items/1')).status") == 200
    assert visited.run("return (await caches.match(location.href)).status") == 200
    assert "/items/1" not in visited.service.paths()
    visited.run("await fetch('/api/x')")
    assert "/api/x" in visited.service.paths()


STATIC_PAGES = {
    "frame-in-an-attribute": '<iframe srcdoc="<img src=/img/a.png>"></iframe>',
    "script-in-an-attribute": "<iframe srcdoc='<!doctype html><script>new Image().src ="
    " `/img/a.png`</script>'></iframe>",
    "bare-attribute": "<iframe srcdoc=<img/src=/img/a.png&gt;></iframe>",
    "style-in-svg": "<svg><style>circle { mask-image: url(/img/a.png) }</style>"
    "<circle r=9></circle></svg>",
    "hash-of-a-sheet": "<link rel=stylesheet integrity=sha384-AAAA href=/sheet.css>",
}


@pytest.mark.parametrize("page", STATIC_PAGES.values(), ids=STATIC_PAGES)
def test_page_without_a_referrer_loads_from_the_service(
    visit: Start, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = ("text/css", "body { background: url(/img/a.png) }")
    monkeypatch.setitem(STATIC, "/sheet.css", sheet)
    visited = visit()
    visited.service.page_headers = [("Referrer-Policy", "no-referrer")]
    visited.service.pages["/page"] = f"<!doctype html><meta charset=utf-8><body>{page}"
    visited.open("/app/page")

    eventually(lambda: "/img/a.png" in visited.service.paths(), what="the picture is asked for")
    assert "/img/a.png" not in visited.front.paths
