"""Where the URLs of an upstream lie for the client, and back.

An upstream at ``http://localhost:9999/base`` under the prefix ``/new_req`` calls a page
``/base/page``; the client has to call it ``/new_req/page``. These are the functions that
translate, for whatever header holds a URL.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .origins import normal_netloc, same_origin
from .request_target import path_below

__all__ = ["HeaderUrls"]

_ABSOLUTE = re.compile(r"(?:(https?|wss?):)?//([^/?#\\]*)", re.IGNORECASE)
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#\\]*")
_LINK = re.compile(r"<([^<>]*)>")
_REFRESH = re.compile(r"(\s*[0-9.]+\s*[;,]\s*(?:url\s*=\s*)?['\"]?)([^'\"]*)(.*)", re.I | re.S)


class HeaderUrls(NamedTuple):
    """Maps URLs of one upstream under one prefix.

    :param prefix: the public path of the upstream's root, without a last slash, encoded.
    :param base: the upstream's base path, without a last slash.
    :param inside: ``host[:port]`` names by which the upstream means itself.
    :param front: ``host[:port]`` of our own site as the client wrote it.
    :param origin: the upstream's origin, ``scheme://host[:port]``.
    :param outside: our own origin, ``scheme://host[:port]``.
    """

    prefix: str
    base: str
    inside: frozenset[str]
    front: str
    origin: str
    outside: str

    def to_client(self, url: str) -> str:
        """A URL of the upstream's, as the client must say it.

        Relative ones, foreign ones and those that already lie under the prefix come back
        unchanged; own absolute ones become a path, which is right behind any terminator
        of TLS too.
        """
        absolute = _ABSOLUTE.match(url)
        if absolute is None:
            if not url.startswith("/") or url.startswith(("//", "/\\")):
                return url
            return self._path_to_client(url, url)
        if not self._is_own(absolute[1], absolute[2]):
            return url
        path = url[absolute.end() :]
        return self._path_to_client(path if path.startswith("/") else "/" + path, url)

    def _is_own(self, scheme: str | None, netloc: str) -> bool:
        """Whether an authority means the upstream itself, or our site."""
        ours = self.outside.partition(":")[0]
        own = normal_netloc(scheme or ours, netloc)
        return own in self.inside or own == normal_netloc(ours, self.front)

    def _path_to_client(self, path: str, url: str) -> str:
        if self.prefix and path_below(path, self.prefix) is not None:
            return path  # told of its prefix, the upstream has said it already
        if self.base:
            below = path_below(path, self.base)
            if below is None:
                return url  # a place that cannot be reached through this prefix
            path = below if below.startswith("/") else "/" + below
        mapped = self.prefix + path
        return mapped if not mapped.startswith(("//", "/\\")) else "/." + mapped

    def path_to_upstream(self, path: str) -> str:
        """A public path as the upstream knows it; one outside the prefix as it is."""
        if self.prefix:
            below = path_below(path, self.prefix)
            if below is None:
                return path
            path = below if below.startswith("/") else "/" + below
        return self.base + path

    def to_upstream(self, url: str) -> str:
        """A URL of our own origin as the upstream knows it; any other as it is."""
        if self.prefix and url.startswith(self.outside + self.prefix + "/"):
            return self.origin + self.base + url[len(self.outside) + len(self.prefix) :]
        found = _ORIGIN.match(url)
        if found is None or not same_origin(found[0], self.outside):
            return url
        rest = url[found.end() :]
        if rest and rest[0] not in "/?#":
            return url
        return self.origin + (self.path_to_upstream(rest) if rest.startswith("/") else rest)

    def tagged(self, value: str) -> str:
        """WebDAV's ``If``: each URL or path in angle brackets (RFC 4918, 10.4)."""
        return _LINK.sub(lambda match: f"<{self.destination(match[1])}>", value)

    def destination(self, value: str) -> str:
        """WebDAV's ``Destination``: a URL, or a path alone (RFC 4918, 10.3)."""
        if value.startswith("/") and not value.startswith("//"):
            return self.path_to_upstream(value)
        return self.to_upstream(value)

    def link(self, value: str) -> str:
        """A ``Link`` header: each target in angle brackets (RFC 8288, 3)."""
        return _LINK.sub(lambda match: f"<{self.to_client(match[1])}>", value)

    def refresh(self, value: str) -> str:
        """A ``Refresh`` header: the URL behind the seconds, if there is one."""
        match = _REFRESH.fullmatch(value)
        return match[1] + self.to_client(match[2]) + match[3] if match else value

    def set_cookie(self, value: str) -> str:
        """A ``Set-Cookie`` header, edited as text: ``Path`` and ``Domain`` alone change.

        A cookie without ``Path`` gets the right one from the browser. ``Domain`` goes if
        it names the upstream, since a browser would refuse such a cookie; without it
        the cookie is ours alone. A ``__Host-`` cookie must have ``Path=/`` (RFC 6265bis,
        4.1.3.2) and is left as it is.
        """
        pair, *attributes = value.split(";")
        if pair.strip().lower().startswith("__host-"):
            return value
        edited = (self._cookie_attribute(attribute) for attribute in attributes)
        return ";".join([pair, *(text for text in edited if text is not None)])

    def _cookie_attribute(self, attribute: str) -> str | None:
        name, equals, content = attribute.partition("=")
        kind, content = name.strip().lower(), content.strip()
        if kind == "path" and equals and content.startswith("/"):
            return f"{name}={self._cookie_path(content)}"
        if kind == "domain" and self._is_own_domain(content.lstrip(".").lower()):
            return None
        return attribute

    def _cookie_path(self, path: str) -> str:
        if self.prefix and path_below(path, self.prefix) is not None:
            return path
        below = path_below(path, self.base) if self.base else None
        if below is not None:
            path = below or "/"
        elif self.base and path_below(self.base, path.rstrip("/")) is not None:
            path = "/"
        return self.prefix + path  # under the prefix whatever it says: the rest is not its own

    def _is_own_domain(self, domain: str) -> bool:
        names = {re.sub(r":[0-9]+$", "", host).strip("[]") for host in self.inside}
        return any(name == domain or name.endswith("." + domain) for name in names)
