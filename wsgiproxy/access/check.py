"""Who may pass: asked before the upstream hears of a request, and when in doubt, nobody.

The wrapped application is asked by a sub-request, as nginx's ``auth_request`` and Caddy's
``forward_auth`` do over the wire, or a callable is. A status of 2xx lets the request pass. What
else is said goes to a client that loads a page: the way to the login form, mostly. A script or a
WebSocket cannot follow that, and is told 401 or 403.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urljoin

import webob

from .. import error_pages as failures
from ..errors import AuthFailed, BadRequest, ExchangeError, Forbidden, Unauthorized
from ..protocol import fields as headers
from ..protocol.url_rules import redirect_of
from .subrequest import Answer, ask, derive, original_uri

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

    from ..routing.route import Route
    from ..routing.router import Match

__all__ = ["AccessCheck", "Granted", "is_page_load"]

logger = logging.getLogger("wsgiproxy")

#: Header names and values that the upstream is to get.
Granted = list[tuple[str, str]]

#: Outcomes that are remembered at once, for each route.
REMEMBERED = 4096
_DOTS = re.compile(r"(?:^|[/\\])\.\.(?:[/\\;]|$)")
_PAGES = frozenset(("document", "iframe", "frame", "embed", "object", "fencedframe"))


class AccessCheck:
    """What stands before one route: its ``redirects`` and its ``auth``.

    :param app: the wrapped application, which sub-requests go to.
    """

    def __init__(self, route: Route, app: WSGIApplication) -> None:
        self._route = route
        self._app = app
        self._passes = _Passes(route.auth_cache)

    def enter(self, match: Match, environ: WSGIEnvironment) -> Answer | Granted:
        """The answer for a client that may not pass, or what is granted to one that may.

        :raises AuthFailed: if that could not be found out.
        """
        route = self._route
        if route.redirects:
            url = match.prefix + match.raw_path + match.query
            location = redirect_of(route.redirects, url)
            if location is not None:
                return _redirect(location)
        if route.auth is None:
            return []
        if not isinstance(route.auth, str) and _DOTS.search(unquote(match.path)):
            # Whoever decides by path and whoever serves it must mean the same (CVE-2025-32431).
            raise BadRequest("a path with dots in it, where the path may decide who may pass")
        return self._asked(environ)

    def _asked(self, environ: WSGIEnvironment) -> Answer | Granted:
        path = self._route.auth if isinstance(self._route.auth, str) else None
        key = _key(environ, path) if self._route.auth_cache else None
        known = self._passes.get(key)
        if known is not None:
            return known
        answer = self._answer(environ, path)
        if 200 <= answer.code < 300:
            granted = self._granted(answer)
            self._passes.put(key, granted)
            return granted
        return _refusal(answer, environ, path)

    def _answer(self, environ: WSGIEnvironment, path: str | None) -> Answer:
        auth = self._route.auth
        try:
            if auth is True or path is not None:
                return ask(self._app, derive(environ, path))
            # A callable may look at everything but the body, which the upstream needs.
            copy = {**environ, "wsgi.input": io.BytesIO(), "CONTENT_LENGTH": "0"}
            return _from_callable(auth(webob.Request(copy)))
        except ExchangeError:
            raise
        except Exception as error:
            logger.exception("asking who may pass failed")
            raise AuthFailed(f"asking who may pass raised {error!r}") from error

    def _granted(self, answer: Answer) -> Granted:
        """The values to copy, one for each name that has any.

        :raises AuthFailed: for a value that no header may hold.
        """
        answer.close()
        granted: Granted = []
        for name in self._route.copy_headers:
            value = ", ".join(answer.values(name)).strip()
            if not headers.is_safe_value(value):
                raise AuthFailed(f"the value to copy for {name} holds control characters")
            if value:
                granted.append((name, value))
        return granted


def _from_callable(verdict: Any) -> Answer:
    """A callable's verdict as a response: true passes, false and ``None`` do not.

    :raises AuthFailed: for anything that is neither a truth value nor a response.
    """
    if isinstance(verdict, webob.Response):
        return Answer(verdict.status, verdict.headerlist, verdict.app_iter)
    if verdict is True:
        return Answer("204 No Content", [], [])
    if verdict is False or verdict is None:
        return Answer("403 Forbidden", [], [])
    raise AuthFailed(f"auth returned {verdict!r}; return True, False or a webob.Response")


# -- refusals ------------------------------------------------------------------------------


def _redirect(location: str) -> Answer:
    headers = [("Location", location), ("Content-Type", "text/plain"), ("Content-Length", "0")]
    return Answer("302 Found", headers, [])


def _refusal(answer: Answer, environ: WSGIEnvironment, path: str | None) -> Answer:
    """What the client gets to see of an answer that lets it not pass.

    :raises AuthFailed: for a status that is neither yes nor no.
    """
    code = answer.code
    if code not in (301, 302, 303, 307, 308, 401, 403):
        answer.close()
        raise AuthFailed(f"asking who may pass was answered {answer.status!r}")
    if is_page_load(environ) and not _is_bare(answer):
        if code < 400:
            return _led_back(answer, environ, path)
        return answer
    answer.close()
    error = Forbidden("not allowed") if code == 403 else Unauthorized("not logged in")
    status, pairs, body = failures.answer(error, failures.new_request_id(), environ)
    pairs += [("WWW-Authenticate", value) for value in answer.values("WWW-Authenticate")]
    return Answer(status, pairs, [body])


def _is_bare(answer: Answer) -> bool:
    """Whether there is nothing in it to show."""
    return answer.body == [] and answer.code >= 400


def is_page_load(environ: Mapping[str, Any]) -> bool:
    """Whether a person waits for a page, who can be sent to a login form.

    What the browser says of itself decides (Fetch Metadata: ``Sec-Fetch-Mode``, ``-Dest``), and
    ``Accept`` where it says nothing. No WebSocket is one, and nothing that a script fetches.
    """
    if "HTTP_UPGRADE" in environ:
        return False
    if environ.get("HTTP_X_REQUESTED_WITH", "").lower() == "xmlhttprequest":
        return False
    mode, dest = environ.get("HTTP_SEC_FETCH_MODE"), environ.get("HTTP_SEC_FETCH_DEST")
    if mode:
        return bool(mode == "navigate")
    if dest:
        return dest in _PAGES
    accept = environ.get("HTTP_ACCEPT", "").lower()
    return "text/html" in accept or "application/xhtml+xml" in accept


def _led_back(answer: Answer, environ: WSGIEnvironment, path: str | None) -> Answer:
    """A redirect, with the URL that was asked for where it names the sub-request's own.

    ``/login?next=/check`` must become ``/login?next=/new_req/page``: the one who logs in wants
    to go there.
    """
    if path is None:
        return answer
    asked = derive(environ, path)["REQUEST_URI"]
    wanted = original_uri(environ)
    pairs = [
        (name, _with_next(urljoin(asked, value), asked, wanted, environ))
        if name.lower() == "location"
        else (name, value)
        for name, value in answer.headers
    ]
    return answer._replace(headers=pairs)


def _with_next(location: str, asked: str, wanted: str, environ: WSGIEnvironment) -> str:
    origin = f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', '')}"
    wanted_by_form = {asked: wanted, origin + asked: origin + wanted}
    url, mark, query = location.partition("?")
    query, hash_mark, fragment = query.partition("#")
    parts = []
    for part in re.split("([&;])", query):
        name, equals, value = part.partition("=")
        back = wanted_by_form.get(unquote(value))
        parts.append(part if back is None else name + equals + quote(back, safe="/:"))
    return url + mark + "".join(parts) + hash_mark + fragment


# -- what is remembered ---------------------------------------------------------------------


def _key(environ: WSGIEnvironment, path: str | None) -> bytes | None:
    """Who the client is, and what it asks if that may matter; ``None`` for nobody in particular.

    A question that is always the same (``path``) has the same answer for every URL. The names
    of users stay out of memory.
    """
    cookie, credentials = environ.get("HTTP_COOKIE"), environ.get("HTTP_AUTHORIZATION")
    user = environ.get("REMOTE_USER")
    if not (cookie or credentials or user):
        return None
    facts = [cookie, credentials, user, environ.get("REMOTE_ADDR")]
    facts += [environ.get("HTTP_HOST"), environ["wsgi.url_scheme"]]
    if path is None:
        facts += [environ["REQUEST_METHOD"], original_uri(environ)]
        facts += [environ.get("HTTP_UPGRADE")]
    return hashlib.sha256(repr(facts).encode()).digest()


class _Passes:
    """Who was let pass lately. Refusals are never remembered: a login counts at once.

    :param seconds: how long; ``None`` for not at all.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds or 0.0
        self._known: OrderedDict[bytes, tuple[float, Granted]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes | None) -> Granted | None:
        """What was granted, if that holds still."""
        if key is None:
            return None
        with self._lock:
            until, granted = self._known.get(key, (0.0, []))
        return granted if until > time.monotonic() else None

    def put(self, key: bytes | None, granted: Granted) -> None:
        """Remember; the oldest is forgotten if there are too many."""
        if key is None:
            return
        with self._lock:
            self._known[key] = (time.monotonic() + self._seconds, granted)
            self._known.move_to_end(key)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
