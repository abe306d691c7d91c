"""What each adapter relies on is there in the real server, and its absence is said once."""

from __future__ import annotations

import json
import logging
from importlib.metadata import version
from typing import Any

import pytest

from tests.support import RawClient, get, serve
from tests.support.tunnels import SERVERS
from wsgiproxy.servers import contract, gunicorn, hijack, waitress, werkzeug


def report(environ: Any, start_response: Any) -> Any:
    """An application that says what the adapters see of its server."""
    read_ahead = [
        adapter.ahead_of(environ["wsgi.input"]).buffer is not None
        for adapter in (gunicorn, werkzeug)
        if adapter.KEY in environ
    ]
    facts = {
        "found": hijack.find(environ) is not None,
        "direct": hijack.is_direct(start_response),
        "threads": hijack.threads_of(environ, start_response),
        "read_ahead": read_ahead,
        "warned": sorted(map(list, contract._warned)),
    }
    body = json.dumps(facts).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


@pytest.mark.parametrize("server", SERVERS)
def test_real_server_has_what_its_adapter_relies_on(server: str) -> None:
    spec = {"app": "tests.servers.test_contracts:report"}
    with serve(spec, server) as address, RawClient(address) as client:
        facts = json.loads(client.exchange(get("/")).body)

    assert facts["found"]
    assert facts["direct"]
    assert all(facts["read_ahead"])
    assert facts["warned"] == []
    if server in ("waitress", "gunicorn-gthread"):
        assert facts["threads"] > 0


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Any:
    """The warnings so far, each of which must name the server's version and a remedy."""
    monkeypatch.setattr(contract, "_warned", set())
    caplog.set_level(logging.WARNING, "wsgiproxy")

    def messages() -> list[str]:
        for record in caplog.records:
            assert "Use a version that" in record.getMessage()
        return [record.getMessage() for record in caplog.records]

    return messages


def of(package: str, **attributes: Any) -> Any:
    """An object of a class that a server's own package defines."""
    return type("Changed", (), {"__module__": f"{package}.inside", **attributes})()


@pytest.mark.parametrize("server", list(hijack.ADAPTERS))
def test_renamed_start_response_is_said_once(server: str, said: Any) -> None:
    def start_response(*arguments: Any) -> None:
        """A new one."""

    start_response.__module__ = f"{server}.somewhere"
    assert not hijack.is_direct(start_response)
    assert not hijack.is_direct(start_response)
    assert len(said()) == 1
    assert f"{server} {version(server)} has changed inside" in said()[0]
    assert "hold worker threads" in said()[0]


def test_middleware_between_is_no_change_of_the_server(said: Any) -> None:
    assert not hijack.is_direct(lambda *arguments: None)
    assert gunicorn.threads_of({}, lambda *arguments: None) is None
    assert gunicorn.ahead_of(object()) == (None, "a middleware")
    assert werkzeug.ahead_of(object()) == (None, "a middleware")
    assert said() == []


def test_hidden_thread_count_of_waitress_is_said_once(said: Any) -> None:
    def check(self: Any) -> bool:
        return False

    channel = of("waitress", check=check)
    for _ in range(2):
        assert waitress.threads_of({waitress.KEY: channel.check}, None) is None
    assert len(said()) == 1
    assert "adj.threads" in said()[0]


@pytest.mark.parametrize("cfg", [None, of("gunicorn", worker_class_str="gthread")])
def test_hidden_thread_count_of_gunicorn_is_said_once(cfg: Any, said: Any) -> None:
    def start_response(self: Any, *arguments: Any) -> None:
        """As gunicorn's: a method of its response."""

    response = of("gunicorn", start_response=start_response, cfg=cfg)
    for _ in range(2):
        assert gunicorn.threads_of({}, response.start_response) is None
    assert len(said()) == 1
    assert "cfg.threads" in said()[0]


@pytest.mark.parametrize("adapter", [gunicorn, werkzeug], ids=["gunicorn", "werkzeug"])
def test_changed_body_reader_is_said_and_named_in_the_refusal(adapter: Any, said: Any) -> None:
    server = adapter.__name__.rpartition(".")[2]
    for _ in range(2):
        ahead = adapter.ahead_of(of(server))
    assert ahead.buffer is None
    assert ahead.hidden_by != "a middleware"
    assert len(said()) == 1
