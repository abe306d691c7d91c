"""A real browser, a service that believes it lives at ``/``, and a site in front of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.rebase.service import Service, running
from tests.support import serve
from wsgiproxy import ProxyMiddleware, Route

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; ``site.example`` leads to this machine, as a public name would."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--host-resolver-rules=MAP *.example 127.0.0.1"],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def service() -> Iterator[Service]:
    """The service, visited by nobody yet."""
    with running() as started:
        yield started


class Front:
    """The wrapped application: pages of its own at ``/`` and ``/own``, else 404."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        self.paths.append(path)
        is_own = path in ("/", "/own", "/static/own.css")
        body = f"<!doctype html><title>front</title><p id=where>front {path}</p>".encode()
        headers = [("Content-Type", "text/html"), ("Content-Length", str(len(body)))]
        start_response("200 OK" if is_own else "404 Not Found", headers)
        return [body]


class Visit:
    """A page of the service behind the site, and who was asked for what."""

    def __init__(self, page: Page, url: str, front: Front, service: Service) -> None:
        self.page = page
        self.url = url
        self.front = front
        self.service = service

    def open(self, path: str = "/app/") -> Page:
        """Go to a page of the site."""
        self.page.goto(self.url + path)
        return self.page

    def run(self, script: str) -> Any:
        """What an asynchronous function body returns in the page."""
        return self.page.evaluate(f"async () => {{ {script} }}")


@pytest.fixture
def visit(browser: Browser, service: Service) -> Iterator[Callable[..., Visit]]:
    """Put the site in front of the service and open a fresh browser window.

    ``visit(host="localhost", prefix="/app", **route_options)``.
    """
    with ExitStack() as stack:

        def start(host: str = "localhost", prefix: str = "/app", **options: Any) -> Visit:
            front = Front()
            route = Route(service.url, **({"rebase": True} | options))
            site = stack.enter_context(serve(ProxyMiddleware(front, {prefix: route})))
            context = stack.enter_context(browser.new_context())
            page = context.new_page()
            page.set_default_timeout(10_000)
            return Visit(page, f"http://{host}:{site.port}", front, service)

        yield start
