"""Passes that ``auth_cache`` remembers, each for just what its question showed."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from ..protocol.fields import fold_name

__all__ = ["Granted", "Passes", "cacheable", "question_key"]

#: Header names and values that the upstream is to get.
Granted = list[tuple[str, str]]

#: Passes that are remembered at once, for each route.
REMEMBERED = 4096

# One value for each request, by which logs are put together. They are kept out of a question
# whose answer is to be remembered, so that the answer cannot depend on them.
_TRACING = frozenset(
    (
        "HTTP_BAGGAGE",
        "HTTP_CF_RAY",
        "HTTP_SEC_WEBSOCKET_KEY",
        "HTTP_TRACEPARENT",
        "HTTP_TRACESTATE",
        "HTTP_X_AMZN_TRACE_ID",
        "HTTP_X_CORRELATION_ID",
        "HTTP_X_REQUEST_ID",
        "HTTP_X_REQUEST_START",
    )
)
# What tells of the connection or of the message rather than of who asks.
_UNCOUNTED = frozenset(("CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_CONNECTION", "REMOTE_PORT"))
# What is asked for; of no importance where the question is always the same.
_URL = frozenset(
    (
        "HTTP_X_FORWARDED_METHOD",
        "HTTP_X_FORWARDED_URI",
        "HTTP_X_ORIGINAL_METHOD",
        "HTTP_X_ORIGINAL_URI",
        "PATH_INFO",
        "QUERY_STRING",
        "RAW_URI",
        "REQUEST_METHOD",
        "REQUEST_URI",
    )
)


def cacheable(question: Mapping[str, Any], answered: Iterable[str]) -> dict[str, Any]:
    """A question whose answer may be remembered.

    :param question: the environ of whoever is asked.
    :param answered: header names that the answer sets; a client's own are not shown, in any
        spelling, and neither is what differs in each request and decides nothing.
    """
    folded = {fold_name(name) for name in answered}
    return {
        key: value
        for key, value in question.items()
        if key not in _TRACING and not (key.startswith("HTTP_") and fold_name(key) in folded)
    }


def question_key(question: Mapping[str, Any], *, is_same: bool) -> bytes | None:
    """What a pass depends on: everything that the question shows of who asks, as a hash.

    Any header may decide, so every one counts; and so do the facts of the server, such as
    ``REMOTE_ADDR`` and ``SSL_CLIENT_S_DN``. Names and cookies stay out of memory.

    :param question: the environ of whoever is asked.
    :param is_same: whether the same is asked for every URL; then the URL is left out.
    :return: ``None`` for nobody in particular, whose pass is not remembered.
    """
    if not any(question.get(key) for key in ("HTTP_COOKIE", "HTTP_AUTHORIZATION", "REMOTE_USER")):
        return None
    left_out = _UNCOUNTED | _URL if is_same else _UNCOUNTED
    facts = sorted(
        (key, value)
        for key, value in question.items()
        if key.isupper() and isinstance(value, str) and key not in left_out
    )
    return hashlib.sha256(repr([facts, question["wsgi.url_scheme"]]).encode()).digest()


class Passes:
    """Who was let pass lately. Refusals are never remembered: a login counts at once.

    :param seconds: how long; ``None`` for not at all.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds or 0.0
        self._known: OrderedDict[bytes, tuple[float, Granted]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes | None) -> Granted | None:
        """What was granted, if that holds still.

        :param key: see :func:`question_key`.
        """
        if key is None:
            return None
        with self._lock:
            until, granted = self._known.get(key, (0.0, []))
        return granted if until > time.monotonic() else None

    def put(self, key: bytes | None, granted: Granted) -> None:
        """Remember; the oldest is forgotten if there are too many."""
        if key is None:
            return
        with self._lock:
            self._known[key] = (time.monotonic() + self._seconds, granted)
            self._known.move_to_end(key)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
