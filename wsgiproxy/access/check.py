"""Who may pass: asked before the upstream hears of a request, and when in doubt, nobody.

The wrapped application is asked by a sub-request, as nginx's ``auth_request`` and Caddy's
``forward_auth`` do over the wire, or a callable is. A status of 2xx lets the request pass. What
else is said goes to a client that loads a page: a redirect to the login form, mostly. A script or
a WebSocket cannot follow that, and is told 401 or 403.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urljoin

import webob

from .. import error_pages
from ..errors import AuthFailed, BadRequest, ExchangeError, Forbidden, Unauthorized
from ..protocol import fields as headers
from ..protocol.fetch_metadata import is_page_load
from ..protocol.path_readings import is_normal, spellings
from ..protocol.request_target import host_of
from ..protocol.url_rules import redirect_of
from .passes import Granted, Passes, cacheable, question_key
from .subrequest import Answer, ask, derive, original_uri, without_body

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

    from ..routing.route import Route
    from ..routing.router import Match

__all__ = ["AccessCheck", "Granted"]

logger = logging.getLogger("wsgiproxy")


class AccessCheck:
    """What stands before one route: its ``redirects`` and its ``auth``.

    :param route: whose options say who is asked.
    :param app: the wrapped application, which sub-requests go to.
    """

    def __init__(self, route: Route, app: WSGIApplication) -> None:
        self._route = route
        self._app = app
        self._passes = Passes(route.auth_cache)
        #: The path that is asked for; ``None`` if it is the request's own.
        self._path: str | None = route.auth if isinstance(route.auth, str) else None

    def enter(self, match: Match, environ: WSGIEnvironment) -> Answer | Granted:
        """The answer for a client that may not pass, or what is granted to one that may.

        :param match: what the request asks of the route.
        :raises AuthFailed: if that could not be found out.
        :raises BadRequest: for a path that may mean another one, where the path decides.
        """
        route = self._route
        if route.redirects:
            # A redirect may keep somebody out, so it holds for every reading of the path.
            for url in spellings(match.prefix, match.raw_path, match.query):
                location = redirect_of(route.redirects, url)
                if location is not None:
                    return _redirect(location)
        if route.auth is None:
            return []
        if self._path is None and not is_normal(match.path or "/"):
            # Whoever decides by path and whoever serves it must mean the same (CVE-2025-32431).
            raise BadRequest(
                f"{match.path[:200]!r} may mean another path, where the path may decide who passes"
            )
        return self._ask(environ)

    def _ask(self, environ: WSGIEnvironment) -> Answer | Granted:
        question = self._question(environ)
        key = None
        if self._route.auth_cache:
            question = cacheable(question, self._route.copy_headers)
            key = question_key(question, is_same=self._path is not None)
        known = self._passes.get(key)
        if known is not None:
            return known
        answer = self._answer(question)
        if 200 <= answer.code < 300:
            granted = self._granted(answer)
            self._passes.put(key, granted)
            return granted
        return _refusal(answer, environ, self._path)

    def _question(self, environ: WSGIEnvironment) -> dict[str, Any]:
        if self._path is not None or self._route.auth is True:
            return derive(environ, self._path)
        # A callable may look at everything but the body, which the upstream needs.
        return without_body(environ)

    def _answer(self, question: dict[str, Any]) -> Answer:
        auth = self._route.auth
        try:
            if self._path is not None or auth is True:
                return ask(self._app, question)
            return _from_callable(auth(webob.Request(question)))
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
    status, pairs, body = error_pages.answer(error, error_pages.new_request_id(), environ)
    pairs += [("WWW-Authenticate", value) for value in answer.values("WWW-Authenticate")]
    return Answer(status, pairs, [body])


def _is_bare(answer: Answer) -> bool:
    """Whether there is nothing in it to show."""
    return answer.body == [] and answer.code >= 400


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
    origin = f"{environ['wsgi.url_scheme']}://{host_of(environ)}"
    wanted_by_form = {asked: wanted, origin + asked: origin + wanted}
    url, mark, query = location.partition("?")
    query, hash_mark, fragment = query.partition("#")
    parts = []
    for part in re.split("([&;])", query):
        name, equals, value = part.partition("=")
        back = wanted_by_form.get(unquote(value))
        parts.append(part if back is None else name + equals + quote(back, safe="/:"))
    return url + mark + "".join(parts) + hash_mark + fragment
