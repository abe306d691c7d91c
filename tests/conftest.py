"""Fixtures for tests over real sockets; what they yield is documented in tests/support."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from playwright.sync_api import Browser, sync_playwright

from tests.support import RawUpstream, Site


@pytest.fixture
def upstream() -> Iterator[RawUpstream]:
    """A :class:`RawUpstream` on a free port that answers ``200`` with ``ok`` until told."""
    with RawUpstream() as started:
        yield started


@pytest.fixture
def unix_upstream(tmp_path: Path) -> Iterator[RawUpstream]:
    """A :class:`RawUpstream` on a unix socket; its path is ``.address``."""
    with RawUpstream(unix=tmp_path / "upstream.sock") as started:
        yield started


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that nobody trusts by default."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of that authority's certificate."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """A server-side TLS context with a certificate for ``localhost``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def tls_upstream(server_context: ssl.SSLContext) -> Iterator[RawUpstream]:
    """A :class:`RawUpstream` behind TLS, as ``https://localhost:PORT``."""
    with RawUpstream(tls=server_context) as started:
        yield started


@pytest.fixture
def proxied(upstream: RawUpstream) -> Iterator[Callable[..., Site]]:
    """Start a proxy in a real server; returns a :class:`Site`.

    ``proxied()`` mounts the fixture ``upstream`` at ``/p`` under waitress, the front
    application below it. What can be told:

    - ``routes``: other routes: prefix -> URL, ``Route``, or mapping of ``url`` and options;
    - ``base``: a path to put behind the upstream's URL, ``prefix``: another prefix;
    - ``app``: the wrapped application, or ``"module:name"`` of it (gunicorn needs a name);
    - ``server``: one of ``SERVERS``, and ``server_options`` for it;
    - ``validate``: ``wsgiref.validate`` around the middleware and the application;
    - every other keyword is a default for the routes: ``proxied(host="client")``.

    All clients of a site, then its server, then the upstream are closed in the end.
    """
    with contextlib.ExitStack() as stack:

        def start(
            routes: dict[str, Any] | None = None,
            *,
            prefix: str = "/p",
            base: str = "",
            app: Any = None,
            server: str = "waitress",
            server_options: dict[str, Any] | None = None,
            validate: bool = False,
            **defaults: Any,
        ) -> Site:
            site = Site(upstream, stack)
            routes = {prefix: upstream.url + base} if routes is None else routes
            spec = {"app": app, "routes": routes, "validate": validate, "defaults": defaults}
            site.start(spec, server, server_options or {})
            return site

        yield start


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port where nobody listens: bound by us, so that nobody else can."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium; ``site.example`` leads to this machine, as a public name would.

    One for all tests of a process: its event loop runs in their thread.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    rules = "--host-resolver-rules=MAP *.example 127.0.0.1"
    arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=[*arguments, rules])
        yield started
        started.close()
