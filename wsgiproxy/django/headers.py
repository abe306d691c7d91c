"""The request's headers as a dictionary, for views that look at them and change them."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from ..protocol import fields as rules
from ..protocol.fields import LITERAL

__all__ = ["apply_changes", "normalize_request_headers"]


def normalize_request_headers(request: Any) -> dict[str, str]:
    """The headers of a Django request that an upstream may get, by their names on the wire.

    Without those of one connection, without ``Host``, which is the upstream's, and without what
    a client may only claim: who it is and where it comes from.
    """
    found = {}
    for key, value in request.META.items():
        name = _name(key)
        if name is not None and isinstance(value, str):
            found[name] = value
    return found


def _name(key: str) -> str | None:
    if key == "CONTENT_TYPE":
        return "Content-Type"
    if not key.startswith("HTTP_") or key == "HTTP_HOST":
        return None
    short = rules.fold_name(key)
    name = rules.wire_name(key[5:])
    if name is None or name.lower() in rules.HOP_BY_HOP or name == "Content-Length":
        return None
    if short == "PROXY" or rules.is_identity(short) or rules.is_claim(short):
        return None
    return name


def apply_changes(
    environ: MutableMapping[str, Any], before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    """Make the outgoing request differ as ``after`` does from ``before``.

    What a view has left alone keeps what the proxy makes of it.
    """
    wanted = {name.lower() for name in after}
    for name in before:
        if name.lower() not in wanted:
            environ.pop(_key(name), None)
    for name, value in after.items():
        if before.get(name) != value:
            environ.pop(_key(name), None)
            environ[LITERAL + name if "_" in name else _key(name)] = str(value)


def _key(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key == "CONTENT_TYPE" else "HTTP_" + key
