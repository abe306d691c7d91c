"""Validators of edited responses: honest to the client, and known again upstream.

An edited page is not the upstream's page, so its tag says by which settings it was
edited, and is weak, for byte positions mean nothing any more (RFC 9110, 8.8.3). Coming
back in a condition, it is turned into the upstream's own tag.
"""

from __future__ import annotations

import re

from ..protocol.fields import HeaderList

__all__ = ["mixed", "unmixed", "was_mixed", "with_marks"]

#: What describes the bytes as they came, or promises parts of them.
_OUTDATED = frozenset(
    ["content-length", "content-md5", "digest", "content-digest", "repr-digest", "accept-ranges"]
)
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


def with_marks(
    headers: HeaderList, mark: str, *, is_edited: bool = True, varies: str = ""
) -> HeaderList:
    """The headers of an edited response, or of one that says that it has not changed.

    :param mark: says how it was edited.
    :param is_edited: whether a body comes with it.
    :param varies: request headers that decided how it was edited.
    """
    marked = []
    for name, value in headers:
        lowered = name.lower()
        if not (is_edited and lowered in _OUTDATED):
            marked.append((name, mixed(value, mark) if lowered == "etag" else value))
    return [*marked, ("Vary", varies)] if varies else marked


def mixed(etag: str, mark: str) -> str:
    """The tag for the edited response.

    :param mark: says how it was edited; of letters and digits.
    """
    match = _TAG.fullmatch(etag.strip())
    if match is None:
        return etag
    weak, opaque = match.groups()
    return f'W/"{opaque}~{"w" if weak else "s"}{mark}"'


def unmixed(condition: str, mark: str) -> str:
    """``If-None-Match`` or ``If-Match`` as the upstream must see it.

    A tag that was mixed by other settings tells of another text; it is left out.
    """
    if condition.strip() == "*":
        return condition
    kept = []
    for weak, opaque in _TAG.findall(condition):
        original, tilde, ours = opaque.rpartition("~")
        if not tilde or not re.fullmatch(r"[ws][0-9a-f]{8}", ours):
            kept.append(f'{weak}"{opaque}"')
        elif ours[1:] == mark:
            kept.append(f'{"W/" if ours[0] == "w" else ""}"{original}"')
    return ", ".join(kept)


def was_mixed(condition: str, mark: str) -> bool:
    """Whether a condition names a tag that these settings made."""
    return re.search(rf"~[ws]{mark}\"", condition) is not None
