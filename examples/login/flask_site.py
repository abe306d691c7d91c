"""A Flask application whose users, and nobody else, reach the service on port 9999.

python -m http.server 9999 &
python flask_site.py

Log in as alice or bob, password "secret". The service is there three times:

/new_req/    in front of Flask: asks /check who may pass, tells the service who the user is
/reports/    a view for everybody who is logged in (login_required)
/payroll/    a blueprint that only alice gets through (before_request)
"""

from flask import Flask, abort, redirect, request, session, url_for
from flask_login import (
    LoginManager,
    UserMixin,
    current_user,
    login_required,
    login_user,
    logout_user,
)

from wsgiproxy import ProxyMiddleware, Route
from wsgiproxy import flask as proxied

SERVICE = "http://localhost:9999"
PASSWORDS = {"alice": "secret", "bob": "secret"}
FORM = """<!DOCTYPE html><title>Log in</title><form method=post>
<input name=username><input name=password type=password><button>Log in</button></form>"""

app = Flask(__name__)
app.secret_key = "an example keeps no secrets"
logins = LoginManager(app)
logins.login_view = "login"


class User(UserMixin):
    def __init__(self, name):
        self.id = name


@logins.user_loader
def load_user(name):
    return User(name) if name in PASSWORDS else None


@app.route("/login/", methods=["GET", "POST"])
def login():
    if request.method == "GET":
        return FORM
    name = request.form["username"]
    if PASSWORDS.get(name) != request.form["password"]:
        abort(403)
    login_user(User(name))
    return redirect(url_for("reports", path=""))


@app.route("/logout/", methods=["POST"])
def logout():
    logout_user()
    session.clear()
    return redirect(url_for("login"))


@app.route("/check")
@login_required
def check():
    """Says who may pass to /new_req: 2xx is yes, the way to the login form is no."""
    return "", 204


proxied.mount(app, "/reports", SERVICE, endpoint="reports", decorators=[login_required])

user = proxied.current_user(app)
payroll = proxied.proxy_blueprint("payroll", SERVICE, remote_user=user)


@payroll.before_request
@login_required
def only_alice():
    if current_user.id != "alice":
        abort(403)


app.register_blueprint(payroll, url_prefix="/payroll")

app.wsgi_app = ProxyMiddleware(
    app.wsgi_app,
    {"/new_req": Route(SERVICE, auth="/check", remote_user=user, hide_cookies=["session"])},
)

if __name__ == "__main__":
    import waitress

    print("Open http://127.0.0.1:8080/new_req/ and log in")
    waitress.serve(app, listen="127.0.0.1:8080", threads=32, channel_request_lookahead=5)
