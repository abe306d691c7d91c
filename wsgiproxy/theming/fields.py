"""Lists of header fields: found, replaced, and ``Vary``; pure functions."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["CHANGED_HEADERS", "Headers", "add_vary", "find", "media_type", "replace"]

Headers = list[tuple[str, str]]

#: What no longer fits a body that was written anew.
CHANGED_HEADERS = (
    "content-length",
    "content-encoding",
    "content-md5",
    "content-digest",
    "repr-digest",
    "digest",
    "accept-ranges",
    "content-range",
)


def find(headers: Headers, name: str) -> str | None:
    """The value of a field, repeats joined by commas (RFC 9110, section 5.2).

    :param headers: names and values.
    :param name: in lower case.
    :returns: ``None`` if there is no such field.
    """
    values = [value for key, value in headers if key.lower() == name]
    return ", ".join(values) if values else None


def replace(headers: Headers, *gone: str, **new: str | None) -> Headers:
    """The headers without some fields and with new ones.

    :param headers: names and values; left as they are.
    :param gone: names, in lower case.
    :param new: names with underscores for dashes, and values; ``None`` only removes the field.

    >>> replace([("ETag", '"a"'), ("Age", "1")], "age", etag='"b"')
    [('ETag', '"b"')]
    """
    given = {name.replace("_", "-").lower(): value for name, value in new.items()}
    kept = [(k, v) for k, v in headers if k.lower() not in gone and k.lower() not in given]
    names = {"etag": "ETag"}
    return kept + [(names.get(k, k.title()), v) for k, v in given.items() if v is not None]


def add_vary(headers: Headers, names: Iterable[str]) -> Headers:
    """The headers with names of request headers in ``Vary`` (RFC 9110, section 12.5.5).

    :param headers: names and values; left as they are.
    :param names: added unless ``Vary`` has them, or ``*``.
    """
    vary = find(headers, "vary") or ""
    known = {item.strip().lower() for item in vary.split(",")}
    missing = [name for name in names if name.lower() not in known]
    if not missing or "*" in known:
        return headers
    return replace(headers, vary=", ".join(filter(None, (vary, *missing))))


def media_type(content_type: str | None) -> str:
    """The media type of a ``Content-Type``, in lower case; empty without one.

    :param content_type: the header's value; ``None`` without one.

    >>> media_type("Text/HTML; charset=utf-8")
    'text/html'
    """
    return (content_type or "").split(";", 1)[0].strip().lower()
