"""``ProxyView``: a route inside Django's URL map.

Call-compatible with django-revproxy's view of the same name: its attributes and methods are
here and mean what they mean there, except where that would lose something on the way.
"""

from __future__ import annotations

import logging
import mimetypes
import threading
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied
from django.shortcuts import redirect, resolve_url
from django.views.generic import View

from .. import errors
from ..access.identity import encode
from ..embedding import EmbeddedProxy, moved
from ..errors import ConfigurationError
from ..forwarding.serialize import SUPPRESS
from ..protocol.request_target import PATH_SAFE
from ..protocol.url_rules import apply, redirect_of
from ..routing.route import Route
from ..settings.options import check_names
from .headers import apply_changes, normalize_request_headers
from .plumbing import VIEW, as_wsgi, environ_of, pools, prepare, read_rewrite, site
from .response import ProxyResponse, get_django_response
from .targets import Place, place_of

__all__ = ["InvalidUpstream", "ProxyView"]

#: Upstreams that one URL pattern may lead to before the first are forgotten.
_MOST = 32
_LOCK = threading.Lock()


class InvalidUpstream(ConfigurationError):
    """A view's upstream is no ``http`` or ``https`` URL."""


class ProxyView(View):  # type: ignore[misc]  # Django has no types
    """Answers from an upstream what its URL pattern captures as ``path``.

    ::

        re_path(r"^new_req/(?P<path>.*)$", ProxyView.as_view(upstream="http://localhost:9999"))

    Every attribute may be given to ``as_view`` or set in a subclass, every option of a
    :class:`~wsgiproxy.Route` too: ``read_timeout``, ``hide_cookies``, ``auth`` ... A subclass puts
    those into ``route_options``. The view takes every method and is exempt from Django's CSRF
    check, which is the upstream's matter; decorators and mixins guard it as any view.

    :ivar upstream: the base URL; :meth:`get_upstream` may choose it for each request.
    :ivar add_remote_user: name the active ``request.user`` to the upstream.
    :ivar remote_user_header: the header for that; ``REMOTE_USER`` for old services.
    :ivar add_x_forwarded: send ``X-Forwarded-For``, ``-Proto``, ``-Host``, ``-Port``, ``-Prefix``.
    :ivar rewrite: pairs of a pattern on path and query, and the URL, path or view name to
        redirect to.
    :ivar default_content_type: for responses without a type whose URL tells none.
    :ivar strict_cookies: drop cookies that ``http.cookies`` does not accept.
    :ivar suppress_empty_body: do not say ``Content-Length: 0``.
    :ivar quote_spaces_as_plus: spaces in paths go upstream as ``+``.
    :ivar retries, streaming_amount: accepted and of no effect: a request is sent again only where
        nothing can be done twice, and what has arrived goes on at once.
    :ivar http: a ``urllib3.PoolManager`` for subclasses that fetch something themselves.
    """

    _upstream: Any = None
    _mounted: dict[Any, EmbeddedProxy] | None = None
    route_options: dict[str, Any] = {}  # noqa: RUF012 - replaced, never changed
    add_remote_user = False
    remote_user_header = "Remote-User"
    add_x_forwarded = False
    default_content_type = "application/octet-stream"
    retries: Any = None
    rewrite: Iterable[tuple[str, str]] = ()
    strict_cookies = False
    suppress_empty_body = False
    quote_spaces_as_plus: bool | None = None
    streaming_amount: int | None = None
    _http: Any = None
    log = logging.getLogger("wsgiproxy.django")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._rewrite = read_rewrite(self.rewrite)
        if self._mounted is None:
            self._mounted = {}
        self.request_headers: dict[str, str] = {}

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """The view function. Options of a route are taken besides the attributes.

        :raises ConfigurationError: for a route option that cannot work.
        """
        named = {k: v for k, v in initkwargs.items() if not hasattr(cls, k)}
        check_names(named, {*Route.names(), *dir(cls)}, cls.__name__)
        kept = {k: v for k, v in initkwargs.items() if k not in named}
        options = {**cls.route_options, **kept.pop("route_options", {}), **named}
        view = super().as_view(**kept, route_options=options, _mounted={})
        view.csrf_exempt = True
        return view

    @property
    def upstream(self) -> Any:
        """The upstream's base URL."""
        if not self._upstream:
            raise NotImplementedError("Upstream server must be set")
        return self._upstream

    @upstream.setter
    def upstream(self, value: Any) -> None:
        self._upstream = value

    @property
    def http(self) -> Any:
        """Pools of urllib3's, not used by the view itself."""
        return self._http or pools()

    @http.setter
    def http(self, value: Any) -> None:
        self._http = value

    # -- what subclasses replace -------------------------------------------------------------

    def get_upstream(self, path: str) -> str:
        """The upstream for this request.

        :param path: what the URL pattern captured.
        :raises InvalidUpstream: if it is no ``http`` or ``https`` URL.
        """
        upstream = str(self.upstream)
        if urlsplit(upstream).scheme not in ("http", "https"):
            raise InvalidUpstream(
                f"Upstream URL scheme must be either 'http' or 'https' ({upstream})."
            )
        return upstream + "/" if path and not upstream.endswith("/") else upstream

    def get_route(self, upstream: str) -> Route:
        """The route to an upstream; called once for each that there is."""
        options = {"forwarded": "x-forwarded" if self.add_x_forwarded else "none"}
        return Route(upstream, **{**options, **self.route_options, "modify_request": prepare})

    def get_proxy_request_headers(self, request: Any) -> dict[str, str]:
        """The client's headers that may go to the upstream."""
        return normalize_request_headers(request)

    def get_request_headers(self) -> dict[str, str]:
        """The headers that go to the upstream; change what ``super()`` gives."""
        headers = self.get_proxy_request_headers(self.request)
        user = getattr(self.request, "user", None) if self.add_remote_user else None
        if user is not None and user.is_active:
            headers[self.remote_user_header] = encode(user.get_username())
        if self.add_x_forwarded:
            headers.update(self._forwarded())
        return headers

    def get_quoted_path(self, path: str) -> str:
        """The path for the upstream, encoded: as the client spelt it if it is the client's."""
        if path == self._place.path:
            quoted = self._place.raw
        else:
            quoted = quote(path.encode("utf-8", "surrogatepass"), safe=PATH_SAFE)
        return quoted.replace("%20", "+") if self._spaces_are_plus() else quoted

    def get_encoded_query_params(self) -> str:
        """The query for the upstream, as it came."""
        return str(self.request.META.get("QUERY_STRING", ""))

    # -- one request -----------------------------------------------------------------------------

    def dispatch(self, request: Any, path: str = "", **kwargs: Any) -> Any:
        """Answer a request of any method; ``path`` comes from the URL pattern."""
        self.request = request
        self._place: Place = place_of(request, path)
        # 1. What the upstream is told.
        try:
            self.request_headers = self.get_request_headers()
        except errors.Forbidden as error:  # a name that no header can carry
            raise PermissionDenied(str(error)) from error
        # 2. Redirects, before the upstream hears of anything.
        redirect_to = self._format_path_to_redirect(request)
        if redirect_to:
            return redirect(redirect_to)
        # 3. The exchange, and the response that Django passes on.
        proxy_response = self._created_proxy_response(request, path)
        self._replace_host_on_redirect_location(request, proxy_response)
        self._set_content_type(request, proxy_response)
        return get_django_response(proxy_response, strict_cookies=self.strict_cookies)

    def _format_path_to_redirect(self, request: Any) -> str | None:
        url = request.get_full_path()
        found = apply(self._rewrite, url)
        if found is None:
            return None
        rule, made = found
        if rule.to.lower().startswith(("/", "http://", "https://")):
            try:
                return redirect_of((rule,), url)
            except errors.BadRequest as error:
                raise BadRequest(str(error)) from error
        path = resolve_url(made)  # the name of a view
        if not path.startswith("/") or path.startswith(("//", "/\\")):
            raise BadRequest(f"the redirect {made[:200]!r} leads nowhere")
        return str(path)

    def _created_proxy_response(self, request: Any, path: str) -> ProxyResponse:
        """The upstream's response, status and headers read, the body on its way."""
        upstream = self.get_upstream(path)
        target = self.get_quoted_path(path)
        if self._place.slash or not target.startswith("/"):
            target = "/" + target
        base = urlsplit(upstream)
        if not path and base.path and not base.path.endswith("/"):
            # The upstream is one page, not a tree of them.
            upstream, target = f"{base.scheme}://{base.netloc}", base.path
        environ = moved(
            environ_of(request),
            as_wsgi(request.META.get("SCRIPT_NAME", "")),
            self._place.mount,
            target + self._query(request),
        )
        environ[VIEW] = self
        return ProxyResponse(self._proxy(upstream).answer(environ))

    def _replace_host_on_redirect_location(
        self, request: Any, proxy_response: ProxyResponse
    ) -> None:
        """For subclasses: ``Location`` leads to the client's side of things already."""

    def _set_content_type(self, request: Any, proxy_response: ProxyResponse) -> None:
        is_bodiless = proxy_response.status in (101, 204, 304)
        if not is_bodiless and not proxy_response.headers.get("Content-Type"):
            guessed = mimetypes.guess_type(request.path)[0]
            proxy_response.headers["Content-Type"] = guessed or self.default_content_type

    # -- inside ----------------------------------------------------------------------------------

    def _proxy(self, upstream: str) -> EmbeddedProxy:
        """The mounted route, made at first use and shared by the requests of one URL pattern."""
        assert self._mounted is not None
        key = self._key(upstream)
        with _LOCK:
            found = self._mounted.get(key)
            if found is None:
                found = self._mounted[key] = self._make(upstream)
                if len(self._mounted) > _MOST:
                    self._mounted.pop(next(iter(self._mounted))).close()
        return found

    def _key(self, upstream: str) -> tuple[Any, ...]:
        return upstream, self.add_x_forwarded

    def _make(self, upstream: str) -> EmbeddedProxy:
        return EmbeddedProxy(self.get_route(upstream), site)

    def _query(self, request: Any) -> str:
        query = self.get_encoded_query_params()
        given = request.META.get("REQUEST_URI") or request.META.get("RAW_URI") or ""
        return "?" + query if query or given.endswith("?") else ""

    def _forwarded(self) -> dict[str, str]:
        proto = "https" if self.request.is_secure() else "http"
        address = self.request.META.get("REMOTE_ADDR", "")
        return {"X-Forwarded-For": address, "X-Forwarded-Proto": proto}

    def _spaces_are_plus(self) -> bool:
        if self.quote_spaces_as_plus is not None:
            return self.quote_spaces_as_plus
        return bool(getattr(settings, "REVPROXY", {}).get("QUOTE_SPACES_AS_PLUS", False))

    def _change_request(self, environ: dict[str, Any]) -> None:
        """Have the outgoing request differ from the incoming one as the view wants it."""
        before = normalize_request_headers(self.request)
        if self.add_x_forwarded:
            before.update(self._forwarded())  # the route says it, and more
        apply_changes(environ, before, self.request_headers)
        if self.suppress_empty_body:
            environ[SUPPRESS] = True
