"""One schema: an option means the same in Python, TOML, an ini file and on a command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from paste.deploy import loadapp

from tests.support import RawUpstream, call
from wsgiproxy import ConfigurationError, ProxyMiddleware, Route
from wsgiproxy.cli.command import document_of, parser
from wsgiproxy.cli.document import Config, from_strings, load_application, merge, read_toml
from wsgiproxy.cli.serve import ServerOptions
from wsgiproxy.settings.options import Option

URL = "http://localhost:9999"

#: By the name of a kind: the Python value, TOML, and the string of an ini file.
SAMPLES: dict[str, tuple[Any, str, str]] = {
    "true or false": (False, "false", "off"),
    "seconds": (2.5, "2.5", "2.5"),
    "bytes": (2 << 20, '"2M"', "2M"),
    "number": (7, "7", "7"),
    "text": ("x.example", '"x.example"', "x.example"),
    "names": (("one", "two"), '["one", "two"]', "one two"),
    "addresses": (("10.0.0.0/8", "::1"), '["10.0.0.0/8", "::1"]', "10.0.0.0/8 ::1"),
    "headers": ({"X-A": "1"}, '{ "X-A" = "1" }', "X-A: 1"),
    "module:name": ("posixpath:join", '"posixpath:join"', "posixpath:join"),
    "host:port": (["127.0.0.1:81"], '["127.0.0.1:81"]', "127.0.0.1:81"),
}
HOOK = SAMPLES["module:name"]
#: Options whose kinds are their own; and those that load a file.
BY_NAME: dict[str, tuple[Any, str, str]] = {
    "auth": ("/may-pass", '"/may-pass"', "/may-pass"),
    "host": ("client", '"client"', "client"),
    "identity_headers": ({"X-A": HOOK[0]}, '{ "X-A" = "posixpath:join" }', "X-A: posixpath:join"),
    "rebase": (True, "true", "yes"),
    "redirects": ({"^/a": "/b"}, '{ "^/a" = "/b" }', "^/a -> /b"),
    "pass_headers": (["NEL", "Accept-CH"], '["nel", "accept-ch"]', "NEL accept-ch"),
    "remote_user": HOOK,
    "remote_user_header": ("X-User", '"X-User"', "X-User"),
    "copy_headers": (["X-A", "X-B"], '["X-A", "X-B"]', "X-A X-B"),
    "rewrites": ({"^/a": "/b"}, '{ "^/a" = "/b" }', "^/a -> /b"),
}
FILES = ("ca", "client_cert", "client_key")


def sample(name: str, field: Option) -> tuple[Any, str, str]:
    """Something to write for an option."""
    kind = field.kind.name
    if name in BY_NAME:
        return BY_NAME[name]
    if kind in SAMPLES:
        return SAMPLES[kind]
    word = kind.rpartition(" or ")[2]
    return word, f'"{word}"', word


def read_text(text: str, folder: Path) -> Config:
    """The settings in a TOML file with this text."""
    path = folder / "proxy.toml"
    path.write_text(text)
    return Config.read(read_toml(str(path)), str(path))


@pytest.mark.parametrize("name", [name for name in Route.table() if name not in FILES])
def test_option_of_a_route_reads_the_same_everywhere(name: str, tmp_path: Path) -> None:
    field = Route.table()[name]
    value, toml, text = sample(name, field)
    expected = getattr(Route(URL, **{name: value}), name)
    assert expected != field.default

    table = read_text(f'[routes."/a"]\nupstream = "{URL}"\n{name} = {toml}\n', tmp_path)
    for_all = read_text(f'[defaults]\n{name} = {toml}\n[routes]\n"/a" = "{URL}"\n', tmp_path)
    ini = Config.read(from_strings({name: text, "/a": URL}), "ini")
    below = Config.read(from_strings({"/a": f"\n{URL}\n{name} = {text}"}), "ini")
    flag = "--" + name.replace("_", "-")
    arguments = [flag, text]
    if isinstance(value, bool):
        arguments = [flag if value else f"--no-{flag[2:]}"]
    command = Config.read(document_of(parser().parse_args([*arguments, f"/a={URL}"])), "arguments")
    for config in (table, for_all, ini, below, command):
        assert getattr(config.routes[0][1], name) == expected


@pytest.mark.parametrize("name", list(ServerOptions.table()))
def test_option_of_the_server_reads_the_same_everywhere(name: str, tmp_path: Path) -> None:
    value, toml, text = sample(name, ServerOptions.table()[name])
    expected = getattr(ServerOptions(**{name: value}), name)
    config = read_text(f'[server]\n{name} = {toml}\n[routes]\n"/a" = "{URL}"\n', tmp_path)
    arguments = ["--" + name.replace("_", "-"), text, f"/a={URL}"]
    command = Config.read(document_of(parser().parse_args(arguments)), "arguments")
    assert getattr(config.server, name) == getattr(command.server, name) == expected


def test_toml_route_may_be_url_urls_table_or_tables(tmp_path: Path) -> None:
    config = read_text(
        f"""
        [routes]
        "/one" = "{URL}"
        "/two" = ["http://a", "http://b"]
        [routes."/three"]
        upstream = ["http://c", "http://d"]
        strip_prefix = false
        [[routes."/four"]]
        upstream = "http://e"
        host_match = "e.example"
        [[routes."/four"]]
        upstream = "http://f"
        """,
        tmp_path,
    )
    seen = [(prefix, route.upstream.urls, route.host_match) for prefix, route in config.routes]
    assert seen == [
        ("/one", (URL,), None),
        ("/two", ("http://a", "http://b"), None),
        ("/three", ("http://c", "http://d"), None),
        ("/four", ("http://e",), "e.example"),
        ("/four", ("http://f",), None),
    ]
    assert [route.strip_prefix for _, route in config.routes] == [True, True, False, True, True]


def test_option_of_a_route_wins_over_the_defaults(tmp_path: Path) -> None:
    config = read_text(
        f'[defaults]\nread_timeout = 1\n[routes]\n"/a" = "{URL}"\n'
        f'[routes."/b"]\nupstream = "{URL}"\nread_timeout = 2\n',
        tmp_path,
    )
    assert [route.read_timeout for _, route in config.routes] == [1.0, 2.0]


def test_files_in_toml_are_taken_from_its_folder(tmp_path: Path, ca_file: str) -> None:
    (tmp_path / "ca.pem").write_bytes(Path(ca_file).read_bytes())
    text = f"""
        [routes."/a"]
        upstream = "https://localhost"
        ca = "ca.pem"
        [routes."/b"]
        upstream = "https://localhost"
        ca = "{ca_file}"
        [theme]
        rules = "rules.xml"
        theme = "http://localhost/theme.html"
        """
    config = read_text(text, tmp_path)
    assert [route.ca for _, route in config.routes] == [str(tmp_path / "ca.pem"), ca_file]
    assert config.theme["rules"] == str(tmp_path / "rules.xml")
    assert config.theme["theme"] == "http://localhost/theme.html"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[routs]\n", "unknown option 'routs'; did you mean 'routes'?"),
        ("read_timeout = 3\n", "unknown option 'read_timeout'; known are: app, defaults, routes"),
        ("[defaults]\nread_timout = 3\n", "section defaults: unknown option 'read_timout'; did"),
        ("[server]\nthread = 3\n", "section server: unknown option 'thread'; did you mean 'thr"),
        ("[server]\nthreads = 'x'\n", "option threads: 'x' is no whole number; write"),
        ("routes = 3\n", "routes has the wrong shape; write a section [routes]"),
        ("app = 3\n", 'app has the wrong shape; write app = "module:callable"'),
        ("[routes]\n'/a' = 3\n", "route /a: it has no upstream; write"),
        ("[routes]\n'/a' = ''\n", "route /a: it has no upstream; write"),
        ("[routes]\n'/a' = []\n", "route /a: it has no upstream; write"),
        ("[routes.'/a']\nstrip_prefix = true\n", "route /a: it has no upstream; write"),
        ("[routes.'/a']\nupstreams = 'http://b'\n", "unknown option 'upstreams'; did you mean 'up"),
        ("[routes.'/a']\nupstream = 'http://b'\nread_timeout = true\n", "option read_timeout: Tr"),
        ("[routes]\n'/a' = 'x'\n", "route /a: upstream 'x' is no http, https or unix URL; write"),
        ("[routes]\n'/a' = 'http://b'\n'/a' = 'http://c'\n", "this is no valid TOML"),
        ("app = \n", "this is no valid TOML"),
        ("# \udcff", "this is no valid TOML"),
    ],
)
def test_toml_that_cannot_work_is_refused_by_name(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "proxy.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError) as refused:
        Config.read(read_toml(str(path)), "proxy.toml")
    assert words in str(refused.value)
    assert "proxy.toml" in str(refused.value) or words.startswith("option threads")


def test_ini_value_may_hold_urls_options_and_several_headers() -> None:
    document = from_strings(
        {
            "read_timeout": "30",
            "/a": "\nhttp://b http://c\nhttp://d\n"
            "request_headers = X-A: 1\nrequest_headers = X-B:\nstrip_prefix = no",
        }
    )
    ((prefix, route),) = Config.read(document, "ini").routes
    assert (prefix, route.read_timeout, route.strip_prefix) == ("/a", 30.0, False)
    assert route.upstream.urls == ("http://b", "http://c", "http://d")
    assert route.request_headers == (("X-A", "1"), ("X-B", None))


def test_prefix_in_file_and_on_the_command_line_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="two routes for prefix '/a', one in the file"):
        merge({"routes": {"/a": URL}}, {"routes": {"/a": URL}})


def test_file_and_command_line_are_merged_option_by_option() -> None:
    base = {"app": "a:b", "server": {"threads": 1, "listen": "1"}, "routes": {"/a": URL}}
    over = {"server": {"threads": 2}, "routes": {"/b": URL}}
    assert merge(base, over) == {
        "app": "a:b",
        "server": {"threads": 2, "listen": "1"},
        "routes": {"/a": URL, "/b": URL},
    }


def test_application_is_found_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site_in_folder.py").write_text("class Site:\n    application = print\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    found: Any = load_application("site_in_folder:Site.application")
    assert found is print


# -- paste.deploy --------------------------------------------------------------

INI = """
[app:main]
use = call:tests.cli.test_document:make_front
filter-with = proxy

[filter:proxy]
use = egg:wsgi-reverse-proxy#proxy
{settings}

[app:alone]
use = egg:wsgi-reverse-proxy#proxy
{settings}
"""


def make_front(global_conf: dict[str, str]) -> Any:
    """An application factory for paste.deploy."""

    def front(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"front"]

    return front


def load(settings: str, folder: Path, name: str = "main") -> Any:
    """What paste.deploy makes of a filter's section."""
    path = folder / "site.ini"
    path.write_text(INI.format(settings=settings))
    return loadapp(f"config:{path}", name)


def test_paste_filter_proxies_its_routes(tmp_path: Path, upstream: RawUpstream) -> None:
    application = load(
        f"read_timeout = 7\n/p = {upstream.url}\n"
        f"/q =\n  {upstream.url}\n  strip_prefix = false\n  request_headers = X-A: 100%%\n",
        tmp_path,
    )
    assert isinstance(application, ProxyMiddleware)
    assert call(application, "/").body == b"front"
    assert call(application, "/p/x").body == b"ok"
    assert call(application, "/q/x").body == b"ok"
    assert [request.target for request in upstream.requests] == ["/x", "/q/x"]
    assert upstream.requests[1].headers.get("X-A") == "100%"
    assert [mount.route.read_timeout for mount in application.router.mounts] == [7.0, 7.0]


def test_paste_application_answers_404_beside_its_routes(
    tmp_path: Path, upstream: RawUpstream
) -> None:
    application = load(f"/p = {upstream.url}\n", tmp_path, "alone")
    assert call(application, "/p/").body == b"ok"
    assert call(application, "/").status == "404 Not Found"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("read_timout = 3\n/a = http://b", "unknown option 'read_timout'; did you mean 'read_ti"),
        ("read_timeout = soon\n/a = http://b", "route /a: option read_timeout: 'soon' is no num"),
        ("strip_prefix = maybe\n/a = http://b", "'maybe' is neither true nor false; write one"),
        ("/a =\n  http://b\n  strip_prefx = no", "route /a: unknown option 'strip_prefx'; did"),
        ("/a = b", "route /a: upstream 'b' is no http, https or unix URL; write http"),
        ("/a =\n  strip_prefix = no", "route /a: it has no upstream"),
        ("a = http://b", "unknown option 'a'"),
        ("read_timeout = 3", "has no route; write /new_req = http://localhost:9999"),
    ],
)
def test_paste_setting_that_cannot_work_is_refused_by_name(
    settings: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(settings, tmp_path)
    assert words in str(refused.value)
