"""Hosts and origins compared: default ports, upper case, a last dot, names beyond ASCII."""

from __future__ import annotations

from functools import lru_cache

__all__ = ["normal_host", "normal_netloc", "normal_origin", "same_origin"]

_PORTS = {"http": "80", "https": "443"}
#: What a WebSocket's scheme means for the origin (RFC 6455, 3).
_SCHEMES = {"ws": "http", "wss": "https"}


@lru_cache(256)
def normal_host(host: str) -> str:
    """A host name as it is compared: lower-cased, without one last dot, in its ASCII form.

    A name beyond ASCII is written as browsers send it (RFC 3490, ``xn--``); one that has no
    such form stays as it is.
    """
    host = host.lower()
    if host.endswith(".") and not host.endswith(".."):
        host = host[:-1]
    if not host.isascii():
        try:
            return host.encode("idna").decode("ascii")
        except UnicodeError:
            return host
    return host


def normal_netloc(scheme: str, netloc: str) -> str:
    """``host[:port]`` as it is compared: the scheme's default port is none (RFC 9110, 4.2.3)."""
    host, colon, port = netloc.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = netloc, ""
    scheme = scheme.lower()
    if port == _PORTS.get(_SCHEMES.get(scheme, scheme)):
        port = ""
    return normal_host(host) + (":" + port if port else "")


def normal_origin(origin: str) -> str:
    """``scheme://host[:port]`` as it is compared (RFC 6454, 4)."""
    scheme, mark, netloc = origin.partition("://")
    scheme = scheme.lower()
    return _SCHEMES.get(scheme, scheme) + mark + normal_netloc(scheme, netloc)


def same_origin(one: str, other: str) -> bool:
    """Whether two origins, ``scheme://host[:port]``, are the same."""
    return one == other or normal_origin(one) == normal_origin(other)
