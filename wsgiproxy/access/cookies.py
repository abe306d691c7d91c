"""Whose cookies are whose, where a site and the services under its prefixes share one host.

Three rules, for requests and responses alike:

- *hidden* cookies are the site's: the upstream neither sees nor sets them;
- *site* cookies are the site's unless the upstream has set one of that name itself: it sees its
  own, told by the value, and never the site's;
- every cookie that the upstream sets stays below its prefix.
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from ..protocol.cookies import BLANKS, SetCookie, read_set_cookie
from ..protocol.request_target import path_below

__all__ = ["SITE_COOKIES", "Cookies"]

#: The environ key under which an adapter names the cookies of its own framework.
SITE_COOKIES = "wsgiproxy.site_cookies"
#: What begins the name of the cookie by which we know a cookie of the upstream again.
MARK = "wsgiproxy-own-"
#: Values that are remembered for each route.
REMEMBERED = 16384


class Cookies:
    """The cookies of one route.

    :param hidden: names that are the site's alone.
    :param site: names that are the site's unless the upstream uses them too.
    """

    def __init__(self, hidden: Iterable[str], site: Iterable[str]) -> None:
        self._hidden = frozenset(hidden)
        self._site = frozenset(site)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def to_upstream(self, header: str, environ: Mapping[str, Any], *, is_below: bool) -> str:
        """The ``Cookie`` header for the upstream; empty if nothing is left of it.

        :param header: the client's.
        :param is_below: whether the route has a prefix of its own. Then the first of several
            cookies of one name is the upstream's, since browsers name the one with the longest
            path first (RFC 6265bis, 5.8.3), and the others are of a wider path, where the
            upstream, were it visited directly, would never see them.
        """
        site = self._site_names(environ)
        pieces = _split(header, self._hidden | site)
        if not self._hidden and not site and not (is_below and _has_repeats(pieces)):
            return header
        marks = {name: value for name, value, _ in pieces if name.startswith(MARK)}
        seen: set[str] = set()
        left = []
        for name, value, text in pieces:
            if name in self._hidden or (is_below and name in seen) or (site and name in marks):
                continue
            if name in site and not self._is_own(name, value, marks):
                continue
            if name:
                seen.add(name)
            left.append(text)
        return ";".join(left).strip(BLANKS)

    def to_client(
        self, value: str, mapped: str, environ: Mapping[str, Any], prefix: str, path: str
    ) -> list[str]:
        """The ``Set-Cookie`` values for the client that one of the upstream makes.

        :param value: as the upstream said it.
        :param mapped: with path and domain as the client must be told them.
        :param prefix: the public prefix of the route, encoded; empty for the root.
        :param path: what followed it in the request.
        """
        cookie = read_set_cookie(value)
        name = cookie.name_in_request
        if name in self._hidden or name.startswith(MARK):
            return []
        site = self._site_names(environ)
        if not prefix or cookie.is_for_whole_host:
            return [] if name in site else [mapped]
        mapped = _confined(mapped, prefix, path)
        if name not in site or not cookie.name:
            return [] if name in site else [mapped]
        digest = _digest(name, cookie.value)
        self._remember(digest)
        if not _lasts(cookie, environ):
            return [mapped]
        return [mapped, _marked(name, digest, mapped)]

    def _site_names(self, environ: Mapping[str, Any]) -> frozenset[str]:
        named = environ.get(SITE_COOKIES)
        return self._site | named if named else self._site

    def _is_own(self, name: str, value: str, marks: Mapping[str, str]) -> bool:
        digest = _digest(name, value)
        return digest in self._known or marks.get(MARK + name) == digest

    def _remember(self, digest: str) -> None:
        with self._lock:
            self._known[digest] = None
            self._known.move_to_end(digest)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)


# -- requests ------------------------------------------------------------------------------


def _split(header: str, names: frozenset[str]) -> list[tuple[str, str, str]]:
    """Name, value and text of each cookie.

    Servers join several ``Cookie`` lines with commas, which may stand in a value as well. So a
    comma separates where one of ``names`` follows.
    """
    texts = header.split(";")
    if names and "," in header:
        texts = [piece for text in texts for piece in _split_joined(text, names)]
    found = []
    for text in texts:
        name, equals, value = text.lstrip("=" + BLANKS).partition("=")
        found.append((name.strip() if equals else "", value.strip(BLANKS), text))
    return found


def _split_joined(text: str, names: frozenset[str]) -> list[str]:
    begin, end = _joined(names)
    pieces: list[str] = []
    while True:
        is_named = begin.match("," + text) is not None
        found = (end if is_named else begin).search(text)
        if found is None:
            return [*pieces, text]
        pieces.append(text[: found.start()])
        text = text[found.start() + 1 :]


@lru_cache(64)
def _joined(names: frozenset[str]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Where a cookie of these names begins behind a comma, and where any other one does."""
    listed = "|".join(map(re.escape, sorted(names)))
    return re.compile(rf",[=\s]*(?:{listed})\s*="), re.compile(r",\s*[^\s=,;\"]+\s*=")


def _has_repeats(pieces: list[tuple[str, str, str]]) -> bool:
    names = [name for name, _, _ in pieces if name]
    return len(set(names)) < len(names)


# -- responses -----------------------------------------------------------------------------


def _confined(value: str, prefix: str, path: str) -> str:
    """A cookie that browsers send below the prefix only."""
    cookie = read_set_cookie(value)
    if cookie.path is None:
        # The browser takes the folder of the request: that of /prefix itself lies above it.
        return value if path.startswith("/") else f"{value}; Path={prefix}/"
    if path_below(cookie.path, prefix) is not None:
        return value
    return f"{value}; Path={prefix}/"  # of repeated attributes the last counts


def _lasts(cookie: SetCookie, environ: Mapping[str, Any]) -> bool:
    """Whether a cookie may come back to a process that does not remember it.

    It may where there are several, and if it outlives this one: it has a date, or it is a login's.
    """
    if environ.get("wsgi.multiprocess"):
        return True
    return not cookie.attributes.keys().isdisjoint(("expires", "max-age", "httponly"))


def _marked(name: str, digest: str, like: str) -> str:
    """The cookie that says of another one that the upstream has set it.

    It holds a hash of the value, which nobody can make who does not know the value: so a script of
    the service cannot have the site's own cookie taken for the service's.
    """
    attributes = "".join(";" + part for part in like.split(";")[1:])
    is_told = "httponly" in read_set_cookie(like).attributes
    return f"{MARK}{name}={digest}{attributes}" + ("" if is_told else "; HttpOnly")


def _digest(name: str, value: str) -> str:
    made = hashlib.sha256(f"{name}={value}".encode()).digest()[:18]
    return base64.urlsafe_b64encode(made).decode()
