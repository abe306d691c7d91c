"""A real browser, a service that believes it lives at ``/``, and a site in front of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.rebase.service import Service, running
from tests.support import serve
from wsgiproxy import ProxyMiddleware, Route

#: A name for which browsers send ``Sec-Fetch-*``, and one for which, over http, they do not.
HOSTS = {"trustworthy-origin": "localhost", "public-name": "site.example"}


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

    def load(self) -> None:
        """Load the service's first page to its end."""
        self.open()
        self.page.wait_for_function("window.moduleReady && window.classic")

    def run(self, script: str) -> Any:
        """What an asynchronous function body returns in the page."""
        return self.page.evaluate(f"async () => {{ {script} }}")


def start_visit(
    stack: ExitStack,
    browser: Browser,
    host: str = "localhost",
    prefix: str = "/app",
    **options: Any,
) -> Visit:
    """A service, a site in front of it and a browser window, until the stack is left."""
    service = stack.enter_context(running())
    front = Front()
    route = Route(service.url, **({"rebase": True} | options))
    site = stack.enter_context(serve(ProxyMiddleware(front, {prefix: route})))
    page = stack.enter_context(browser.new_context()).new_page()
    page.set_default_timeout(10_000)
    return Visit(page, f"http://{host}:{site.port}", front, service)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Put a site in front of a service and open a fresh browser window.

    ``visit(host="localhost", prefix="/app", **route_options)``.
    """
    with ExitStack() as stack:
        yield partial(start_visit, stack, browser)


@pytest.fixture(scope="module", params=HOSTS.values(), ids=list(HOSTS))
def loaded(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Visit]:
    """The service's first page, for tests that leave it as it is."""
    with ExitStack() as stack:
        started = start_visit(stack, browser, request.param)
        started.load()
        yield started


@pytest.fixture
def visited(loaded: Visit) -> Visit:
    """The service's first page, loaded anew, with no cookies and nothing written down."""
    loaded.page.context.clear_cookies()
    loaded.page.goto("about:blank")
    loaded.service.requests.clear()
    loaded.front.paths.clear()
    loaded.load()
    return loaded
