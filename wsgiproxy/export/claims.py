"""Header fields that a client, or an upstream, may not set, spelt as they go over the wire.

The proxy itself knows a client's folded (:mod:`~wsgiproxy.protocol.fields`), so that every spelling
counts. Other servers remove a field by its name, so the names are written out here; tests
compare the lists.
"""

from __future__ import annotations

from ..protocol.beyond import beyond_route
from ..routing.router import Mount

__all__ = ["BEYOND", "CLAIMS", "HOP_BY_HOP", "dropped"]

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
#: Fields of responses that reach beyond a prefix, or order a server about.
BEYOND = (
    "Accept-CH",
    "Clear-Site-Data",
    "Critical-CH",
    "Expect-CT",
    "NEL",
    "Observe-Browsing-Topics",
    "Origin-Agent-Cluster",
    "Public-Key-Pins",
    "Public-Key-Pins-Report-Only",
    "Report-To",
    "Service-Worker-Allowed",
    "Set-Login",
    "Strict-Transport-Security",
    "Use-As-Dictionary",
    "Use-As-Dictionary-ID",
    "X-Accel-Charset",
    "X-Accel-Expires",
    "X-Accel-Limit-Rate",
    "X-Accel-Redirect",
    "X-LiteSpeed-Cache",
    "X-LiteSpeed-Cache-Control",
    "X-LiteSpeed-Location",
    "X-LiteSpeed-Purge",
    "X-LiteSpeed-Tag",
    "X-LiteSpeed-Vary",
    "X-Lighttpd-Send-File",
    "X-Lighttpd-Send-Tempfile",
    "X-Reproxy-URL",
    "X-Sendfile",
)


def dropped(mount: Mount) -> list[str]:
    """The fields of responses that a route does not let through, ``Alt-Svc`` among them.

    ``Alt-Svc`` would send clients past the server in front (RFC 7838).
    """
    passed = frozenset(name.lower() for name in mount.route.pass_headers)
    names = tuple(name.lower() for name in BEYOND)
    confined = bool(mount.prefix) and not mount.host
    found = beyond_route(names, confined=confined, scoped=False, passed=passed)
    return ["Alt-Svc", *(name for name in BEYOND if name.lower() in found)]
