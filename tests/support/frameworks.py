"""A Flask site and a Pyramid site, with users and services behind them and inside them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from wsgiproxy import ProxyMiddleware, Route

USERS = {"alice": "alice@example.org", "bob": "bob@example.org"}


def flask_site(upstream: str) -> Any:
    """Flask with Flask-Login: ``/login?name=alice`` logs in, ``/logout`` out."""
    import flask
    from flask_login import (
        LoginManager,
        UserMixin,
        login_required,
        login_user,
        logout_user,
    )
    from flask_login import (
        current_user as user,
    )

    from wsgiproxy.flask import current_user, mount, proxy_blueprint, session_user

    app = flask.Flask(__name__)
    app.secret_key = "test"
    manager = LoginManager(app)
    manager.login_view = "login"

    class User(UserMixin):
        def __init__(self, name: str) -> None:
            self.id = name
            self.mail = USERS[name]

    @manager.user_loader
    def load(name: str) -> User | None:
        return User(name) if name in USERS else None

    @app.get("/login")
    def login() -> str:
        if "name" in flask.request.args:
            login_user(User(flask.request.args["name"]))
            flask.session["team"] = "red"
        return "log in"

    @app.get("/logout")
    def logout() -> str:
        logout_user()
        flask.session.pop("team", None)
        return "bye"

    @app.get("/check")
    @login_required
    def check() -> Any:
        return "", 204, {"X-Mail": user.mail}

    @app.before_request
    def peek() -> None:
        if flask.request.args.get("peek"):
            flask.request.get_data()

    mount(app, "/open", upstream)
    mount(app, "/team/<team>", upstream, endpoint="team")
    mount(app, "/private", upstream, endpoint="private", decorators=[login_required])
    mount(app, "/asked", upstream, auth="/check", copy_headers="X-Mail")
    blueprint = proxy_blueprint(
        "jobs",
        upstream,
        remote_user=current_user(app),
        identity_headers={"X-Mail": current_user(app, "mail"), "X-Team": session_user(app, "team")},
    )

    @blueprint.before_request
    @login_required
    def guard() -> None:
        pass

    app.register_blueprint(blueprint, url_prefix="/jobs")
    app.wsgi_app = ProxyMiddleware(  # type: ignore[method-assign]
        app.wsgi_app, _in_front(upstream, current_user(app))
    )
    return app


def pyramid_site(upstream: str) -> Any:
    """Pyramid with a security policy: ``/login?name=alice`` logs in, ``/logout`` out."""
    from pyramid.authorization import Allow, Authenticated
    from pyramid.config import Configurator
    from pyramid.csrf import SessionCSRFStoragePolicy
    from pyramid.httpexceptions import HTTPFound
    from pyramid.response import Response
    from pyramid.security import forget, remember
    from pyramid.session import SignedCookieSessionFactory

    from wsgiproxy.pyramid import current_user

    class Root:
        __acl__ = ((Allow, Authenticated, "use"), (Allow, "alice", "check"))

        def __init__(self, request: Any) -> None:
            pass

    def login(request: Any) -> Response:
        name = request.params.get("name")
        if name:
            remember(request, name)
        return Response("log in")

    def logout(request: Any) -> Response:
        forget(request)
        return Response("bye")

    def forbidden(request: Any) -> Response:
        if request.authenticated_userid is not None:
            return Response("no", status=403)
        return HTTPFound("/login?" + urlencode({"next": request.path_qs}, safe="/"))

    def check(request: Any) -> Response:
        mail = USERS[request.authenticated_userid]
        return Response(status=204, headerlist=[("X-Mail", mail)])

    config = Configurator(root_factory=Root)
    config.set_session_factory(SignedCookieSessionFactory("test"))
    config.set_csrf_storage_policy(SessionCSRFStoragePolicy())
    config.set_default_csrf_options(require_csrf=True)
    config.set_security_policy(Policy())
    for name, view in (("login", login), ("logout", None), ("check", check)):
        config.add_route(name, "/" + name)
        if view is not None:
            config.add_view(view, route_name=name, permission="use" if name == "check" else None)
    config.add_view(logout, route_name="logout")
    config.add_forbidden_view(forbidden)
    config.include("wsgiproxy.pyramid")
    config.add_proxy("/open", upstream)
    config.add_proxy("/team/{team}", upstream, name="team")
    config.add_proxy("/private", upstream, permission="use")
    config.add_proxy("/never", upstream, permission="nobody has it")
    config.add_proxy("/asked", upstream, auth="/check", copy_headers="X-Mail")
    app = config.make_wsgi_app()
    return ProxyMiddleware(app, _in_front(upstream, current_user(app)))


class Policy:
    """A security policy with names in a signed session."""

    def identity(self, request: Any) -> Any:
        name = request.session.get("name")
        return {"name": name, "mail": USERS[name]} if name in USERS else None

    def authenticated_userid(self, request: Any) -> str | None:
        found = self.identity(request)
        return found["name"] if found else None

    def permits(self, request: Any, context: Any, permission: str) -> Any:
        from pyramid.authorization import ACLHelper, Authenticated, Everyone

        name = self.authenticated_userid(request)
        principals = [Everyone, *([Authenticated, name] if name else [])]
        return ACLHelper().permits(context, principals, permission)

    def remember(self, request: Any, name: str, **options: Any) -> list[tuple[str, str]]:
        request.session["name"] = name
        return []

    def forget(self, request: Any, **options: Any) -> list[tuple[str, str]]:
        request.session.pop("name", None)
        return []


def _in_front(upstream: str, user: Any) -> dict[str, Route]:
    return {
        "/named": Route(upstream, remote_user=user),
        "/guarded": Route(upstream, remote_user=user, auth="/check", copy_headers="X-Mail"),
    }
