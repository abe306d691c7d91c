"""Rules about header fields, as functions from values to values.

Nothing here knows of WSGI servers, sockets or routes; headers are strings as PEP 3333
has them, one character for each byte.
"""

from __future__ import annotations

import re

__all__ = [
    "CLIENT_CLAIMS",
    "HOP_BY_HOP",
    "IDENTITY",
    "LITERAL",
    "TOKEN",
    "HeaderList",
    "connection_options",
    "fold_name",
    "is_claim",
    "is_identity",
    "is_safe_value",
    "is_valid_host",
    "wire_name",
]

#: Names and values in the order of the wire; repeats survive.
HeaderList = list[tuple[str, str]]

#: Fields that concern one connection and end at a proxy (RFC 9110, 7.6.1, and those that
#: older software takes for such), with two more that a proxy answers for itself:
#: ``Expect`` (RFC 9110, 10.1.1) and the settings of an h2c upgrade (RFC 9113, 3.1).
HOP_BY_HOP = frozenset(
    (
        "connection",
        "expect",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    )
)

#: Header fields by which services learn who the user is, folded. From a client they are
#: a claim to be somebody, so they never pass, whoever sends them.
IDENTITY = frozenset(
    (
        "REMOTEUSER",
        "REMOTENAME",
        "REMOTEEMAIL",
        "REMOTEGROUP",
        "REMOTEGROUPS",
        "XREMOTEUSER",
        "XREMOTENAME",
        "XREMOTEEMAIL",
        "XREMOTEGROUP",
        "XREMOTEGROUPS",
        "XREMOTEUSERDATA",
        "REMOTEUSERDATA",
        "XAUTHENTICATEDUSER",
        "XAUTHREQUESTUSER",
        "XAUTHREQUESTEMAIL",
        "XAUTHREQUESTGROUPS",
        "XAUTHREQUESTPREFERREDUSERNAME",
        "XAUTHREQUESTACCESSTOKEN",
        "XFORWARDEDUSER",
        "XFORWARDEDEMAIL",
        "XFORWARDEDGROUPS",
        "XFORWARDEDPREFERREDUSERNAME",
        "XFORWARDEDACCESSTOKEN",
        "XWEBAUTHUSER",
        "XWEBAUTHNAME",
        "XWEBAUTHEMAIL",
        "XWEBAUTHGROUPS",
        "XPROXYREMOTEUSER",
        "XSSLCLIENTVERIFY",
        "XSSLCLIENTSDN",
        "XSSLCLIENTCERT",
        "XCLIENTCERT",
    )
)

#: What a client might say of itself or of the way it came, folded: believed from a
#: trusted proxy only. Every other ``X-Forwarded-*`` counts as well.
CLIENT_CLAIMS = frozenset(
    (
        "FORWARDED",
        "XREALIP",
        "XCLIENTIP",
        "XCLUSTERCLIENTIP",
        "XORIGINALFORWARDEDFOR",
        "XORIGINALHOST",
        "XORIGINALURL",
        "XORIGINALURI",
        "XREWRITEURL",
        "XSCRIPTNAME",
        "XPROXYUSERIP",
        "XURLSCHEME",
        "XSCHEME",
        "FRONTENDHTTPS",
        "TRUECLIENTIP",
        "CFCONNECTINGIP",
        "FASTLYCLIENTIP",
    )
)

#: What begins the environ key of a field whose name goes over the wire letter by letter, as
#: ``REMOTE_USER`` must for old services. No client can make such a key.
LITERAL = "wsgiproxy.field."

# Servers that (wrongly) take names literally know these by their customary spelling.
_SPELLINGS = {
    "DNT": "DNT",
    "SEC_WEBSOCKET_ACCEPT": "Sec-WebSocket-Accept",
    "SEC_WEBSOCKET_EXTENSIONS": "Sec-WebSocket-Extensions",
    "SEC_WEBSOCKET_KEY": "Sec-WebSocket-Key",
    "SEC_WEBSOCKET_PROTOCOL": "Sec-WebSocket-Protocol",
    "SEC_WEBSOCKET_VERSION": "Sec-WebSocket-Version",
}

#: RFC 9110, 5.6.2: what a field name, a method and many values are made of.
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
# RFC 3986, 3.2.2: what may stand in a Host header, with an optional port.
_VALID_HOST = re.compile(r"(?:[A-Za-z0-9._~%!$&'()*+;=-]+|\[[0-9A-Fa-f:.v]+\])(?::[0-9]{1,5})?")


def wire_name(key: str) -> str | None:
    """The header name that an environ key without ``HTTP_`` stands for.

    ``None`` for what cannot be a name. Dashes only: to most servers an underscore is the
    same, and that is how headers are forged (``Remote_User``).
    """
    name = _SPELLINGS.get(key) or key.replace("_", "-").title()
    return name if TOKEN.fullmatch(name) else None


def fold_name(name: str) -> str:
    """A header name or environ key, without what spellings of one header differ in.

    ``Remote-User``, ``remote__user`` and ``HTTP_HTTP_REMOTE_USER`` become the same.
    """
    folded = name.upper().replace("-", "").replace("_", "")
    while folded.startswith("HTTP") and folded != "HTTP":
        folded = folded[4:]
    return folded


def is_identity(folded: str) -> bool:
    """Whether this (folded) name tells a service who the user is."""
    return folded in IDENTITY


def is_claim(folded: str) -> bool:
    """Whether this (folded) name tells where a request came from or went to."""
    return folded in CLIENT_CLAIMS or folded.startswith("XFORWARDED")


def connection_options(value: str) -> set[str]:
    """The names that a ``Connection`` header lists, lower-cased."""
    return {option.strip(" \t").lower() for option in value.split(",")} - {""}


def is_safe_value(value: str) -> bool:
    """Whether a value may be written to the wire: no control but the tab, latin-1 only."""
    return not _UNSAFE.search(value)


def is_valid_host(host: str) -> bool:
    """Whether this is one well-formed ``Host`` value, ``name[:port]``."""
    return bool(_VALID_HOST.fullmatch(host))
