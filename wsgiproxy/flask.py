"""Living inside Flask: who the user is, and routes inside the application's URL map.

::

    # in front of Flask
    app.wsgi_app = ProxyMiddleware(
        app.wsgi_app, {"/new_req": Route("http://localhost:9999", remote_user=current_user(app))}
    )

    # inside Flask, with decorators, hooks and endpoint names
    mount(app, "/new_req", "http://localhost:9999", decorators=[login_required])
    app.register_blueprint(proxy_blueprint("jobs", "http://localhost:9999"), url_prefix="/jobs")
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.routing import BaseConverter

from . import errors
from .access.cookies import SITE_COOKIES
from .access.subrequest import without_body
from .embedding import EmbeddedProxy, as_text, check_place, moved, place, says_cookies
from .errors import ConfigurationError
from .protocol.request_target import with_slash
from .routing.route import Route
from .settings.kinds import NAMES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["current_user", "mount", "proxy_blueprint", "proxy_view", "session_user"]

#: The registered methods (IANA): Flask wants those named that a rule takes.
METHODS = NAMES.read(
    "ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT CONNECT COPY DELETE GET HEAD LABEL LINK LOCK MERGE"
    " MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE OPTIONS ORDERPATCH PATCH POST"
    " PROPFIND PROPPATCH PUT QUERY REBIND REPORT SEARCH TRACE UNBIND UNCHECKOUT UNLINK UNLOCK"
    " UPDATE UPDATEREDIRECTREF VERSION-CONTROL"
)

Resolver = Callable[[dict[str, Any]], Any]


# -- who the user is ---------------------------------------------------------------------


def current_user(app: Flask, attribute: str | None = None) -> Resolver:
    """For ``remote_user``: the user whom Flask-Login finds in a request.

    :param attribute: what to send of the user object, such as ``"email"``; ``get_id()`` if none.
    :raises ConfigurationError: if Flask-Login is not installed.

    Neither ``before_request`` functions nor views run, and the session is not written.
    """
    try:
        import flask_login
    except ImportError:
        raise ConfigurationError("current_user asks Flask-Login; pip install Flask-Login") from None

    def resolver(environ: dict[str, Any]) -> Any:
        with app.request_context(without_body(environ)):
            user = flask_login.current_user
            if not (user and user.is_authenticated and user.is_active):
                return None
            return getattr(user, attribute) if attribute else user.get_id()

    return resolver


def session_user(app: Flask, key: str = "user") -> Resolver:
    """For ``remote_user``: what the session holds under ``key``."""

    def resolver(environ: dict[str, Any]) -> Any:
        if "HTTP_COOKIE" not in environ:
            return None
        with app.request_context(without_body(environ)) as context:
            session = app.session_interface.open_session(app, context.request)
            return None if session is None else session.get(key)

    return resolver


# -- routes inside the application ---------------------------------------------------------


def proxy_view(upstream: Any, **options: Any) -> Callable[..., Response]:
    """A view function that answers from an upstream.

    :param upstream, options: as for :class:`~wsgiproxy.Route`.
    :raises ConfigurationError: for an option that cannot work.

    It takes the last part of the URL as ``path``; :func:`mount` makes fitting rules.
    """
    embedded = EmbeddedProxy(Route(upstream, **options), _site)
    tells_cookies = says_cookies(options)

    def view(path: str = "", **others: Any) -> Response:
        environ = request.environ
        try:
            where, target = place(environ, path)
            check_place(where, target, _leads_here)
        except errors.BadRequest as error:
            raise BadRequest(str(error)) from error
        if not target.startswith("/"):
            if request.method in ("GET", "HEAD") and "HTTP_UPGRADE" not in environ:
                return _Response([], 308, Headers([("Location", with_slash(where, target))]))
            target = "/" + target
        environ = moved(environ, environ.get("SCRIPT_NAME", ""), where, target)
        if not tells_cookies:
            environ[SITE_COOKIES] = _site_cookies()
        read = request.__dict__.get("_cached_data")  # by some function before us
        if read is not None:
            environ["wsgi.input"] = io.BytesIO(read)
        answer = embedded.answer(environ)
        return _Response(answer.body, status=answer.status, headers=Headers(answer.headers))

    return view


def mount(
    app: Flask | Blueprint,
    prefix: str,
    upstream: Any,
    *,
    endpoint: str | None = None,
    decorators: Sequence[Callable[..., Any]] = (),
    **options: Any,
) -> None:
    """Answer everything under a prefix from an upstream, with every method.

    :param prefix: a URL rule without a slash at its end; it may hold variables.
    :param endpoint: the name for ``url_for(endpoint, path="...")``; the prefix's if none.
    :param decorators: put around the view, the last one outermost: ``[login_required]``.
    :param upstream, options: as for :class:`~wsgiproxy.Route`.
    """
    prefix = prefix.rstrip("/")
    view: Callable[..., Any] = proxy_view(upstream, **options)
    view.__name__ = endpoint or "proxy" + "".join(c if c.isalnum() else "_" for c in prefix)
    for decorator in decorators:
        view = decorator(view)
    _teach(app)
    rest = f"{prefix}/<{_CONVERTER}:path>"
    kept: dict[str, Any] = {"provide_automatic_options": False, "merge_slashes": False}
    app.add_url_rule(rest, endpoint, view, methods=METHODS, **kept)
    app.add_url_rule(rest, endpoint, view, methods=("GET",), websocket=True, **kept)
    if prefix or isinstance(app, Blueprint):
        app.add_url_rule(prefix, endpoint, view, methods=METHODS, **kept)


def proxy_blueprint(
    name: str, upstream: Any, *, import_name: str = __name__, **options: Any
) -> Blueprint:
    """A blueprint that is a route, for ``register_blueprint(..., url_prefix="/new_req")``.

    Functions of ``blueprint.before_request`` guard it.
    """
    blueprint = Blueprint(name, import_name)
    mount(blueprint, "", upstream, endpoint="proxy", **options)
    return blueprint


_CONVERTER = "wsgiproxy_rest"


class _Rest(BaseConverter):
    """The rest of a path, whatever it is; ``path`` takes none that begins with a slash."""

    regex = ".*?"
    part_isolating = False
    weight = 250

    def to_url(self, value: Any) -> str:
        """Leave the slashes, which separate."""
        return super().to_url(value).replace("%2F", "/")


def _teach(app: Flask | Blueprint) -> None:
    def teach(site: Any) -> None:
        site.url_map.converters[_CONVERTER] = _Rest

    if isinstance(app, Blueprint):
        app.record(lambda state: teach(state.app))
    else:
        teach(app)


def _leads_here(path: str) -> bool:
    """Whether the URL map leads a path to the view of this request."""
    adapter = current_app.create_url_adapter(request)
    if adapter is None or request.url_rule is None:
        return False
    below = path[len(request.environ.get("SCRIPT_NAME", "")) :]
    try:
        rule, _ = adapter.match(as_text(below.encode("latin-1")), return_rule=True)
    except HTTPException:
        return False
    return bool(rule.endpoint == request.url_rule.endpoint)


def _site_cookies() -> frozenset[str]:
    """The names of the cookies by which Flask, and Flask-Login if it is there, know visitors."""
    names = {current_app.config["SESSION_COOKIE_NAME"]}
    if hasattr(current_app, "login_manager"):
        names.add(current_app.config.get("REMEMBER_COOKIE_NAME", "remember_token"))
    return frozenset(names)


def _site(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The application itself, for sub-requests."""
    return current_app.wsgi_app(environ, start_response)


class _Response(Response):
    """Sent as it is: the length and the type are the upstream's to tell."""

    default_mimetype = None
    automatically_set_content_length = False

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """The headers without corrections."""
        return Headers(self.headers)
