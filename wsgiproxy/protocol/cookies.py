"""Cookies as browsers read them (RFC 6265bis), rather than as Python's ``str`` methods would.

A browser takes spaces and tabs off names and values, nothing else; what it takes for a cookie of
one kind must not be taken for another here.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BLANKS", "SetCookie", "read_set_cookie"]

#: RFC 6265bis, 5.6: what is removed around names and values.
BLANKS = " \t"
# RFC 6265bis, 5.6: longer attributes are ignored.
_LONGEST = 1024


class SetCookie(NamedTuple):
    """What a browser makes of a ``Set-Cookie`` value."""

    name: str  #: the cookie's name; empty for one that has none
    value: str
    attributes: dict[str, str]  #: by lower-cased name; of repeated ones the last counts

    @property
    def name_in_request(self) -> str:
        """The name by which a server will know it when it comes back.

        A cookie without a name comes back as its value alone: ``=a=b`` as ``a=b``. Servers take
        all sorts of white space off names.
        """
        name = self.name or self.value.lstrip("=" + BLANKS).partition("=")[0]
        return name.strip()

    @property
    def path(self) -> str | None:
        """The path that it says, or ``None`` if the browser takes the folder of the request."""
        path = self.attributes.get("path", "")
        return path if path.startswith("/") else None

    @property
    def is_for_whole_host(self) -> bool:
        """Whether browsers send it to every path of the host and nowhere else.

        RFC 6265bis, 4.1.3.2: ``__Host-``, spelt so, with ``Secure``. Newer browsers refuse other
        spellings of it, older ones take them for ordinary names.
        """
        return self.name.startswith("__Host-") and "secure" in self.attributes


def read_set_cookie(value: str) -> SetCookie:
    """Read a ``Set-Cookie`` value by the algorithm of RFC 6265bis, 5.6."""
    pair, *others = value.split(";")
    name, equals, content = pair.partition("=")
    if not equals:
        name, content = "", pair
    attributes = {}
    for other in others:
        key, _, text = (part.strip(BLANKS) for part in other.partition("="))
        if len(text) <= _LONGEST:
            attributes[key.lower()] = text
    return SetCookie(name.strip(BLANKS), content.strip(BLANKS), attributes)
