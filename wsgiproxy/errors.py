"""Everything that can go wrong, by name::

    ProxyError
    ├── ConfigurationError            at start: a wrong option, URL, file or prefix
    ├── HijackRefused                 a server keeps its connection; never seen by users
    └── ExchangeError                 one request failed; carries status, stage and party
        ├── BadRequest          400   the client sent what cannot be forwarded
        ├── Unauthorized        401   nobody is logged in who may use the route
        ├── Forbidden           403   the user may not use the route
        ├── BodyTooLarge        413   the request body is over ``max_body``
        ├── ClientGone          499   the client left; nobody is there to be told
        ├── AuthFailed          500   who may pass, or who the user is, could not be found out
        ├── HookFailed          500   a hook of the route raised an exception
        ├── CodingUnsupported   501   a transfer coding of the request that nobody knows
        ├── UpgradeUnsupported  501   this WSGI server gives no socket to tunnel through
        ├── UpstreamUnreachable 502   no connection: refused, unresolvable, TLS failure
        ├── UpstreamBroken      502   an answer that is no valid HTTP, or half of one
        ├── NoUpstream          503   every server of the upstream is marked down
        ├── TooBusy             503   the route holds its share of threads or tunnels
        ├── UpstreamTimeout     504   no connection, or no bytes, in time
        └── LoopDetected        508   the request has come through this proxy before

A message says what happened for the log and may name addresses; it is never
shown to a client, who sees the status and a request id only.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AuthFailed",
    "BadRequest",
    "BodyTooLarge",
    "ClientGone",
    "CodingUnsupported",
    "ConfigurationError",
    "ExchangeError",
    "Forbidden",
    "HijackRefused",
    "HookFailed",
    "LoopDetected",
    "NoUpstream",
    "ProxyError",
    "TakeoverRefused",
    "TooBusy",
    "Unauthorized",
    "UpgradeUnsupported",
    "UpstreamBroken",
    "UpstreamTimeout",
    "UpstreamUnreachable",
]


class ProxyError(Exception):
    """The root of every exception this package raises on purpose."""


class ConfigurationError(ProxyError, ValueError):
    """A setting that cannot work; raised at start, names the thing and the remedy."""


class HijackRefused(ProxyError):
    """The client's connection cannot be taken from its server now, or bytes would be lost."""


#: The name until version 1.0.
TakeoverRefused = HijackRefused


class ExchangeError(ProxyError):
    """One request could not be answered by the upstream.

    :param message: for the log: what happened and to whom.
    :param stage: where in the exchange: ``"request"``, ``"connect"``, ``"send"``,
        ``"head"``, ``"body"`` or ``"tunnel"``.
    :param error: the RFC 9209 ``Proxy-Status`` error type, where a more precise one
        than the class's own is known.
    :param retry_after: seconds after which asking again makes sense.
    :ivar upstream: the URL of the server that was asked, once one was chosen; for the log.
    """

    status: ClassVar[int] = 502
    reason: ClassVar[str] = "Bad Gateway"
    party: ClassVar[str] = "upstream"
    error: str = "proxy_internal_error"
    upstream: str = ""

    def __init__(
        self,
        message: str,
        *,
        stage: str = "request",
        error: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.stage = stage
        self.retry_after = retry_after
        if error is not None:
            self.error = error


class BadRequest(ExchangeError):
    """The client sent what cannot be forwarded safely."""

    status, reason, party, error = 400, "Bad Request", "client", "http_request_error"


class Unauthorized(ExchangeError):
    """Nobody is logged in who may use the route."""

    status, reason, party, error = 401, "Unauthorized", "client", "http_request_denied"


class Forbidden(ExchangeError):
    """The user may not use the route, or has a name that no header can carry."""

    status, reason, party, error = 403, "Forbidden", "client", "http_request_denied"


class BodyTooLarge(ExchangeError):
    """The request body is over the route's ``max_body``."""

    status, reason, party, error = 413, "Content Too Large", "client", "http_request_error"


class ClientGone(ExchangeError):
    """The client closed its connection before the answer was complete."""

    status, reason, party, error = 499, "Client Closed Request", "client", "http_request_error"


class AuthFailed(ExchangeError):
    """The wrapped application did not tell who may pass, or a callable who the user is."""

    status, reason, party = 500, "Internal Server Error", "application"


class CodingUnsupported(ExchangeError):
    """The request body has a transfer coding that is not known."""

    status, reason, party, error = 501, "Not Implemented", "client", "http_request_error"


class HookFailed(ExchangeError):
    """A hook of the route raised an exception; its traceback is in the log."""

    status, reason, party = 500, "Internal Server Error", "application"


class UpgradeUnsupported(ExchangeError):
    """This WSGI server gives no way to its socket, so nothing can be tunnelled."""

    status, reason, party, error = 501, "Not Implemented", "server", "http_upgrade_failed"


class UpstreamUnreachable(ExchangeError):
    """No connection could be made: refused, unresolvable, or TLS failed."""

    error = "connection_refused"


class UpstreamBroken(ExchangeError):
    """The upstream answered with what is no valid HTTP, or broke off."""

    error = "http_protocol_error"


class NoUpstream(ExchangeError):
    """Every server of this upstream is marked down for now."""

    status, reason, error = 503, "Service Unavailable", "destination_unavailable"


class TooBusy(ExchangeError):
    """The route already holds all the threads or tunnels it may."""

    status, reason, party = 503, "Service Unavailable", "proxy"
    error = "connection_limit_reached"


class UpstreamTimeout(ExchangeError):
    """The upstream took longer than the route's timeouts allow."""

    status, reason, error = 504, "Gateway Timeout", "http_response_timeout"


class LoopDetected(ExchangeError):
    """The request has come through this very proxy before."""

    status, reason, party, error = 508, "Loop Detected", "proxy", "proxy_loop_detected"
