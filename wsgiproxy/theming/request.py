"""The request as the wrapped application gets it, and its conditions.

It differs from the client's in three things: ``Accept-Encoding`` names only codings that can
be read here, conditions have the application's own validators, and ``Range`` is left out
where the client accepts HTML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .codings import offer
from .etags import asks_for, is_mixed, matches, timestamp, unmix
from .fields import Headers, find
from .params import describe

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from .settings import ThemeOptions

__all__ = ["Conditions", "outgoing"]


class Conditions:
    """The conditions of a request: what the client has in its cache.

    :param environ: the client's request.
    :param tag: the tag of the theme in use; ``None`` if there is never a 304.
    :param modified: when the theme was compiled, in seconds since the epoch; ``None`` if
        a themed page has no date.
    """

    def __init__(self, environ: WSGIEnvironment, tag: str | None, modified: float | None) -> None:
        self.etags = asks_for(environ.get("HTTP_IF_NONE_MATCH", ""))
        self.has_etags = "HTTP_IF_NONE_MATCH" in environ
        self.since = timestamp(environ.get("HTTP_IF_MODIFIED_SINCE"))
        self.wants_page = "html" in environ.get("HTTP_ACCEPT", "").lower()
        self._may_304 = environ.get("REQUEST_METHOD") in ("GET", "HEAD")
        self._tag = tag
        self._modified = modified

    def upstream_etags(self) -> list[str]:
        """The tags for which the application may answer 304.

        Tags of the theme in use, as the application gave them; others only where no page is
        asked for: a page with such a tag was never themed.
        """
        kept = []
        for etag in self.etags:
            original, tag = unmix(etag)
            if (tag is not None and tag == self._tag) or (tag is None and not self.wants_page):
                kept.append(original)
        return kept

    def may_ask_since(self) -> bool:
        """Whether the application may answer 304 to the client's date."""
        if self.since is None or (self._modified is None and self.wants_page):
            return False
        return self._modified is None or self.since >= self._modified

    @property
    def were_changed(self) -> bool:
        """Whether the application gets other conditions than the client sent."""
        if self.has_etags:
            return self.upstream_etags() != self.etags
        return self.since is not None and not self.may_ask_since()

    def are_met(self, status: str, headers: Headers) -> bool:
        """Whether the response is what the client has (RFC 9110, section 13.2.2).

        :param status: such as ``200 OK``.
        :param headers: as they go to the client.
        """
        if not self._may_304 or not status.startswith("200"):
            return False
        if self.has_etags:
            return matches(self.etags, find(headers, "etag"))
        date = timestamp(find(headers, "last-modified"))
        return self.since is not None and date is not None and date <= self.since


def outgoing(
    environ: WSGIEnvironment, conditions: Conditions, options: ThemeOptions
) -> WSGIEnvironment:
    """The environ for the application.

    :param environ: the client's request; left as it is.
    :param conditions: of that request.
    :param options: of the middleware.
    """
    asked: dict[str, Any] = dict(environ) | describe(environ, options)
    if "HTTP_ACCEPT_ENCODING" in asked:
        asked["HTTP_ACCEPT_ENCODING"] = offer(asked["HTTP_ACCEPT_ENCODING"])
    if asked.get("REQUEST_METHOD") in ("GET", "HEAD"):
        _set(asked, "HTTP_IF_NONE_MATCH", conditions.upstream_etags())
        if not conditions.may_ask_since():
            asked.pop("HTTP_IF_MODIFIED_SINCE", None)
    for key in ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"):
        if is_mixed(asked.get(key, "")):
            asked[key] = ", ".join(unmix(etag)[0] for etag in asks_for(asked[key]))
    # RFC 9110 section 13.1.5: a part must fit what the client has, a themed page perhaps
    if conditions.wants_page or unmix(asked.get("HTTP_IF_RANGE", ""))[1] is not None:
        asked.pop("HTTP_RANGE", None)
        asked.pop("HTTP_IF_RANGE", None)
    return asked


def _set(environ: WSGIEnvironment, key: str, etags: list[str]) -> None:
    """Replace the tags of a condition; a field with the same tags stays as it is."""
    if key not in environ or asks_for(environ[key]) == etags:
        return
    if etags:
        environ[key] = ", ".join(etags)
    else:
        del environ[key]
