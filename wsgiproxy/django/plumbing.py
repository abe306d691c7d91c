"""Between a view and the proxy inside it: environs, hooks, and the site for sub-requests."""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import DisallowedHost, ImproperlyConfigured

from ..errors import ConfigurationError
from ..forwarding.serialize import rewound
from ..protocol.url_rules import Rule, read_rule
from .bodies import Tee

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = [
    "VIEW",
    "as_wsgi",
    "environ_of",
    "pools",
    "prepare",
    "read_rewrite",
    "site",
    "site_cookies",
]

#: The environ key under which a request carries the view that it came through.
VIEW = "wsgiproxy.django.view"


def environ_of(request: Any) -> tuple[dict[str, Any], Tee | None]:
    """A request's environ as the server gave it, and what keeps its body for Django.

    :param request: Django's. A body that was read already is in the environ again.
    :raises ImproperlyConfigured: under a server that speaks ASGI.
    """
    environ = dict(request.META)
    if "wsgi.input" not in environ:
        raise ImproperlyConfigured(
            "ProxyView needs a WSGI server; under ASGI put ProxyMiddleware and a WSGI adapter in "
            "front of Django"
        )
    environ["wsgi.url_scheme"] = request.scheme  # as SECURE_PROXY_SSL_HEADER has it
    if settings.USE_X_FORWARDED_HOST:
        try:
            environ["HTTP_HOST"] = request.get_host()
        except DisallowedHost:  # so that it is refused, rather than the Host behind it taken
            given = request.META.get("HTTP_X_FORWARDED_HOST")
            environ["HTTP_HOST"] = given or environ.get("HTTP_HOST", "")
    if hasattr(request, "_body"):
        environ["wsgi.input"] = io.BytesIO(request.body)
        environ["CONTENT_LENGTH"] = str(len(request.body))
        return environ, None
    has_body = environ.get("CONTENT_LENGTH") not in (None, "", "0")
    if not has_body and "HTTP_TRANSFER_ENCODING" not in environ:
        return environ, None
    tee = Tee(rewound(environ["wsgi.input"]))
    environ["wsgi.input"] = tee
    return environ, tee


def site_cookies() -> frozenset[str]:
    """The names of the cookies by which Django knows its visitors."""
    return frozenset((settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME))


def as_wsgi(text: str) -> str:
    """Django's decoded text as PEP 3333 has it."""
    return text.encode().decode("latin-1")


def prepare(request: Any) -> None:
    """The hook of a view's route: the view knows what to change."""
    request.environ[VIEW]._change_request(request.environ)


def read_rewrite(pairs: Iterable[tuple[str, str]]) -> list[Rule]:
    """The rules of a view's ``rewrite``.

    :raises ConfigurationError: for one that cannot work.
    """
    try:
        return [read_rule(pattern, to) for pattern, to in pairs]
    except ValueError as error:
        raise ConfigurationError(f"attribute rewrite: {error}") from None


def site(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The Django site itself, for sub-requests."""
    answer: Iterable[bytes] = _handler()(environ, start_response)
    return answer


@lru_cache(1)
def _handler() -> Any:
    from django.core.handlers.wsgi import WSGIHandler

    return WSGIHandler()


@lru_cache(1)
def pools() -> Any:
    """A pool manager of urllib3's for the whole process."""
    import urllib3

    return urllib3.PoolManager()
