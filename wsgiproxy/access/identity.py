"""Who the user is, as header fields of the request to the upstream.

A name comes from the wrapped application's side alone: from an environ key that the server
or a middleware has set, or from a callable. What a client sends under the same field name,
in any spelling, never passes, whether there is a user or not.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from ..errors import AuthFailed, ConfigurationError, Forbidden
from ..protocol import claims
from ..protocol import fields as rules
from ..settings.access_kinds import Resolver

__all__ = ["Identity", "encode"]

logger = logging.getLogger("wsgiproxy")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MARK = "UTF-8''"


# -- values ------------------------------------------------------------------------


def encode(name: str, also: str = "") -> str:
    """A name as a field value, so that two names never become the same.

    What latin-1 has goes as it is. Other names, those with spaces around them (which a field
    value loses) and those that look encoded already are written as RFC 8187, 3.2 has it:
    ``UTF-8''%E2%82%AC``.

    :param also: characters to encode as well, such as the comma in a list.
    :raises Forbidden: for control characters, which no honest name holds.
    """
    if _CONTROL.search(name):
        raise Forbidden(f"the name {name[:200]!r} holds control characters")
    is_plain = (
        all(" " <= c <= "~" or "\xa0" <= c <= "\xff" for c in name)
        and name == name.strip()
        and not name.upper().startswith(_MARK)
        and not any(c in name for c in also)
    )
    return name if is_plain else _MARK + quote(name.encode("utf-8", "surrogatepass"), safe="")


def _value(found: Any, field: str) -> str | None:
    """What a resolver has found as a field value; ``None`` for nobody."""
    if found is None or found is False:
        return None
    if isinstance(found, str):
        return encode(found) or None
    if isinstance(found, Iterable) and not isinstance(found, (bytes, Mapping)):
        names = list(found)
        if all(isinstance(name, str) for name in names):
            return ",".join(encode(name, ",") for name in names) or None
    raise AuthFailed(f"{field}: {found!r} is neither text, a list of texts, nor None")


# -- one route's fields ----------------------------------------------------------------


class Identity:
    """The identity fields of one route: cleared of what the client says, then set.

    :param resolvers: field names, each with a callable or an environ key.
    :param granted: names of the fields that the ``auth`` step may set.
    :raises ConfigurationError: if a field would get its value from two of them.
    """

    def __init__(
        self,
        resolvers: tuple[tuple[str, Resolver | str | None], ...] = (),
        granted: tuple[str, ...] = (),
    ) -> None:
        self.resolvers = resolvers
        names = [name for name, _ in resolvers] + list(granted)
        folded = [rules.fold_name(name) for name in names]
        for name, short in zip(names, folded, strict=True):
            if folded.count(short) > 1:
                raise ConfigurationError(
                    f"the header {name} would be set twice; name it once among remote_user, "
                    "identity_headers and copy_headers"
                )
        self._folded = frozenset(folded)

    @classmethod
    def of(cls, route: Any) -> Identity:
        """The fields that a :class:`~wsgiproxy.Route` names.

        :raises ConfigurationError: for options that contradict each other.
        """
        named: tuple[tuple[str, Any], ...] = ()
        if route.remote_user is not None or not claims.is_identity(
            rules.fold_name(route.remote_user_header)
        ):
            named = ((route.remote_user_header, route.remote_user),)
        for name in ("copy_headers", "auth_cache"):
            if getattr(route, name) and route.auth is None:
                raise ConfigurationError(f"option {name} needs auth; give the route one")
        return cls(named + route.identity_headers, route.copy_headers)

    def apply(
        self,
        target: dict[str, Any],
        environ: Mapping[str, Any],
        granted: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Clear and set the fields in ``target``, the environ of the clone.

        :param environ: the request as it came; resolvers get a copy of it.
        :param granted: names and values from the ``auth`` step.
        :raises Forbidden: for a name with control characters.
        :raises AuthFailed: if a resolver fails: nobody passes unnamed by mistake.
        """
        if not self._folded:
            return
        for key in [key for key in target if self._is_mine(key)]:
            del target[key]
        known = dict(environ)
        for name, resolver in self.resolvers:
            value = _value(_resolve(resolver, known, name), name)
            if value is not None:
                target[_key(name)] = value
        for name, value in granted:
            target[_key(name)] = value

    def _is_mine(self, key: str) -> bool:
        return key.startswith("HTTP_") and rules.fold_name(key) in self._folded


def _key(name: str) -> str:
    return rules.LITERAL + name if "_" in name else rules.environ_key(name)


def _resolve(resolver: Resolver | str | None, environ: dict[str, Any], name: str) -> Any:
    if not callable(resolver):
        return environ.get(resolver or "")
    try:
        return resolver(environ)
    except Exception as error:
        logger.exception("finding out the value of %s failed", name)
        raise AuthFailed(f"the callable for {name} raised {error!r}") from error
