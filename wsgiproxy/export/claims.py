"""Header fields that a client may not set, spelt as they go over the wire.

The proxy itself knows them folded (:mod:`~wsgiproxy.protocol.fields`), so that every spelling
counts. Other servers remove a field by its name, so the names are written out here; a test
compares the two lists.
"""

from __future__ import annotations

import itertools

__all__ = ["CLAIMS", "HOP_BY_HOP", "spellings"]

#: What a client claims to be or to have come by: removed from every request.
CLAIMS = (
    "CF-Connecting-IP",
    "Fastly-Client-IP",
    "Forwarded",
    "Front-End-Https",
    "Proxy",  # CVE-2016-5385
    "Remote-Email",
    "Remote-Group",
    "Remote-Groups",
    "Remote-Name",
    "Remote-User",
    "Remote-User-Data",
    "True-Client-IP",
    "X-Auth-Request-Access-Token",
    "X-Auth-Request-Email",
    "X-Auth-Request-Groups",
    "X-Auth-Request-Preferred-Username",
    "X-Auth-Request-User",
    "X-Authenticated-User",
    "X-Client-Cert",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "X-Forwarded-Access-Token",
    "X-Forwarded-By",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Email",
    "X-Forwarded-For",
    "X-Forwarded-Groups",
    "X-Forwarded-Host",
    "X-Forwarded-Method",
    "X-Forwarded-Path",
    "X-Forwarded-Port",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Prefix",
    "X-Forwarded-Proto",
    "X-Forwarded-Protocol",
    "X-Forwarded-Scheme",
    "X-Forwarded-Server",
    "X-Forwarded-Ssl",
    "X-Forwarded-Tls-Client-Cert",
    "X-Forwarded-Uri",
    "X-Forwarded-User",
    "X-Original-Forwarded-For",
    "X-Original-Host",
    "X-Original-Method",
    "X-Original-URI",
    "X-Original-URL",
    "X-Proxy-Remote-User",
    "X-ProxyUser-IP",
    "X-Real-IP",
    "X-Remote-Email",
    "X-Remote-Group",
    "X-Remote-Groups",
    "X-Remote-Name",
    "X-Remote-User",
    "X-Remote-User-Data",
    "X-Rewrite-URL",
    "X-SSL-Client-Cert",
    "X-SSL-Client-S-DN",
    "X-SSL-Client-Verify",
    "X-Scheme",
    "X-Script-Name",
    "X-Url-Scheme",
    "X-WebAuth-Email",
    "X-WebAuth-Groups",
    "X-WebAuth-Name",
    "X-WebAuth-User",
)
#: Fields of one connection that servers would pass on if they were not told otherwise.
HOP_BY_HOP = (
    "Expect",
    "HTTP2-Settings",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Trailers",
)


def spellings(name: str) -> list[str]:
    """A name with every choice of dash and underscore, which many servers take for the same.

    The first one is the name itself.
    """
    words = name.split("-")
    return [
        "".join(itertools.chain.from_iterable(zip(words, (*marks, ""), strict=True)))
        for marks in itertools.product("-_", repeat=len(words) - 1)
    ]
