"""``Host`` values: their grammar, and which of them are ours.

A page of another site can have its own name lead to this machine (DNS rebinding). The browser
then sends requests that are of one origin with us, but the ``Host`` still is the other site's
name: so whoever knows the names of a site can tell them apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

__all__ = ["ANY", "LOOPBACK_HOSTS", "Pattern", "host_matches", "is_valid_host", "read_pattern"]

#: What a host is compared with: a name, ``.suffix``, ``*.suffix``, ``*`` or a network.
Pattern: TypeAlias = "str | IPv4Network | IPv6Network"

#: The pattern that every host matches.
ANY = "*"

# RFC 3986, 3.2.2 allows more in a registered name, such as quotes and semicolons. No name of a
# machine has them (RFC 1123, 2.1; with the underscore that containers are named by), and where
# the value is quoted, in X-Forwarded-Host or Forwarded, they would end it.
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_~-]*[A-Za-z0-9_])?"
_NAME = rf"{_LABEL}(?:\.{_LABEL})*\.?"
_HOST = re.compile(rf"(?:({_NAME})|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{{1,5}}))?")
#: The longest ``Host`` in characters: a name has 253 (RFC 1035, 2.3.4).
_LONGEST = 300


def is_valid_host(host: str) -> bool:
    """Whether this is one well-formed ``Host`` value, ``name[:port]`` (RFC 9110, 7.2)."""
    if len(host) > _LONGEST:
        return False
    match = _HOST.fullmatch(host)
    if match is None or int(match[3] or 0) > 65535:
        return False
    return match[2] is None or isinstance(_address(match[2]), IPv6Address)


def host_matches(host: str, patterns: Iterable[Pattern]) -> bool:
    """Whether one of the patterns is for this host.

    :param host: a valid ``Host`` value or an address; its port and one dot at its end are of no
        importance.
    """
    name = host.lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    name = name.removesuffix(".")
    address = _address(name)
    return any(_is_for(pattern, name, address) for pattern in patterns)


def _is_for(pattern: Pattern, name: str, address: object) -> bool:
    if not isinstance(pattern, str):
        return address is not None and address in pattern
    if pattern == ANY or name == pattern:
        return True
    if pattern.startswith("*."):
        return name.endswith(pattern[1:])
    return pattern.startswith(".") and (name == pattern[1:] or name.endswith(pattern))


def _address(text: str) -> object:
    try:
        return ip_address(text)
    except ValueError:
        return None


def read_pattern(text: str) -> Pattern:
    """A pattern as people write it.

    :param text: ``example.org``, ``.example.org`` (it and all below it), ``*.example.org`` (all
        below it), ``*``, an address, or a network such as ``10.0.0.0/8``.
    :raises ValueError: for anything else.
    """
    given = text.strip().lower()
    if given == ANY:
        return ANY
    try:
        return ip_network(given.strip("[]"), strict=False)
    except ValueError:
        pass
    start = re.match(r"\*?\.", given)
    name = given[start.end() :] if start else given
    if not name.isascii():
        name = name.encode("idna").decode()  # as browsers send it
    if not re.fullmatch(_NAME, name):
        raise ValueError(
            f"{text!r} is no host; write example.org, .example.org for all below it too, or *, "
            "without a port"
        )
    return (start[0] if start else "") + name.removesuffix(".")


#: Names that lead to this machine wherever they are asked for, and addresses, which no name
#: server has a say in.
LOOPBACK_HOSTS: tuple[Pattern, ...] = (
    *("localhost", ".localhost", "localhost.localdomain", "localhost4", "localhost6"),
    *("ip6-localhost", "ip6-loopback"),
    *(ip_network("0.0.0.0/0"), ip_network("::/0")),
)
