"""Options, errors at start, recompilation, parameters, includes, templates, paste.deploy."""

from __future__ import annotations

import functools
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jinja2
import pytest
from webob import Request

from tests.theming.conftest import PAGE, RULES, THEME, Application, ask, rules
from wsgiproxy.errors import ConfigurationError
from wsgiproxy.theming import (
    ThemeMiddleware,
    ThemeOptions,
    filter_factory,
    jinja2_theme,
)
from wsgiproxy.theming import compile as compile_module
from wsgiproxy.theming import store as store_module


def module_theme(request: Request) -> str:
    return f"<html><body class=themed>{request.path}<p id=main></body></html>"


SOURCES: dict[str, Callable[[Path], Any]] = {
    "path": lambda f: {"rules": f / "rules.xml", "theme": f / "theme.html"},
    "text path": lambda f: {"rules": str(f / "rules.xml"), "theme": str(f / "theme.html")},
    "file url": lambda f: {
        "rules": (f / "rules.xml").as_uri(),
        "theme": (f / "theme.html").as_uri(),
    },
    "markup": lambda f: {"rules": RULES, "theme": THEME},
    "python url": lambda f: {"theme": "python://tests.theming/data/theme.html"},
    "callable": lambda f: {"theme": module_theme},
    "callable by name": lambda f: {"theme": f"{__name__}:module_theme"},
}


@pytest.mark.parametrize("source", SOURCES)
def test_source_of_rules_and_theme(source: str, files: Path, application: Application) -> None:
    response = ask(application, **SOURCES[source](files))
    assert 'class="themed"' in response.text
    assert "hello" in response.text


BROKEN = {
    "no xml": ("<rules>\n\n<a></b></rules>", r":3: .*mismatch"),
    "no rules": ("<html/>", r":1: the root is no <rules"),
    "xpath": (rules('\n\n<drop theme="//["/>'), r":3: <drop theme='//\['> is no expression"),
    "css": (rules('\n<drop css:content="##"/>'), r":2: <drop css:content='##'> is no expression"),
    "theme": (rules('<theme href="gone.html"/>'), r"gone\.html"),
    "xinclude": (rules('<xi:include href="gone.xml"/>'), r"gone\.xml"),
    "unknown mode": (
        rules('<append css:theme="body" css:content="p" href="/x" method="carrier-pigeon"/>'),
        "Unknown includemode",
    ),
    "conflict": (
        rules(
            '\n<replace css:theme="#main" css:content="a"/>'
            '\n\n<replace css:theme="#main" css:content="b"/>'
        ),
        r"Give all but one of these a condition: \S+:2, \S+:4",
    ),
    "inline xsl": (rules('<xsl:template match="]"/>'), "rules "),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_rules_are_an_error_at_start(
    case: str, tmp_path: Path, application: Application
) -> None:
    source, message = BROKEN[case]
    (tmp_path / "broken.xml").write_text(source)
    with pytest.raises(ConfigurationError, match=message) as caught:
        ThemeMiddleware(application, rules=tmp_path / "broken.xml", theme=THEME)
    assert "broken.xml" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "x"}, "did you mean 'rules'"),
        ({"max_size": "large"}, "option max_size"),
        ({"debug": "maybe"}, "option debug"),
        ({"includemode": "soon"}, "option includemode"),
        ({"params": "x"}, "option params"),
        ({"theme": "no.such.module:theme"}, "option theme"),
        ({"rules": print}, "option rules"),
        ({"charset": "utf-9"}, "option charset"),
        ({"theme": "gone.html"}, "theme 'gone.html' cannot be read"),
        ({"theme": "python://no_such_package/x.html"}, "no_such_package"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_wrong_option_is_an_error_at_start(
    options: dict[str, Any], message: str, application: Application
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ThemeMiddleware(application, **{"rules": RULES, **options})


def test_no_limit_is_a_limit_too(application: Application) -> None:
    limits: dict[str, Any] = {"max_size": "none", "max_ratio": None, "theme_cache": "none"}
    assert "themed" in ask(application, theme=module_theme, **limits).text


def test_every_option_has_a_kind_and_a_help_text() -> None:
    for name, field in ThemeOptions.table().items():
        assert field.help, name
        field.kind.read(field.default)


def test_every_option_of_diazo_is_known() -> None:
    import inspect

    from diazo.wsgi import DiazoMiddleware

    known = inspect.signature(DiazoMiddleware.__init__).parameters
    missing = set(known) - {"self", "app", "global_conf", "params"} - set(ThemeOptions.table())
    assert not missing


# -- recompilation ------------------------------------------------------------------


@pytest.fixture
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at for each request, not once a second."""
    monkeypatch.setattr(store_module, "_INTERVAL", 0.0)


def rewrite(path: Path, text: str) -> None:
    """Write a file so that its stamp differs whatever the clock's grain."""
    path.write_text(text)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000_000))


@pytest.mark.usefixtures("no_wait")
def test_change_of_any_file_is_seen(files: Path, application: Application) -> None:
    (files / "more.xml").write_text(rules(""))
    (files / "rules.xml").write_text(
        RULES.replace("</rules>", '<xi:include href="more.xml"/></rules>')
    )
    middleware = ThemeMiddleware(application, files / "rules.xml", files / "theme.html")
    assert "Theme</title>" in ask(application, middleware=middleware).text
    rewrite(files / "theme.html", THEME.replace("Theme", "Second"))
    assert "Second</title>" in ask(application, middleware=middleware).text
    rewrite(files / "more.xml", rules('<drop css:theme="title"/>'))
    assert "title" not in ask(application, middleware=middleware).text
    rewrite(files / "rules.xml", rules('<replace css:theme="#main">third</replace>'))
    assert "third" in ask(application, middleware=middleware).text


@pytest.mark.usefixtures("no_wait")
@pytest.mark.parametrize("debug", [False, True])
def test_broken_edit_keeps_the_theme_and_is_shown_in_debug(
    debug: bool, files: Path, application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    middleware = ThemeMiddleware(
        application, files / "rules.xml", files / "theme.html", debug=debug
    )
    rewrite(files / "rules.xml", "<rules\n<")
    response = ask(application, middleware=middleware)
    assert "hello" in response.text
    assert ('<pre id="theme-error"' in response.text) is debug
    assert "the one before stays" in caplog.text
    rewrite(files / "rules.xml", RULES.replace("#main", "title"))
    response = ask(application, middleware=middleware)
    assert "theme-error" not in response.text
    assert "gap" in response.text


@pytest.mark.usefixtures("no_wait")
def test_reload_off_keeps_the_theme(files: Path, application: Application) -> None:
    middleware = ThemeMiddleware(
        application, files / "rules.xml", files / "theme.html", reload=False
    )
    rewrite(files / "theme.html", "<html>other</html>")
    assert "themed" in ask(application, middleware=middleware).text


def test_files_are_looked_at_once_a_second_at_most(
    files: Path, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    middleware = ThemeMiddleware(application, files / "rules.xml", files / "theme.html")
    looked: list[str] = []
    now = [time.monotonic() + 0.5]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(store_module, "stamp", looked.append)
    ask(application, middleware=middleware)
    assert looked == []
    now[0] += 1.0
    middleware._store._seen = {"x": None}  # type: ignore[union-attr]
    ask(application, middleware=middleware)
    ask(application, middleware=middleware)
    assert looked == ["x"]


def test_texts_of_a_callable_theme_are_compiled_once(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[Any] = []
    compile_all = compile_module.compile_all

    def spy(*given: Any) -> Any:
        compiled.append(given[2])
        return compile_all(*given)

    monkeypatch.setattr(store_module, "compile_all", spy)
    middleware = ThemeMiddleware(application, RULES, module_theme, theme_cache=2)
    for path in ("/a", "/b", "/a", "/b"):
        assert f"{path}<div" in ask(application, path, middleware=middleware).text
    assert len(compiled) == 1 + 2
    ask(application, "/c", middleware=middleware)
    ask(application, "/a", middleware=middleware)
    assert len(compiled) == 1 + 4


def test_callable_theme_that_fails_leaves_the_page(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    def theme(request: Request) -> str:
        raise KeyError("no such thing")

    response = ask(application, theme=theme)
    assert response.body == PAGE.encode()
    assert "has no theme" in caplog.text


@pytest.fixture
def web(files: Path) -> Iterator[str]:
    """The URL of those files on a web server of their own."""
    handler = functools.partial(QuietHandler, directory=str(files))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


def test_theme_and_includes_come_from_the_network_if_allowed(
    web: str, files: Path, application: Application
) -> None:
    (files / "part.html").write_text("<p id=part>part</p>")
    inside = f'<append css:theme="#main" css:content="#part" href="{web}/part.html"/>'
    response = ask(application, rules=rules(inside), theme=f"{web}/theme.html", read_network=True)
    assert '<p id="part">part</p>' in response.text
    inside += f'<theme href="{web}/theme.html"/>'
    response = ask(application, rules=rules(inside), theme=None, read_network=True)
    assert '<p id="part">part</p>' in response.text


def test_theme_on_the_network_has_a_limit(web: str, files: Path, application: Application) -> None:
    (files / "theme.html").write_text("x" * 2000)
    by_rules = {"theme": None, "rules": rules(f'<theme href="{web}/theme.html"/>')}
    for given in ({"theme": f"{web}/theme.html"}, by_rules):
        with pytest.raises(ConfigurationError, match="over max_size"):
            ask(application, read_network=True, max_size=1000, **given)


# -- parameters and includes ------------------------------------------------------------


def test_parameters_reach_the_rules(application: Application) -> None:
    shown = "".join(
        f"<xsl:value-of select=\"concat('{n}=', ${n}, ';')\"/>"
        for n in ("path", "query_string", "host", "scheme", "user", "fixed", "number", "flag")
    )
    response = ask(
        application,
        "/a%20b%C3%A9/?q=1",
        rules=rules(f'<replace css:theme="#main">{shown}</replace>'),
        headers={"Host": "example.org:81"},
        environ={"REMOTE_USER": "ann"},
        environ_param_map="REMOTE_USER = user",
        params={"fixed": "it's", "number": 3, "flag": True},
    )
    assert (
        "path=/a%20b%C3%A9/;query_string=q=1;host=example.org:81;scheme=http;user=ann;"
        "fixed=it's;number=3;flag=true;"
    ) in response.text


def test_unquoted_parameters_are_expressions(application: Application) -> None:
    response = ask(
        application,
        rules=rules('<replace css:theme="#main"><xsl:value-of select="$n"/></replace>'),
        params={"n": "count(//div) + 1"},
        unquoted_params=["n"],
    )
    assert '<body class="themed">2</body>' in response.text


def test_includes_are_asked_in_the_name_of_the_visitor(application: Application) -> None:
    application.pages = {"/menu": "<ul id=menu><li>menu</ul>"}
    response = ask(
        application,
        "/page?x=1",
        method="POST",
        rules=rules('<append css:theme="#main" css:content="#menu" href="/menu?a=b"/>'),
        headers={"Cookie": "session=1", "Host": "example.org", "If-None-Match": '"x"',
                 "X-Requested-With": "x", "Range": "bytes=0-1", "Content-Length": "0"},
        environ={"SCRIPT_NAME": "/site", "private.socket": object()},
    )  # fmt: skip
    asked = application.asked[1]
    assert '<ul id="menu"><li>menu</li></ul>' in response.text
    assert (asked["REQUEST_METHOD"], asked["PATH_INFO"], asked["QUERY_STRING"]) == (
        "GET", "/menu", "a=b",
    )  # fmt: skip
    assert (asked["SCRIPT_NAME"], asked["HTTP_HOST"]) == ("/site", "example.org")
    assert asked["HTTP_COOKIE"] == "session=1"
    assert not {"HTTP_IF_NONE_MATCH", "HTTP_RANGE", "private.socket"} & set(asked)
    assert application.closed == 2


def test_page_with_includes_has_no_validators(application: Application) -> None:
    application.headers += [("ETag", '"x"'), ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")]
    given = rules('<append css:theme="#main" css:content="#menu" href="/menu"/>')
    response = ask(application, rules=given)
    assert not {"ETag", "Last-Modified"} & set(response.headers)
    assert "Cookie" in response.headers["Vary"]


@pytest.mark.parametrize("read_file", [True, False])
def test_file_beside_the_rules_is_included(
    read_file: bool, files: Path, application: Application
) -> None:
    (files / "part.html").write_text("<p id=part>part é</p>", encoding="utf-8")
    url = (files / "part.html").as_uri()
    (files / "rules.xml").write_text(
        rules(f'<append css:theme="#main" css:content="#part" href="{url}"/>')
    )
    response = ask(application, rules=files / "rules.xml", read_file=read_file)
    assert ("part é" in response.text) is read_file
    assert "themed" in response.text


def test_application_that_breaks_in_an_include_costs_only_the_include(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] != "/":
            raise RuntimeError("boom")
        start_response("200 OK", [("Content-Type", "text/html")])
        return [PAGE.encode()]

    given = rules('<append css:theme="#main" css:content="p" href="/menu"/>')
    response = ask(app, rules=given)
    assert "themed" in response.text
    assert "the include /menu of a theme fails" in caplog.text


# -- filter_xpath -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        ("?;filter_xpath=//div", 200, '<div id="content">hello</div>'),
        ("?a=1;filter_xpath=//div/text()", 200, "hello"),
        ("?;filter_xpath=count(//div)", 200, "1.0"),
        ("?;filter_xpath=//nothing", 200, "<!--WARNING: No content found-->"),
        ("?;filter_xpath=//%5B", 400, "The filter_xpath of this URL is no XPath expression.\n"),
        ("?;filter_xpath=document('file:///etc/passwd')", 200, PAGE),
    ],
)
def test_filter_xpath_answers_with_a_part(
    query: str, status: int, body: str, application: Application
) -> None:
    response = ask(application, "/" + query, filter_xpath=True)
    assert (response.status_int, response.text) == (status, body)
    if application.asked:
        assert application.asked[0]["QUERY_STRING"] in ("", "a=1")


def test_filter_xpath_is_off_by_default(application: Application) -> None:
    assert "themed" in ask(application, "/?;filter_xpath=//div").text
    assert application.asked[0]["QUERY_STRING"] == ";filter_xpath=//div"


# -- templates, paste.deploy ----------------------------------------------------------------


def test_jinja2_template_is_a_theme(application: Application) -> None:
    source = "<html><body class=themed>{{ user }} at {{ request.path }}<p id=main></body></html>"
    environment = jinja2.Environment(loader=jinja2.DictLoader({"t.html": source}), autoescape=True)
    theme = jinja2_theme(environment, "t.html", context=lambda request: {"user": "<ann>"})
    assert "&lt;ann&gt; at /x<div" in ask(application, "/x", theme=theme).text


def test_django_template_is_a_theme_and_knows_the_visitor() -> None:
    """In a process of its own: Django is set up once for all."""
    program = Path(__file__).parent / "data" / "django_site.py"
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [
        '<html><body class="themed">&lt;ann&gt; as nobody at /x<div id="content">hi</div>',
        '<html><body class="themed">&lt;ann&gt; as bob at /x<div id="content">hi</div>',
    ], done.stderr


def test_paste_deploy_reads_strings(application: Application, files: Path) -> None:
    factory = filter_factory(
        {"here": str(files)},
        rules=str(files / "rules.xml"),
        theme=str(files / "theme.html"),
        debug="false",
        max_size="1M",
        ignored_extensions="js css",
        environ_param_map="HTTP_HOST = h\nREMOTE_USER = user",
        params="a = 1, b = two",
    )
    middleware = factory(application)
    assert middleware.options.max_size == 1 << 20
    assert middleware.options.ignored_extensions == ("js", "css")
    assert middleware.options.environ_param_map == (("HTTP_HOST", "h"), ("REMOTE_USER", "user"))
    assert middleware.options.params == (("a", "1"), ("b", "two"))
    assert "themed" in ask(application, middleware=middleware).text


def test_paste_deploy_refuses_unknown_options(application: Application) -> None:
    with pytest.raises(ConfigurationError, match="unknown option"):
        filter_factory({}, rules=RULES, colour="red")(application)


def test_log_says_that_a_large_page_passes(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    application.body = [b"<p>" + b"x" * 2000]
    with caplog.at_level(logging.INFO):
        ask(application, "/large", max_size=1000)
    assert "/large is over max_size" in caplog.text
