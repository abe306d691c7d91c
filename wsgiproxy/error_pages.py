"""What a client is told when something failed, and what the log is told."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from webob.acceptparse import create_accept_header

from .errors import ExchangeError

__all__ = ["SERVERS", "answer", "log_failure", "new_request_id", "printable", "shown_path"]

#: The servers whose connections can be taken over.
SERVERS = "waitress, gunicorn (sync, gthread and gevent workers), Werkzeug's development server"

logger = logging.getLogger("wsgiproxy")

#: The longest path in a log line, in characters.
LONGEST = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_ADVICE = {
    400: "The request cannot be forwarded as it is.",
    401: "You have to log in before you may use this service.",
    403: "You may not use this service.",
    413: "The request is larger than this service accepts.",
    500: "It could not be found out whether you may use this service.",
    502: "The service behind this address cannot be reached or gave no valid answer.",
    503: "The service behind this address is busy or down. Try again in a moment.",
    504: "The service behind this address took too long to answer.",
    508: "The request came back to where it had been.",
}
#: What says more than the status does.
_ADVICE_BY_KIND = {
    "CodingUnsupported": "The body of the request is encoded in a way that is not supported.",
    "HookFailed": "The service could not be used because of a mistake in its set-up.",
    "UpgradeUnsupported": (
        f"WebSockets and other upgrades need a server that gives its connections away: {SERVERS}."
    ),
}
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1><p>{advice}</p><p>Request id: <code>{request_id}</code></p></body></html>
"""


def new_request_id() -> str:
    """An id to find the one log line by."""
    return os.urandom(6).hex()


def log_failure(
    error: ExchangeError,
    request_id: str,
    environ: Mapping[str, Any],
    *,
    prefix: str,
    seconds: float | None = None,
) -> None:
    """One line: what failed at which stage, by whose fault, for which request.

    :param prefix: of the route, for the fields.
    :param seconds: how long the request took.

    What the client caused is logged at debug level, all else as a warning. The query is left
    out: it may hold secrets. Structured loggers find the facts as fields of the record, each
    beginning with ``proxy_``.
    """
    level = logging.DEBUG if error.party == "client" else logging.WARNING
    if not logger.isEnabledFor(level):
        return
    facts = {
        "request_id": request_id,
        "method": environ.get("REQUEST_METHOD", ""),
        "path": shown_path(environ),
        "prefix": prefix or "/",
        "status": error.status,
        "seconds": seconds,
        "stage": error.stage,
        "party": error.party,
        "error": error.error,
        "upstream": error.upstream,
    }
    took = "" if seconds is None else f" after {seconds:.3f} s"
    towards = f" upstream={error.upstream}" if error.upstream else ""
    logger.log(
        level,
        "wsgiproxy %s %s %s -> %d%s stage=%s party=%s error=%s%s: %s",
        request_id,
        facts["method"],
        facts["path"],
        error.status,
        took,
        error.stage,
        error.party,
        error.error,
        towards,
        printable(str(error)),
        extra={f"proxy_{name}": value for name, value in facts.items()},
    )


def shown_path(environ: Mapping[str, Any]) -> str:
    """The path of a request, encoded, cut at 200 characters; no query."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    encoded = quote(path.encode("latin-1", "replace"), safe="/:@!$&'()*+,;=~-._")
    return encoded if len(encoded) <= LONGEST else encoded[:LONGEST] + "..."


def printable(text: str) -> str:
    """A text on one line: control characters escaped, cut at 1,000 characters."""
    escaped = _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    return escaped if len(escaped) <= 5 * LONGEST else escaped[: 5 * LONGEST] + "..."


def answer(
    error: ExchangeError, request_id: str, environ: Mapping[str, Any], advice: str = ""
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status, headers and body for the client: no address, no cause, no traceback.

    HTML, JSON or plain text, by ``Accept``; ``Proxy-Status`` as in RFC 9209.
    """
    title = f"{error.status} {error.reason}"
    kind = type(error).__name__
    advice = advice or _ADVICE_BY_KIND.get(kind) or _ADVICE.get(error.status, "")
    content_type, text = _render(environ.get("HTTP_ACCEPT", ""), title, advice, request_id)
    body = text.encode()
    headers = [
        ("Content-Type", f"{content_type}; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Proxy-Status", f"wsgiproxy; error={error.error}"),
        ("X-Request-Id", request_id),
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
