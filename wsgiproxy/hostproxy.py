"""``HostProxy``: a WSGI application that is nothing but an upstream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .errors import ConfigurationError
from .middleware import ProxyMiddleware
from .routing.route import Route
from .settings.options import check_names

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["HostProxy", "TransparentProxy"]

#: What WSGIProxy2 allows by default.
ALLOWED_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
# Options of WSGIProxy2's HTTP clients that have a counterpart here.
_CLIENT_OPTIONS = {"timeout": "read_timeout", "ca_certs": "ca"}


class HostProxy:
    """Sends every request to one upstream; call-compatible with WSGIProxy2's.

    :param uri: the upstream's URL.
    :param client: WSGIProxy2's choice of an HTTP client, which is not needed here: any
        name is accepted, since there is one transport.
    :param allowed_methods: answer other methods with 405; all pass if it is empty.
    :param strip_script_name: send ``PATH_INFO`` alone; else ``SCRIPT_NAME`` before it.
    :param client_options: options of a :class:`~wsgiproxy.Route`; ``timeout`` and
        ``ca_certs`` are understood too.
    :raises ConfigurationError: for a URL or an option that cannot work.

    ``webtest.TestApp("http://localhost:9999")`` finds it under WSGIProxy2's name.
    """

    def __init__(
        self,
        uri: str,
        client: Any = None,
        allowed_methods: Iterable[str] = ALLOWED_METHODS,
        strip_script_name: bool = True,
        **client_options: Any,
    ) -> None:
        options = {_CLIENT_OPTIONS.get(name, name): v for name, v in client_options.items()}
        check_names(options, Route.names(), "HostProxy")
        self.uri = uri.rstrip("/")
        self.http = client
        self.allowed_methods = tuple(allowed_methods)
        self.strip_script_name = strip_script_name
        route = Route(self.uri, **{"strip_prefix": strip_script_name, **options})
        self.route = route
        self._proxy = ProxyMiddleware(_nothing_here, {"/": route})

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request from the upstream."""
        if self.allowed_methods and environ["REQUEST_METHOD"] not in self.allowed_methods:
            return _refuse(405, "Method Not Allowed", start_response, self.allowed_methods)
        return self._proxy(environ, start_response)


class TransparentProxy:
    """Sends a request to the host that it names, if that host is allowed.

    :param allowed_hosts: the ``host[:port]`` values that may be reached, each exactly as
        the ``Host`` header has it; every other is refused with 403. There is no
        default: a proxy to anywhere is a way into your own network.
    :param options: as for :class:`HostProxy`.
    :raises ConfigurationError: for no hosts at all.
    """

    def __init__(self, allowed_hosts: Iterable[str], client: Any = None, **options: Any) -> None:
        hosts = {host.lower() for host in allowed_hosts}
        if not hosts:
            raise ConfigurationError("TransparentProxy needs allowed_hosts; name at least one")
        scheme = options.pop("scheme", "http")
        self._hosts = {host: HostProxy(f"{scheme}://{host}", client, **options) for host in hosts}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request from the host it names."""
        proxy = self._hosts.get(environ.get("HTTP_HOST", "").lower())
        if proxy is None:
            return _refuse(403, "Forbidden", start_response)
        return proxy(environ, start_response)


def _refuse(
    status: int, reason: str, start_response: StartResponse, allow: Iterable[str] = ()
) -> Iterable[bytes]:
    body = f"{status} {reason}\n".encode()
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    if allow:
        headers.append(("Allow", ", ".join(allow)))
    start_response(f"{status} {reason}", headers)
    return [body]


def _nothing_here(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return _refuse(404, "Not Found", start_response)
