"""Scripts of pages that send no ``Referer``: nobody but the runtime can help them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser

from tests.rebase.conftest import Visit, start_visit
from tests.rebase.service import STATIC
from tests.support import eventually

Start = Callable[..., Visit]

PAGE = """<!doctype html><html><head><meta charset=utf-8><title>alone</title></head>
<body><h1 id=title>alone</h1><iframe id=empty></iframe><div id=host></div></body></html>"""


def _prepare(visited: Visit) -> Visit:
    visited.service.page_headers = [("Referrer-Policy", "no-referrer")]
    visited.service.pages["/alone"] = PAGE
    visited.open("/app/alone")
    return visited


@pytest.fixture(scope="module")
def alone(browser: Browser) -> Iterator[Visit]:
    """A page without ``Referer``, for tests that load it anew."""
    with ExitStack() as stack:
        yield _prepare(start_visit(stack, browser))


@pytest.fixture
def page(alone: Visit) -> Visit:
    """The page, loaded anew, with nothing written down."""
    alone.page.context.clear_cookies()
    alone.page.goto("about:blank")
    alone.service.requests.clear()
    alone.front.paths.clear()
    alone.open("/app/alone")
    return alone


FRAME = "const f = document.createElement('iframe'); document.body.append(f); "
# JavaScript that makes the browser ask for /img/a.png.
LOADS = {
    "import-in-text": "const s = document.createElement('style'); s.textContent ="
    " '@import \"/img/a.png\"'; document.head.append(s)",
    "import-in-a-text-node": "const s = document.createElement('style'); s.append(document"
    ".createTextNode('@import \"/img/a.png\"')); document.head.append(s)",
    "import-in-inner-html": "const s = document.createElement('style'); s.innerHTML ="
    " '@import url(/img/a.png)'; document.head.append(s)",
    "import-in-markup": "host.innerHTML = '<style>@import \"/img/a.png\"</style>'",
    "import-in-data": "const t = document.createTextNode(''), s = document.createElement('style');"
    " s.append(t); document.head.append(s); t.data = '@import \"/img/a.png\"'",
    "style-property": "title.style.backgroundImage = 'url(/img/a.png)'",
    "style-set-property": "title.style.setProperty('background', 'url(\"/img/a.png\")')",
    "style-text": "title.style.cssText = 'background: url(/img/a.png)'",
    "style-attribute": "host.innerHTML = '<p style=\"background: url(&quot;/img/a.png&quot;)\">x'",
    "font-face": "new FontFace('f', 'url(/img/a.png)').load().catch(() => 0)",
    "sheet": "const s = new CSSStyleSheet(); s.replaceSync('h1 { background: url(/img/a.png) }');"
    " document.adoptedStyleSheets = [s]",
    "parser": "const d = new DOMParser().parseFromString('<img src=/img/a.png>', 'text/html');"
    " document.body.append(d.body.firstChild)",
    "parser-adopted": "const d = new DOMParser().parseFromString('<img src=/img/a.png>',"
    " 'text/html'); document.body.append(document.adoptNode(d.body.firstChild))",
    "parser-xml": "const d = new DOMParser().parseFromString('<svg xmlns=\"http://www.w3.org/2000"
    '/svg"><image href="/img/a.png" width="9" height="9"/></svg>\', \'image/svg+xml\');'
    " document.body.append(document.importNode(d.documentElement, true))",
    "other-document": "const d = document.implementation.createHTMLDocument(); d.body.innerHTML ="
    " '<img src=/img/a.png>'; document.body.append(d.body.firstChild)",
    "srcdoc": "const f = document.createElement('iframe'); f.srcdoc = '<img src=/img/a.png>';"
    " document.body.append(f)",
    "srcdoc-attribute": "const f = document.createElement('iframe'); f.setAttribute('srcdoc',"
    " '<img src=\"/img/a.png\">'); document.body.append(f)",
    "srcdoc-in-markup": "host.innerHTML = '<iframe srcdoc=\"<img src=&quot;/img/a.png&quot;>\">'",
    "srcdoc-with-a-script": "const f = document.createElement('iframe'); f.srcdoc ="
    " '<!doctype html><script>fetch(\"/img/a.png\")</' + 'script>'; document.body.append(f)",
    "written-frame": FRAME + "const d = f.contentDocument; d.open(); d.write('<img src=',"
    " '/img/a.png>'); d.close()",
    "written-frame-of-the-page": "empty.contentWindow.document.write('<img src=/img/a.png>')",
    "script-in-a-written-frame": FRAME + "f.contentDocument.write('<script>new Image().src ="
    " \"/img/a.png\"</' + 'script>')",
    "element-in-a-frame": FRAME + "const i = f.contentDocument.createElement('img');"
    " i.src = '/img/a.png'; f.contentDocument.body.append(i)",
    "frame-by-number": FRAME + "const i = frames[1].document.createElement('img');"
    " i.src = '/img/a.png'; frames[1].document.body.append(i)",
    "fetch-of-a-frame": FRAME + "f.contentWindow.fetch('/img/a.png')",
    "attribute-node": "const a = document.createAttribute('src'); a.value = '/img/a.png';"
    " const i = new Image(); i.setAttributeNode(a); document.body.append(i)",
    "named-item": "const a = document.createAttribute('src'); a.value = '/img/a.png';"
    " const i = new Image(); i.attributes.setNamedItem(a); document.body.append(i)",
    "attribute-value": "const i = new Image(); i.setAttribute('src', 'data:,'); document.body"
    ".append(i); i.getAttributeNode('src').value = '/img/a.png'",
    "attribute-text": "const i = new Image(); i.setAttribute('src', 'data:,'); document.body"
    ".append(i); i.getAttributeNode('src').textContent = '/img/a.png'",
    "written": "document.open(); document.write('<img src=', '/img/a.png>'); document.close()",
    "fetched": "fetch('/img/a.png')",
    "popup": "const w = open(''); w.document.write('<img src=/img/a.png>')",
}


@pytest.mark.parametrize("script", LOADS.values(), ids=LOADS)
def test_what_a_script_makes_loads_from_the_service(page: Visit, script: str) -> None:
    page.run(script)

    eventually(lambda: "/img/a.png" in page.service.paths(), what="the picture is asked for")
    assert "/img/a.png" not in page.front.paths


FRAMES = {
    "location": FRAME + "f.contentWindow.location = '/items/1'",
    "href": FRAME + "f.contentWindow.location.href = '/items/1'",
    "replace": FRAME + "f.contentWindow.location.replace('/items/1')",
    "of-the-page": "empty.contentWindow.location = '/items/1'",
    "source": FRAME + "f.src = '/items/1'",
    "opened": "const f = document.createElement('iframe'); f.name = 'there'; document.body"
    ".append(f); open('/items/1', 'there')",
}


@pytest.mark.parametrize("script", FRAMES.values(), ids=FRAMES)
def test_frame_shows_the_service(page: Visit, script: str) -> None:
    page.run(script)

    page.page.wait_for_function(
        "Array.from(frames).some(f => f.location.pathname === '/app/items/1')"
    )
    assert "/items/1" in page.service.paths()


WORKLET = "await new AudioContext().audioWorklet.addModule('/static/worklet.js')"


def test_module_of_a_worklet_comes_from_the_service(
    page: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STATIC, "/static/worklet.js", ("text/javascript", "1"))
    page.run(WORKLET)

    assert "/static/worklet.js" in page.service.paths()


CODE = (
    "fetch(new URL('/api/from?worker', ORIGIN)).then(r => r.json()).then(r => postMessage(r.path))"
)
WORKERS = {
    "blob": "new Worker(URL.createObjectURL(new Blob([code])))",
    "blob-module": "new Worker(URL.createObjectURL(new Blob([code])), {type: 'module'})",
    "blob-revoked": "(() => { const u = URL.createObjectURL(new Blob([code])); const w ="
    " new Worker(u); URL.revokeObjectURL(u); return w })()",
    "blob-imports": "new Worker(URL.createObjectURL(new Blob(['importScripts(\"' + location.origin"
    " + '/static/from-worker.js\")'])))",
    "blob-in-blob": "new Worker(URL.createObjectURL(new Blob(['new Worker(URL.createObjectURL(new"
    " Blob([' + JSON.stringify(code.replace('postMessage(', 'new BroadcastChannel(\"w\")."
    "postMessage(')) + '])))'])))",
}


@pytest.mark.parametrize("worker", WORKERS.values(), ids=WORKERS)
def test_worker_without_a_file_reaches_the_service(
    page: Visit, worker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = CODE.replace("ORIGIN", f"'{page.url}'")
    monkeypatch.setitem(STATIC, "/static/from-worker.js", ("text/javascript", code))
    script = (
        f"const code = {code!r}; const c = new BroadcastChannel('w'); return await new Promise("
        f"(done, fail) => {{ c.onmessage = m => done(m.data); const w = {worker};"
        " w.onmessage = m => done(m.data); w.onerror = e => fail(e.message) })"
    )

    assert page.run(script) == "/api/from?worker"


DATA = {
    "plain": "'data:text/javascript,' + encodeURIComponent(code)",
    "base64": "'data:text/javascript;base64,' + btoa(code)",
}


@pytest.mark.parametrize("url", DATA.values(), ids=DATA)
def test_worker_in_a_data_url_reaches_the_service(page: Visit, url: str) -> None:
    code = f"fetch('{page.url}/api/data', {{mode: 'no-cors'}}); postMessage(1)"
    page.run(
        f"const code = {code!r}; return await new Promise((done, fail) => {{ const w = new"
        f" Worker({url}); w.onmessage = done; w.onerror = fail }}).then(() => 1)"
    )

    eventually(lambda: "/api/data" in page.service.paths(), what="the worker asks")


def test_shared_worker_of_one_blob_is_one(page: Visit) -> None:
    code = "let n = 0; onconnect = e => e.ports[0].postMessage(++n)"
    script = (
        f"const u = URL.createObjectURL(new Blob([{code!r}])); const ask = () => new Promise("
        "done => { new SharedWorker(u).port.onmessage = m => done(m.data) });"
        " return [await ask(), await ask()]"
    )

    assert page.run(script) == [1, 2]


def test_cookie_without_a_path_is_for_the_service(page: Visit) -> None:
    page.run("await cookieStore.set('a', '1'); await cookieStore.set({name: 'b', value: '2'})")
    page.run("await cookieStore.set({name: 'c', value: '3', path: '/api'})")

    cookies = {cookie["name"]: cookie["path"] for cookie in page.page.context.cookies()}
    assert cookies == {"a": "/app/", "b": "/app/", "c": "/app/api/"}
    page.run("await cookieStore.delete('a'); await cookieStore.delete({name: 'b'})")
    assert [cookie["name"] for cookie in page.page.context.cookies()] == ["c"]


def test_cookie_of_a_response_can_be_deleted(page: Visit) -> None:
    page.run("await fetch('/login', {method: 'POST', redirect: 'manual'})")
    assert [cookie["name"] for cookie in page.page.context.cookies()] == ["s"]

    page.run("await cookieStore.delete('s')")
    assert page.page.context.cookies() == []


WRONG = "sha384-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
SHEETS = {
    "property": "l.rel = 'stylesheet'; l.integrity = hash; l.href = '/static/more.css'",
    "property-last": "l.rel = 'stylesheet'; l.href = '/static/more.css'; l.integrity = hash",
    "rel-last": "l.integrity = hash; l.href = '/static/more.css'; l.rel = 'stylesheet'",
    "attribute": "l.setAttribute('integrity', hash); l.setAttribute('href', '/static/more.css');"
    " l.setAttribute('rel', 'stylesheet')",
    "markup": "host.innerHTML = `<link rel=stylesheet integrity=${hash} href=/static/more.css>`;"
    " l = host.firstChild",
    "parser": "l = new DOMParser().parseFromString(`<link rel=stylesheet integrity=${hash}"
    " href=/static/more.css>`, 'text/html').head.firstChild",
    "attribute-node": "const a = document.createAttribute('integrity'); a.value = hash; l.rel ="
    " 'stylesheet'; l.href = '/static/more.css'; l.setAttributeNode(a)",
}


@pytest.mark.parametrize("script", SHEETS.values(), ids=SHEETS)
def test_hash_that_a_script_gives_an_edited_sheet_is_dropped(page: Visit, script: str) -> None:
    page.run(
        f"let hash = '{WRONG}', l = document.createElement('link'); {script};"
        " await new Promise((done, fail) => { l.onload = done; l.onerror = fail;"
        " document.head.append(l) })"
    )

    assert page.page.evaluate("getComputedStyle(title).color") == "rgb(1, 2, 3)"


def test_hash_of_what_is_not_edited_stays(page: Visit) -> None:
    script = (
        f"const l = document.createElement('link'); l.integrity = '{WRONG}'; l.rel = 'stylesheet';"
        " l.href = '/x.css'; const before = l.integrity; l.href = 'https://cdn.example/x.css';"
        f" const s = document.createElement('script'); s.integrity = '{WRONG}'; s.src = '/x.js';"
        " return [before, l.integrity, s.integrity]"
    )

    assert page.run(script) == ["", WRONG, WRONG]


def test_hash_of_a_fetched_page_is_dropped_and_of_a_script_kept(page: Visit) -> None:
    fetch = "return await fetch('{}', {{integrity: '{}'}}).then(r => r.status, () => 'refused')"

    assert page.run(fetch.format("/alone", WRONG)) == 200
    assert page.run(fetch.format("/static/dep.js", WRONG)) == "refused"
