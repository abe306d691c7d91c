"""The request's headers as a dictionary, for views that look at them and change them."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from ..protocol.claims import is_unwanted
from ..protocol.fields import LITERAL, environ_key, fold_name, wire_name

__all__ = ["apply_changes", "clear", "normalize_request_headers"]


def normalize_request_headers(request: Any) -> dict[str, str]:
    """The headers of a Django request that an upstream may get, by their names on the wire.

    :param request: Django's; numbers that a test has put into ``META`` become text.

    Without those of one connection, without ``Host``, which is the upstream's, and without what
    a client may only claim: who it is and where it comes from.
    """
    found = {}
    for key, value in request.META.items():
        name = _name(key)
        if name is not None and value is not None:
            found[name] = str(value)
    return found


def _name(key: str) -> str | None:
    if key == "CONTENT_TYPE":
        return "Content-Type"
    if not key.startswith("HTTP_") or key == "HTTP_HOST" or is_unwanted(key[5:]):
        return None
    return wire_name(key[5:])


def clear(environ: MutableMapping[str, Any], name: str) -> None:
    """Take a header out of an environ, in every spelling that somebody may take for it."""
    folded = fold_name(name)
    for key in [key for key in environ if key.startswith("HTTP_") and fold_name(key) == folded]:
        del environ[key]
    if environ_key(name) == "CONTENT_TYPE":
        environ.pop("CONTENT_TYPE", None)


def apply_changes(
    environ: MutableMapping[str, Any], before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    """Make the outgoing request differ as ``after`` does from ``before``.

    :param environ: of the outgoing request; what a view has left alone keeps what the proxy makes
        of it, and what the view sets is cleared in every other spelling.
    """
    wanted = {name.lower() for name in after}
    for name in before:
        if name.lower() not in wanted:
            environ.pop(environ_key(name), None)
    for name, value in after.items():
        if before.get(name) != value:
            clear(environ, name)
            environ[LITERAL + name if "_" in name else environ_key(name)] = str(value)
