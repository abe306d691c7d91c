"""Values that try to break out of each target's grammar: what is written has the same shape."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import crossplane
import pytest
import yaml

from wsgiproxy import Route
from wsgiproxy.export import TARGETS, Address, Site, export

from .running import program

AT, TO = Address("127.0.0.1", 20080), Address("127.0.0.1", 20081)
#: What ends a word, a string, a block, a comment or a template somewhere.
NASTY = (
    "';\"",
    "a;}b{",
    "}}{{",
    "{{env`HOME`}}",
    "{$HOME}",
    "{$HOME:x}",
    "${HOME}",
    "$(id)",
    "`id`",
    '"${HOME}"',
    "'\\''",
    '\\"',
    "#x",
    "%[env(HOME)]",
    "%ci",
    "%%",
    "$host",
    "\\1$1\\0",
    "{http.request.host}",
    "{env.HOME}",
    "<<EOF",
    "a\u2028b\u0085c\u00a0d",
    "ü漢😀",
    "*?[a]",
    "~^.*$",
    "&x *x !x",
    "x: y - z",
    "|",
)


def prefix(text: str) -> str:
    """A prefix with as much of a text as a prefix may hold."""
    return "/" + re.sub(r"[\x00-\x20\x7f#?%\\]", "_", text)


def value(text: str) -> str:
    """A header's value with as much of a text as may stand in a file (the rest stays here)."""
    return text.encode("ascii", "replace").decode().replace("{$", "{S") + " end"


def site(of_prefix: str, of_value: str, of_url: str = "/b") -> Site:
    """A site with texts wherever one can come from outside."""
    changes = {"X-One": of_value, "X-Two": ""}
    options: dict[str, Any] = {"request_headers": changes, "response_headers": changes}
    base = "http://127.0.0.1:9999"
    return Site.of(
        [
            (of_prefix, Route(base, host="client", hide_cookies=[of_value.split()[0]], **options)),
            (of_prefix + "/b", Route(base + of_url, **options)),
            (of_prefix + "/r", Route(base, rebase=True)),
            (of_prefix + "/u", Route("unix:/run/x" + of_url, auth="/check")),
        ],
        AT,
        TO,
    )


def written(target: str, made: Site) -> str:
    """The text for a target, nothing kept back that could be written."""
    without = {"traefik", "kubernetes", "ingress"} & {target}
    lacks = ["location", "cookies", "origin"] if without else []
    lacks += ["claims", "beyond"] if target in ("kubernetes", "ingress") else []
    return export(target, made, lacks).text


def nginx_shape(text: str, folder: Path) -> Any:
    """Directives without their arguments, as nginx reads them."""
    file = folder / "nginx.conf"
    file.write_text("events {} http {\n" + text + "\n}")
    parsed = crossplane.parse(str(file), check_args=False)
    assert parsed["status"] == "ok", parsed["errors"]

    def names(directives: list[Any]) -> list[Any]:
        return [
            [d["directive"], len(d["args"]), names(d.get("block", []))]
            for d in directives
            if not (d["directive"] == "geo" and d["args"] == ["$wsgiproxy_dollar"])
            and not d["directive"].startswith("~")
        ]

    return names(parsed["config"][0]["parsed"])


def haproxy_shape(text: str, folder: Path) -> Any:
    """The first words of each line and how many words follow."""
    lines = [shlex.split(line, comments=True) for line in text.split("\n")]
    return [(words[:2], len(words)) for words in lines if words]


def caddy_shape(text: str, folder: Path) -> Any:
    """The keys of the JSON that Caddy makes of it."""
    file = folder / "Caddyfile"
    file.write_text(text)
    command = [program("caddy"), "adapt", "--config", str(file), "--adapter", "caddyfile"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return shape(json.loads(ran.stdout))


def yaml_shape(text: str, folder: Path) -> Any:
    """The keys of all documents."""
    assert "{{" not in text
    return [shape(document) for document in yaml.safe_load_all(text)]


def shape(document: Any) -> Any:
    """Keys, and the lengths of lists, without values."""
    if isinstance(document, dict):
        return [[key, shape(inner)] for key, inner in document.items()]
    return [shape(inner) for inner in document] if isinstance(document, list) else None


SHAPES: dict[str, Callable[[str, Path], Any]] = {
    "nginx": nginx_shape,
    "haproxy": haproxy_shape,
    "caddy": caddy_shape,
    "traefik": yaml_shape,
    "kubernetes": yaml_shape,
    "ingress": yaml_shape,
}


@pytest.mark.parametrize("target", TARGETS)
def test_nasty_values_leave_the_shape_as_it_is(target: str, tmp_path: Path) -> None:
    wanted = SHAPES[target](written(target, site("/plain", "plain end")), tmp_path)

    for text in NASTY:
        made = site(prefix(text), value(text))
        assert SHAPES[target](written(target, made), tmp_path) == wanted, text


@pytest.mark.parametrize(
    "base", ["/b'c", '/b"c', "/b;c", "/b$c", "/b{x}c", "/b%41c", "/b\\c", "/b`c"]
)
@pytest.mark.parametrize("target", ["nginx", "haproxy", "caddy", "traefik"])
def test_nasty_base_paths_leave_the_shape_as_it_is(target: str, base: str, tmp_path: Path) -> None:
    wanted = SHAPES[target](written(target, site("/plain", "plain end")), tmp_path)

    found = SHAPES[target](written(target, site("/plain", "plain end", base)), tmp_path)

    assert found == wanted


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "host",
    ["~^.*$", "*.example", ".example", "a b", "a;b", "a`b", "a'b", '"', "{$HOME}", "a\nb", "-f"],
)
def test_host_that_is_none_is_only_a_comment(target: str, host: str) -> None:
    made = Site.of([("/p", Route("http://127.0.0.1:9999", host_match=host))], AT, TO)

    lines = [
        line for line in export(target, made).text.splitlines() if not line.strip().startswith("#")
    ]

    assert not any(host.lower() in line for line in lines if host not in ('"', "-f", "a b"))
    assert any("odd host" in line for line in export(target, made).warnings)


@pytest.mark.parametrize("target", TARGETS)
def test_comment_stays_one(target: str) -> None:
    made = Site.of(
        [("/p", Route("http://127.0.0.1:9999/{{x}}{$HOME}", host_match="a\n}b"))], AT, TO
    )

    comments = [line for line in export(target, made).text.splitlines() if "->" in line]

    assert comments
    assert all(line.strip().startswith("#") for line in comments)
    assert not any("{{" in line or "{$" in line for line in comments)


@pytest.mark.parametrize("target", ["nginx", "haproxy", "caddy"])
def test_the_real_server_takes_every_nasty_value(target: str, tmp_path: Path) -> None:
    pairs = [pair for n, text in enumerate(NASTY) for pair in _numbered(n, text)]
    text = export(target, Site.of(pairs, AT, TO)).text
    ran = subprocess.run(
        _check(target, text, tmp_path), capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr


def _numbered(number: int, text: str) -> list[tuple[str, Route]]:
    mounts = site(prefix(text), value(text)).mounts
    return [(f"/{number}{mount.prefix}", mount.route) for mount in mounts]


def _check(target: str, text: str, folder: Path) -> list[str]:
    """The command by which a server checks a configuration."""
    file = folder / "exported"
    if target == "nginx":
        text = f"pid {folder}/pid; events {{}} http {{ access_log off; {text} }}"
    file.write_text(text)
    if target == "nginx":
        return [program("nginx"), "-t", "-q", "-e", "stderr", "-p", str(folder), "-c", str(file)]
    if target == "haproxy":
        return [program("haproxy"), "-c", "-q", "-f", str(file)]
    return [program("caddy"), "validate", "--config", str(file), "--adapter", "caddyfile"]
