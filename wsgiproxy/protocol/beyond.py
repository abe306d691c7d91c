"""Response headers that reach beyond their response: to the whole origin, to a front server.

A service under a prefix is a guest on somebody's site. What it may not say there is decided by
name, once for each set of names.
"""

from __future__ import annotations

from functools import lru_cache

__all__ = ["beyond_route"]

#: What a browser does to the whole origin, or to every host below it.
_ORIGIN_WIDE = frozenset(
    (
        "accept-ch",  # RFC 8942, 3.1: the origin's client hints
        "clear-site-data",  # W3C Clear Site Data, 3
        "critical-ch",  # Client Hints Reliability
        "expect-ct",  # RFC 9163, 2.1
        "nel",  # W3C Network Error Logging, 4.1
        "observe-browsing-topics",  # Topics API
        "origin-agent-cluster",  # HTML, 7.1.2
        "public-key-pins",  # RFC 7469, 2.1
        "public-key-pins-report-only",
        "report-to",  # W3C Reporting API, first edition
        "set-login",  # FedCM Login Status API
        "strict-transport-security",  # RFC 6797, 6.1
        "use-as-dictionary",  # RFC 9842, 2.1: requests of other paths would name it
        "use-as-dictionary-id",
    )
)
#: A service worker's scope: what lies above the script's own folder.
_SCOPE = frozenset(("service-worker-allowed",))
#: Orders to the server in front of us: to send a file, another location, to cache.
_ORDERS = frozenset(
    ("x-sendfile", "x-lighttpd-send-file", "x-lighttpd-send-tempfile", "x-reproxy-url")
)
_ORDER_BEGINS = ("x-accel-", "x-litespeed-")
#: No order but a property of this response: events must not wait in a buffer of nginx's.
_HARMLESS = frozenset(("x-accel-buffering",))


@lru_cache(512)
def beyond_route(
    names: tuple[str, ...], *, confined: bool, scoped: bool, passed: frozenset[str]
) -> frozenset[str]:
    """Which of these (lower-cased) names are not the upstream's to send.

    :param confined: whether the route is only a part of its site.
    :param scoped: whether somebody else keeps ``Service-Worker-Allowed`` below the prefix.
    :param passed: names that the route lets through all the same.
    """
    found = {
        name
        for name in names
        if name in _ORDERS
        or name.startswith(_ORDER_BEGINS)
        or (confined and (name in _ORIGIN_WIDE or (name in _SCOPE and not scoped)))
    }
    return frozenset(found - passed - _HARMLESS)
