"""What a client is told when something failed, and what the log is told."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from webob.acceptparse import create_accept_header

from .errors import ExchangeError

__all__ = ["SERVERS", "answer", "log_failure", "new_request_id"]

#: The servers whose connections can be taken over.
SERVERS = "waitress, gunicorn (sync, gthread and gevent workers), Werkzeug's development server"

logger = logging.getLogger("wsgiproxy")

_ADVICE = {
    400: "The request cannot be forwarded as it is.",
    401: "You have to log in before you may use this service.",
    403: "You may not use this service.",
    413: "The request is larger than this service accepts.",
    500: "It could not be found out whether you may use this service.",
    501: f"WebSockets and other upgrades need a server that gives its connections away: {SERVERS}.",
    502: "The service behind this address cannot be reached or gave no valid answer.",
    503: "The service behind this address is busy or down. Try again in a moment.",
    504: "The service behind this address took too long to answer.",
    508: "The request came back to where it had been.",
}
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1><p>{advice}</p><p>Request id: <code>{request_id}</code></p></body></html>
"""


def new_request_id() -> str:
    """An id to find the one log line by."""
    return os.urandom(6).hex()


def log_failure(error: ExchangeError, request_id: str, method: str, prefix: str) -> None:
    """One line: what failed, at which stage, by whose fault.

    What the client caused is logged at debug level, all else as a warning. Neither path
    nor query stand in it, since both may hold secrets.
    """
    level = logging.DEBUG if error.party == "client" else logging.WARNING
    logger.log(
        level,
        "%s %s %s/ -> %d stage=%s party=%s error=%s: %s",
        request_id,
        method,
        prefix,
        error.status,
        error.stage,
        error.party,
        error.error,
        error,
    )


def answer(
    error: ExchangeError, request_id: str, environ: Mapping[str, Any], advice: str = ""
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status, headers and body for the client: no address, no cause, no traceback.

    HTML, JSON or plain text, by ``Accept``; ``Proxy-Status`` as in RFC 9209.
    """
    title = f"{error.status} {error.reason}"
    advice = advice or _ADVICE.get(error.status, "")
    content_type, text = _render(environ.get("HTTP_ACCEPT", ""), title, advice, request_id)
    body = text.encode()
    headers = [
        ("Content-Type", f"{content_type}; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Proxy-Status", f"wsgiproxy; error={error.error}"),
    ]
    if error.retry_after is not None:
        headers.append(("Retry-After", str(error.retry_after)))
    return title, headers, b"" if environ.get("REQUEST_METHOD") == "HEAD" else body


def _render(accept: str, title: str, advice: str, request_id: str) -> tuple[str, str]:
    import html  # by the first failure only: imports that nobody else here needs
    import json

    wanted = _preferred(accept)
    if wanted == "text/html":
        page = _PAGE.format(
            title=html.escape(title), advice=html.escape(advice), request_id=request_id
        )
        return wanted, page
    if wanted == "application/json":
        return wanted, json.dumps({"error": title, "message": advice, "request_id": request_id})
    return "text/plain", f"{title}\n\n{advice}\nRequest id: {request_id}\n"


def _preferred(accept: str) -> str:
    """The kind of page that ``Accept`` likes best; plain text where it has no say."""
    offers = ["text/plain", "text/html", "application/json", "application/problem+json"]
    liked = create_accept_header(accept or "*/*").acceptable_offers(offers)
    best: str = liked[0][0] if liked else offers[0]
    return "application/json" if best.endswith("json") else best
