"""Living inside Pyramid: who the user is, and routes inside the application's URL map.

::

    # in front of Pyramid
    app = config.make_wsgi_app()
    application = ProxyMiddleware(
        app, {"/new_req": Route("http://localhost:9999", remote_user=current_user(app))}
    )

    # inside Pyramid, with permissions, tweens and route names
    config.include("wsgiproxy.pyramid")
    config.add_proxy("/new_req", "http://localhost:9999", permission="use")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pyramid.httpexceptions import HTTPBadRequest
from pyramid.interfaces import (
    IAuthenticationPolicy,
    ICSRFStoragePolicy,
    IRoutesMapper,
    ISecurityPolicy,
    ISessionFactory,
)
from pyramid.response import Response

from . import errors
from .access.cookies import SITE_COOKIES
from .access.subrequest import without_body
from .embedding import EmbeddedProxy, check_place, moved, place, says_cookies
from .protocol.request_target import with_slash
from .routing.route import Route

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["add_proxy", "current_user", "includeme", "proxy_view"]

Resolver = Callable[[dict[str, Any]], Any]


def includeme(config: Any) -> None:
    """``config.include("wsgiproxy.pyramid")`` gives the configurator ``add_proxy``."""
    config.add_directive("add_proxy", add_proxy)


# -- who the user is ---------------------------------------------------------------------


def current_user(app: Any, attribute: str = "authenticated_userid") -> Resolver:
    """For ``remote_user``: whom the registered security policy finds in a request.

    :param app: what ``config.make_wsgi_app()`` returned.
    :param attribute: the request's attribute to send; a dotted one such as ``identity.email``
        reaches into what the policy calls the identity.

    Neither tweens nor views run.
    """
    names = attribute.split(".")

    def resolver(environ: dict[str, Any]) -> Any:
        with app.request_context(without_body(environ)) as request:
            try:
                found: Any = request
                for name in names:
                    found = getattr(found, name, None)
                return str(found) if isinstance(found, int) else found
            finally:
                request._process_finished_callbacks()

    return resolver


# -- routes inside the application ---------------------------------------------------------


def add_proxy(
    config: Any,
    prefix: str,
    upstream: Any,
    *,
    name: str | None = None,
    permission: Any = None,
    factory: Any = None,
    decorator: Any = None,
    **options: Any,
) -> None:
    """Answer everything under a prefix from an upstream, with every method.

    :param prefix: a route pattern without a slash at its end; it may hold variables.
    :param name: the route's name for ``request.route_url(name, path="...")``.
    :param permission, factory, decorator: as for ``add_view`` and ``add_route``.
    :param upstream, options: as for :class:`~wsgiproxy.Route`.
    :raises ConfigurationError: for an option that cannot work.
    """
    prefix = prefix.rstrip("/")
    name = name or "proxy" + prefix
    view = proxy_view(upstream, **options)
    guards = {"require_csrf": False, "permission": permission, "decorator": decorator}
    config.add_route(name, prefix + "/{path:(?s:.*)}", factory=factory)
    config.add_view(view, route_name=name, **guards)
    if prefix:
        config.add_route(name + " without slash", prefix, factory=factory)
        config.add_view(view, route_name=name + " without slash", **guards)


def proxy_view(upstream: Any, **options: Any) -> Callable[[Any, Any], Response]:
    """A view that answers from an upstream, for a route whose pattern ends in ``{path:.*}``.

    :param upstream, options: as for :class:`~wsgiproxy.Route`.
    :raises ConfigurationError: for an option that cannot work.
    """
    embedded = EmbeddedProxy(Route(upstream, **options), _site)
    tells_cookies = says_cookies(options)

    def view(context: Any, request: Any) -> Response:
        environ = request.environ
        try:
            where, target = place(environ, request.matchdict.get("path", ""))
            check_place(where, target, lambda path: _leads_here(request, path))
        except errors.BadRequest as error:
            raise HTTPBadRequest(str(error)) from error
        if not target.startswith("/"):
            if request.method in ("GET", "HEAD") and "HTTP_UPGRADE" not in environ:
                return _to_slash(where, target)
            target = "/" + target
        environ = moved(environ, environ.get("SCRIPT_NAME", ""), where, target)
        environ = {k: v for k, v in environ.items() if not k.startswith("webob.")}
        environ[_REQUEST] = request
        if not tells_cookies:
            environ[SITE_COOKIES] = _site_cookies(request)
        answer = embedded.answer(environ)
        return _Response(status=answer.status, headerlist=answer.headers, app_iter=answer.body)

    return view


_REQUEST = "wsgiproxy.pyramid.request"


def _to_slash(where: str, query: str) -> Response:
    headers = [("Location", with_slash(where, query)), ("Content-Length", "0")]
    return _Response(status="308 Permanent Redirect", headerlist=headers, app_iter=[])


def _leads_here(request: Any, path: str) -> bool:
    """Whether the routes lead a path to the view of a request."""
    environ = {k: v for k, v in request.environ.items() if not k.startswith("webob.")}
    environ["PATH_INFO"] = path[len(environ.get("SCRIPT_NAME", "")) :]
    other = type(request)(environ)
    other.registry = request.registry
    route = request.registry.getUtility(IRoutesMapper)(other)["route"]
    return route is not None and route.name == request.matched_route.name


def _site_cookies(request: Any) -> frozenset[str]:
    """The names of the cookies by which Pyramid's own sessions, policies and tokens work."""
    find = request.registry.queryUtility
    sessions, tokens = find(ISessionFactory), find(ICSRFStoragePolicy)
    names = {"auth_tkt", getattr(tokens, "cookie_name", None)}
    if sessions is not None:
        names.add(getattr(sessions, "_cookie_name", "session"))
    for policy in (find(ISecurityPolicy), find(IAuthenticationPolicy)):
        names.add(getattr(getattr(policy, "cookie", None), "cookie_name", None))
    return frozenset(filter(None, names))


def _site(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The application itself, for sub-requests."""
    request = environ[_REQUEST]
    copy = {k: v for k, v in environ.items() if k != _REQUEST and not k.startswith("webob.")}
    response = request.invoke_subrequest(type(request)(copy), use_tweens=True)
    answer: Iterable[bytes] = response(copy, start_response)
    return answer


class _Response(Response):  # type: ignore[misc]  # Pyramid has no types
    """Sent as it is: WebOb's own call would make ``Location`` absolute."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(self.status, self.headerlist)
        if environ["REQUEST_METHOD"] == "HEAD":
            self.app_iter_close()
            return []
        body: Iterable[bytes] = self.app_iter
        return body

    def app_iter_close(self) -> None:
        """Be done with the body unread."""
        getattr(self.app_iter, "close", lambda: None)()
