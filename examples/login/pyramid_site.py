"""A Pyramid application whose users, and nobody else, reach the service on port 9999.

python -m http.server 9999 &
python pyramid_site.py

Log in as alice or bob, password "secret". The service is there three times:

/new_req/    in front of Pyramid: asks /check who may pass, tells the service who the user is
/reports/    a view for everybody who is logged in (a permission of the security policy)
/payroll/    a view for alice
"""

from urllib.parse import urlencode

from pyramid.authentication import AuthTktCookieHelper
from pyramid.authorization import ACLHelper, Allow, Authenticated, Everyone
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPForbidden, HTTPFound
from pyramid.response import Response
from pyramid.security import forget, remember

from wsgiproxy import ProxyMiddleware, Route
from wsgiproxy.pyramid import current_user

SERVICE = "http://localhost:9999"
PASSWORDS = {"alice": "secret", "bob": "secret"}
FORM = """<!DOCTYPE html><title>Log in</title><form method=post>
<input name=username><input name=password type=password><button>Log in</button></form>"""


class SecurityPolicy:
    def __init__(self):
        self.tickets = AuthTktCookieHelper("an example keeps no secrets", cookie_name="ticket")
        self.acl = ACLHelper()

    def identity(self, request):
        found = self.tickets.identify(request)
        return found["userid"] if found and found["userid"] in PASSWORDS else None

    def authenticated_userid(self, request):
        return self.identity(request)

    def permits(self, request, context, permission):
        user = self.identity(request)
        principals = [Everyone, Authenticated, user] if user else [Everyone]
        return self.acl.permits(context, principals, permission)

    def remember(self, request, userid, **options):
        return self.tickets.remember(request, userid, **options)

    def forget(self, request, **options):
        return self.tickets.forget(request, **options)


class Root:
    __acl__ = [(Allow, Authenticated, "use"), (Allow, "alice", "pay")]  # noqa: RUF012

    def __init__(self, request):
        pass


def login(request):
    if request.method == "GET":
        return Response(FORM)
    name = request.POST["username"]
    if PASSWORDS.get(name) != request.POST["password"]:
        raise HTTPForbidden()
    return HTTPFound("/reports/", headers=remember(request, name))


def logout(request):
    return HTTPFound("/login/", headers=forget(request))


def check(request):
    """Says who may pass to /new_req: 2xx is yes, the way to the login form is no."""
    return Response(status=204)


def forbidden(request):
    if request.authenticated_userid is not None:
        return Response("Not for you\n", status=403)
    return HTTPFound("/login/?" + urlencode({"next": request.path_qs}, safe="/"))


def main(global_config, **settings):
    with Configurator(settings=settings, root_factory=Root) as config:
        config.set_security_policy(SecurityPolicy())
        for name, view, permission in [
            ("login", login, None),
            ("logout", logout, None),
            ("check", check, "use"),
        ]:
            config.add_route(name, f"/{name}" if name == "check" else f"/{name}/")
            config.add_view(view, route_name=name, permission=permission)
        config.add_forbidden_view(forbidden)
        config.include("wsgiproxy.pyramid")
        config.add_proxy("/reports", SERVICE, permission="use")
        config.add_proxy("/payroll", SERVICE, permission="pay")
        app = config.make_wsgi_app()
    route = Route(SERVICE, auth="/check", remote_user=current_user(app), hide_cookies=["ticket"])
    return ProxyMiddleware(app, {"/new_req": route})


if __name__ == "__main__":
    import waitress

    print("Open http://127.0.0.1:8080/new_req/ and log in")
    waitress.serve(main({}), listen="127.0.0.1:8080", threads=32, channel_request_lookahead=5)
