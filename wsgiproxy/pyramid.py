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

import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pyramid.httpexceptions import HTTPBadRequest
from pyramid.response import Response

from . import errors
from .embedding import EmbeddedProxy, moved, place
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
        copy = {k: v for k, v in environ.items() if not k.startswith("webob.")}
        copy |= {"wsgi.input": io.BytesIO(), "CONTENT_LENGTH": "0"}
        with app.request_context(copy) as request:
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
    mounted = EmbeddedProxy(Route(upstream, **options), _site)

    def view(context: Any, request: Any) -> Response:
        environ = request.environ
        try:
            where, target = place(environ, request.matchdict.get("path", ""))
        except errors.BadRequest as error:
            raise HTTPBadRequest(str(error)) from error
        if not target.startswith("/"):
            if request.method in ("GET", "HEAD") and "HTTP_UPGRADE" not in environ:
                return _to_slash(where, target)
            target = "/" + target
        environ = moved(environ, environ.get("SCRIPT_NAME", ""), where, target)
        environ = {k: v for k, v in environ.items() if not k.startswith("webob.")}
        environ[_REQUEST] = request
        answer = mounted.answer(environ)
        return _Response(status=answer.status, headerlist=answer.headers, app_iter=answer.body)

    return view


_REQUEST = "wsgiproxy.pyramid.request"


def _to_slash(where: str, query: str) -> Response:
    # Path-absolute with exactly one slash in front, so that it cannot lead elsewhere.
    location = "/" + where.lstrip("/") + "/" + query
    headers = [("Location", location), ("Content-Length", "0")]
    return _Response(status="308 Permanent Redirect", headerlist=headers, app_iter=[])


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
