"""One site with a route for everything, in front of upstreams that tell what they get.

:class:`Bench` holds the upstreams and this proxy; what stands in front of them, this proxy
itself or a server with the exported routes, is asked the same questions.
"""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import trustme

from tests.support import PeerClosed, RawClient, RawResponse, RawUpstream, RequestRecord, serve
from tests.support.upstream import UpstreamConnection
from wsgiproxy import ProxyMiddleware, Route
from wsgiproxy.export import Address, Site, export

from .running import run_target

__all__ = ["ODD", "TARGETS", "Bench", "Front", "Handler", "answering"]

#: A prefix with all that could break out of a configuration file.
ODD = "/o'd\"d;{$HOME}`&<>|{{x}}$1ü*[a]"
TARGETS = ("nginx", "haproxy", "caddy", "traefik")


#: Gets a connection and the head of a request; whether the connection serves another one.
Handler = Callable[[UpstreamConnection, RequestRecord], bool]


def answering(answer: bytes, closes: bool = False) -> Handler:
    """A handler that reads the whole request and answers it."""

    def handle(conn: UpstreamConnection, record: RequestRecord) -> bool:
        conn.read_request_body(record)
        conn.send(answer)
        return not closes

    return handle


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The wrapped application; it lets those pass whose cookie says so."""
    cookie, path = environ.get("HTTP_COOKIE", ""), environ["PATH_INFO"]
    body = b"" if path == "/check" else f"application {path}".encode("latin-1")
    status, headers = "200 OK", [("Content-Type", "text/plain")]
    if path == "/check" and environ["REQUEST_METHOD"] == "GET" and "session=good" in cookie:
        headers += [("X-Level", "gold"), ("X-Asked", environ.get("HTTP_X_ORIGINAL_URI", ""))]
    elif path == "/check" and "session=none" in cookie:
        status = "403 Forbidden"
    elif path == "/check" and "session=broken" in cookie:
        status = "404 Not Found"
    elif path == "/check":
        status, headers = "302 Found", [*headers, ("Location", "/login")]
    start_response(status, [*headers, ("Content-Length", str(len(body)))])
    return [body]


class Bench:
    """The upstreams, the routes to them, and this proxy as it stands behind a target."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        authority = trustme.CA()
        self.ca = str(folder / "ca.pem")
        authority.cert_pem.write_to_path(self.ca)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        self.upstream = stack.enter_context(RawUpstream())
        self.unix = stack.enter_context(RawUpstream(unix=folder / "s"))
        self.tls = stack.enter_context(RawUpstream(tls=context))
        self.closed = stack.enter_context(_closed_port())
        self.upstreams = (self.upstream, self.unix, self.tls)
        #: What answers the next requests, on connections that stand already too.
        self.handler: Handler = answering(b"")
        for upstream in self.upstreams:
            upstream.script(self._serve)
        self.routes = dict(self._routes())
        pairs = [(key.partition(" ")[0], route) for key, route in self.routes.items()]
        self.pairs = pairs
        trusting = [(prefix, _trusting(route)) for prefix, route in pairs]
        options = {"clear_untrusted_proxy_headers": False}
        proxy = ProxyMiddleware(application, trusting)
        self.proxy = stack.enter_context(serve(proxy, **options))
        self.direct = stack.enter_context(serve(ProxyMiddleware(application, pairs), **options))

    def _routes(self) -> Iterator[tuple[str, Route]]:
        url, https = self.upstream.url, self.tls.url
        changes = {"X-Set": 'a "b" $c {d} %e;', "X-Gone": ""}
        yield "/p", Route(url)
        yield "/p/inner", Route(url, strip_prefix=False, host="client")
        yield "/base", Route(url + "/b/c$d")
        yield "/client", Route(url, host="client")
        yield "/named", Route(url, host="named.example")
        yield "/keep", Route(url, strip_prefix=False)
        yield "/bare", Route(url, add_slash=False)
        yield "/both", Route(url, forwarded="both")
        yield "/none", Route(url, forwarded="none")
        yield "/trust", Route(url, trusted_proxies="127.0.0.1", forwarded="both")
        yield "/change", Route(url, request_headers=changes, response_headers=changes)
        yield "/pass", Route(url, pass_headers="Clear-Site-Data X-Accel-Redirect")
        yield "/hide", Route(url, hide_cookies="secret other")
        yield "/small", Route(url, max_body=10)
        yield "/auth", Route(url, auth="/check", copy_headers="X-Level", host_match="front")
        yield "/rebase", Route(url, rebase=True)
        yield "/unix", Route("unix:" + str(self.unix.address))
        yield "/tls", Route(https, ca=self.ca)
        yield "/untrusted", Route(https)
        yield "/unchecked", Route(https, verify=False)
        yield "/down", Route(f"http://127.0.0.1:{self.closed}")
        yield "/two", Route([f"http://127.0.0.1:{self.closed}", url])
        yield "/slow", Route(url, read_timeout=0.6, idle_timeout=30)
        yield ODD, Route(url)
        yield "/ host", Route(url, host_match="whole.example")
        yield "/p host", Route(url + "/other", host_match="part.example")

    def _serve(self, conn: UpstreamConnection) -> None:
        with contextlib.suppress(TimeoutError):  # a connection that nobody uses any more
            goes_on = True
            while goes_on:
                record = conn.read_request_head()
                goes_on = self.handler(conn, record)

    @contextlib.contextmanager
    def front(self, target: str, folder: Path) -> Iterator[Front]:
        """This proxy or a target, in front of the upstreams."""
        if target == "wsgiproxy":
            yield Front(self, Address(self.direct.host, self.direct.port))
            return
        proxy = Address(self.proxy.host, self.proxy.port)

        def exported(at: Address) -> Any:
            return export(target, Site.of(self.pairs, at=at, to=proxy), WITHOUT.get(target, ()))

        with run_target(target, exported, folder) as address:
            yield Front(self, address)


#: Traefik has nothing for these. Without giving them up all routes would stay here.
WITHOUT = {"traefik": ("location", "cookies", "origin")}


def _trusting(route: Route) -> Route:
    options = {name: getattr(route, name) for name in route.table()}
    return Route(route.upstream.urls, **{**options, "trusted_proxies": "127.0.0.1"})


@contextlib.contextmanager
def _closed_port() -> Iterator[int]:
    import socket

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


class Front:
    """Where a client asks, and what came of it in comparable words."""

    def __init__(self, bench: Bench, address: Address) -> None:
        self.bench = bench
        self.address = address

    def exchange(self, raw: bytes, answer: bytes, closes: bool = False) -> dict[str, Any]:
        """Send raw bytes; what the client and the upstream saw, as facts with names.

        :param answer: what an upstream answers; it closes the connection if it ``closes``.
        """
        upstreams = self.bench.upstreams
        for upstream in upstreams:
            upstream.requests.clear()
        self.bench.handler = answering(answer, closes)
        with RawClient(self.address) as client:
            try:
                response = client.exchange(raw)
            except (PeerClosed, ValueError) as error:
                return {"status": "cut off" if isinstance(error, PeerClosed) else "no HTTP"}
        requests = [request for upstream in upstreams for request in upstream.requests]
        facts: dict[str, Any] = {"status": response.status}
        # How much of a body is passed on before it is found too large is a matter of chance.
        if response.status == 413:
            return facts
        if requests:
            facts["target"] = requests[-1].target
            facts["body sent"] = requests[-1].body
            facts |= _fields("request", requests[-1].headers)
        is_own = response.status >= 500 and b" %d " % response.status not in answer
        if (requests and not is_own) or response.body.startswith(b"application"):
            facts |= self._seen(response)
        elif response.headers.get("Location"):
            facts["Location"] = response.headers.get("Location")
        return {key: self._named(value) for key, value in facts.items()}

    def _seen(self, response: RawResponse) -> dict[str, Any]:
        facts = {"reason": response.reason, "body": response.body, "whole": response.complete}
        return {**facts, **_fields("response", response.headers)}

    def _named(self, value: Any) -> Any:
        """A value with names for what differs from run to run."""
        if not isinstance(value, str):
            return value
        named = {self.bench.upstream.port: "UPSTREAM", self.bench.tls.port: "TLS"}
        named |= {self.address.port: "FRONT", self.bench.closed: "CLOSED"}
        return re.sub(r"[0-9]{5}", lambda m: named.get(int(m[0]), m[0]), value)


#: What differs by nature: who speaks, and how a body is framed.
_BY_NATURE = frozenset(
    [
        "date",
        "server",
        "via",
        "connection",
        "keep-alive",
        "transfer-encoding",
        "content-length",
        "accept-encoding",
    ]
)


def _fields(side: str, headers: list[tuple[str, str]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in headers:
        if name.lower() not in _BY_NATURE:
            values.setdefault(f"{side} {name.title()}", []).append(value)
    # RFC 9110, 5.3: repeated fields mean the same as one with commas, but for Set-Cookie.
    return {
        key: ("; " if "Set-Cookie" in key else ", ").join(found) for key, found in values.items()
    }
