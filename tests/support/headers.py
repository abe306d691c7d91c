"""Which headers reach the other side: what the tests of headers share."""

from __future__ import annotations

from collections.abc import Callable

from tests.support import Headers, Site, message

Proxied = Callable[..., Site]

__all__ = ["ADDED", "answered", "open_site", "sent"]

#: What the proxy says of the way a request took; all else comes from the client.
ADDED = {
    *("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"),
    *("x-forwarded-prefix", "via"),
}


def sent(site: Site, *headers: str, target: str = "/p/x", host: str | None = "front") -> Headers:
    """The headers that reach the upstream when the client sends these."""
    lines = [f"Host: {host}"] if host is not None else []
    version = "HTTP/1.1" if host is not None else "HTTP/1.0"
    response = site.exchange(message(f"GET {target} {version}", [*lines, *headers]))
    assert response.status == 200, response
    return site.upstream.requests[-1].headers


def open_site(proxied: Proxied, **options: object) -> Site:
    """A waitress that leaves all headers to the application, as other servers do."""
    return proxied(server_options={"clear_untrusted_proxy_headers": False}, **options)


def answered(site: Site, *headers: str, status: str = "200 OK", method: str = "GET") -> Headers:
    """The headers that reach the client when the upstream sends these (UP is its netloc)."""
    lines = [header.replace("UP", site.upstream.netloc) for header in headers]
    site.upstream.respond(message(f"HTTP/1.1 {status}", [*lines, "Content-Length: 0"]))
    response = site.get("/p/dir/page", method=method)
    assert response.status == int(status[:3])
    return response.headers
