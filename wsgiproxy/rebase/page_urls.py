"""One URL of a page, from what the upstream calls it to what the client must call it.

Everything here works on bytes and gives an :class:`Edit`: which bytes of the URL give way
to which others. The rest of a URL is never touched, so what was odd about it stays odd.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote

__all__ = ["REACH", "Edit", "PageUrls"]

#: Bytes at the start of a URL that decide about it: origin, prefix, and room to spare.
REACH = 2048

# The URL standard strips C0 controls and spaces before a URL, and drops these three in it.
_SPACE = bytes(range(0x21))
_DROPPED = b"\t\n\r"
_SLASHES = b"/\\"  # in http URLs the URL standard takes one for the other
# Safe in HTML attributes without quotes, in CSS, JSON, srcset and JavaScript alike.
_PREFIX_SAFE = "/-._~!$*+;=:@%"
# Of what may stand in a Host header, that which means nothing in a policy or a page.
_PLAIN_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")
_DEFAULT_PORTS = (":80", ":443")


class Edit(NamedTuple):
    """The bytes from ``start`` to ``end`` give way to ``new``."""

    start: int
    end: int
    new: bytes


class PageUrls:
    """Maps URLs of one upstream under one prefix.

    :param prefix: the public path of the upstream's root without a last slash, encoded.
    :param hosts: ``host[:port]`` names by which the upstream means itself, whatever the
        scheme; a loopback name stands for the other two as well.
    :param base: the upstream's own base path, without a last slash.
    :param front: ``host[:port]`` of our site, for ``ws:`` URLs, which must be absolute.
    :param tls: whether the client speaks TLS to ``front``.
    """

    __slots__ = ("_origin", "base", "foreign_base", "front", "hosts", "prefix", "tls")

    def __init__(
        self,
        prefix: str,
        hosts: Iterable[str] = (),
        *,
        base: str = "",
        front: str = "",
        tls: bool = False,
    ) -> None:
        self.prefix = quote(prefix, safe=_PREFIX_SAFE).encode()
        self.base = base.encode()
        self.front = front.encode() if _PLAIN_HOST.fullmatch(front) else b""
        self.tls = tls
        self.hosts = tuple(sorted(set().union(*map(aliases, hosts))))
        self._origin = _origin_pattern(self.hosts)
        self.foreign_base = False

    def edit(self, url: bytes) -> Edit | None:
        """What to change in a URL, or ``None`` if it must stay as it is.

        ``url`` may be cut off behind its first ``REACH`` bytes. Relative URLs, foreign
        ones and those that already lie under the prefix stay.
        """
        if url[:1] != b"/" or url[1:2] in (b"/", b"\\", b"\t", b"\n", b"\r"):
            return self._edit_odd(url)
        return None if self.foreign_base else self._edit_path(url, 0, 0)

    def map(self, url: bytes) -> bytes:
        """The URL with its edit made."""
        edit = self.edit(url)
        return url if edit is None else url[: edit.start] + edit.new + url[edit.end :]

    def map_text(self, url: str) -> str:
        """The same for header values, one character for each byte."""
        return self.map(url.encode("latin-1", "replace")).decode("latin-1")

    def is_under(self, path: bytes) -> bool:
        """Whether a path lies under the prefix."""
        return _is_under(path, 0, self.prefix)

    def on_foreign_base(self) -> PageUrls:
        """The urls for a page whose ``<base>`` is foreign: there ``/x`` is foreign too."""
        clone = copy.copy(self)
        clone.foreign_base = True
        return clone

    def reversed(self) -> PageUrls:
        """The way back: URLs of our site as the upstream must see them."""
        base, hosts = self.prefix.decode(), [self.front.decode()] if self.front else []
        return PageUrls(self.base.decode(), hosts, base=base)

    def _edit_odd(self, url: bytes) -> Edit | None:
        """URLs that are absolute, or begin with blanks or backslashes."""
        start = len(url) - len(url.lstrip(_SPACE))
        match = self._origin.match(url, start)
        if match is not None:
            return self._edit_absolute(url, start, match)
        if url[start : start + 1] not in (b"/", b"\\"):
            return None
        second = url[start + 1 :].lstrip(_DROPPED)[:1]
        if self.foreign_base or (second and second in _SLASHES):
            return None
        return self._edit_path(url, start, start)

    def _edit_absolute(self, url: bytes, start: int, match: re.Match[bytes]) -> Edit | None:
        origin = b""
        if self.front and (match[1] or b"").lower().startswith(b"ws"):
            origin = (b"wss://" if self.tls else b"ws://") + self.front
        end = match.end()
        if url[end : end + 1] not in (b"/", b"\\"):
            return None if self.base else Edit(start, end, origin + self.prefix + b"/")
        edit = self._edit_path(url, start, end)
        if edit is not None:
            return edit._replace(new=origin + edit.new)
        if not _is_under(url, end, self.prefix):
            return None  # outside the base path: no way leads there
        return Edit(start, end, origin or self._guard(url, end))

    def _edit_path(self, url: bytes, start: int, slash: int) -> Edit | None:
        """The path that begins at ``slash``; everything from ``start`` on gives way."""
        is_root = not self.prefix and self.base  # there, being under the prefix says nothing
        if not is_root and _is_under(url, slash, self.prefix):
            return None
        if not self.base:
            return Edit(start, slash, self.prefix)
        if not _is_under(url, slash, self.base):
            return None
        end = slash + len(self.base)
        root = b"" if url[end : end + 1] in (b"/", b"\\") else b"/"
        return Edit(start, end, self._guard(url, end) + self.prefix + root)

    def _guard(self, url: bytes, end: int) -> bytes:
        """What keeps a path that now begins with two slashes from naming a host."""
        return b"/." if not self.prefix and url[end + 1 : end + 2] in (b"/", b"\\") else b""


def aliases(host: str) -> set[str]:
    """The names by which a ``host[:port]`` may be called as well."""
    host = host.lower()
    port = "".join(re.findall(r":[0-9]*\Z", host))
    name = host.removesuffix(port)
    names = {name}
    if name in ("localhost", "127.0.0.1", "[::1]", "0.0.0.0"):  # noqa: S104 - compared, not bound
        names = {"localhost", "127.0.0.1", "[::1]", name}
    ports = {port} if port not in ("", *_DEFAULT_PORTS) else {port, "", *_DEFAULT_PORTS}
    if port in _DEFAULT_PORTS:
        ports = {port, ""}
    return {name + port for name in names for port in ports}


def _origin_pattern(hosts: tuple[str, ...]) -> re.Pattern[bytes]:
    if not hosts:
        return re.compile(rb"(?!)()")
    names = b"|".join(re.escape(host.encode("latin-1", "replace")) for host in hosts)
    return re.compile(
        rb"(https?:|wss?:)?[/\\]{2}(?:" + names + rb")(?=[/\\?#\x00-\x20]|\Z)", re.IGNORECASE
    )


def _is_under(url: bytes, at: int, prefix: bytes) -> bool:
    """Whether the path at this index lies under the prefix, on a segment boundary."""
    if not url.startswith(prefix, at):
        return False
    after = url[at + len(prefix) : at + len(prefix) + 1]
    return after in (b"", b"/", b"\\", b"?", b"#") or after <= b" "
