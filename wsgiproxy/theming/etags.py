"""Entity tags and dates of themed pages, and what a client asks by them; pure functions.

A themed page is another representation than the application's. Its ETag is the
application's with the theme's tag in it, so that each side gets back what it gave.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.utils import formatdate, parsedate_to_datetime

__all__ = [
    "asks_for",
    "http_date",
    "is_mixed",
    "later",
    "matches",
    "mix",
    "timestamp",
    "unmix",
]

# RFC 9110 section 8.8.3: entity-tag = [ weak ] opaque-tag
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_MIXED = re.compile(r'((?:W/)?"[\x21\x23-\x7e\x80-\xff]*)~t([0-9a-f]{16})"')


def mix(etag: str | None, tag: str) -> str | None:
    """The ETag of a themed page.

    :param etag: the application's; ``None`` without one.
    :param tag: the theme's, 16 hexadecimal digits.
    :returns: ``None`` if the application gave no valid one.

    >>> mix('W/"a"', "0123456789abcdef")
    'W/"a~t0123456789abcdef"'
    """
    if etag is None or not _ETAG.fullmatch(etag.strip()):
        return None
    return f'{etag.strip()[:-1]}~t{tag}"'


def is_mixed(field: str) -> bool:
    """Whether a field may hold the ETag of a themed page.

    :param field: such as ``If-None-Match``.
    """
    return "~t" in field


def unmix(etag: str) -> tuple[str, str | None]:
    """The application's ETag, and the theme's tag or ``None`` for a page that was not themed.

    :param etag: of a page, themed or not.

    >>> unmix('"a~t0123456789abcdef"')
    ('"a"', '0123456789abcdef')
    """
    match = _MIXED.fullmatch(etag)
    return (match[1] + '"', match[2]) if match else (etag, None)


def asks_for(field: str) -> list[str]:
    """The entity tags of an ``If-Match`` or ``If-None-Match`` (RFC 9110, section 13.1).

    :param field: the header's value; ``*`` stands for itself.
    """
    return ["*"] if field.strip() == "*" else _ETAG.findall(field)


def matches(etags: Iterable[str], etag: str | None) -> bool:
    """Whether one of some tags is an ETag, by weak comparison (RFC 9110, section 8.8.3.2).

    :param etags: what :func:`asks_for` found.
    :param etag: of a response; ``None`` without one.
    """
    if etag is None:
        return False
    opaque = etag.removeprefix("W/")
    return any(item == "*" or item.removeprefix("W/") == opaque for item in etags)


def timestamp(date: str | None) -> float | None:
    """An HTTP date in seconds since the epoch.

    :param date: the header's value; ``None`` without one.
    :returns: ``None`` if it is not a date.
    """
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (TypeError, ValueError, OverflowError):
        return None


def http_date(seconds: float) -> str:
    """An HTTP date (RFC 9110, section 5.6.7).

    :param seconds: since the epoch.
    """
    return formatdate(seconds, usegmt=True)


def later(date: str | None, seconds: float) -> str | None:
    """The later of two dates, as an HTTP date.

    :param date: the application's ``Last-Modified``; ``None`` without one.
    :param seconds: since the epoch, when the theme was compiled.
    :returns: ``None`` if the application gave no date.
    """
    given = timestamp(date)
    return None if given is None else http_date(max(given, seconds))
