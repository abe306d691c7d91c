"""Slots in short supply: worker threads, tunnels. Counted without a lock.

A place is an item in a deque. ``pop`` and ``append`` are atomic, under the GIL as well as in
free-threaded builds, so a place is never given to two, and taking one costs a tenth of a
microsecond.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from ..errors import TooBusy

__all__ = ["Bulkhead", "Slots", "default_tunnels", "share_of", "threads_of"]

#: Seconds that a request waits for a place, in a thread of the reserve.
QUEUE = 1.0
_STEP = 0.005


class Slots:
    """A number of slots; ``None`` for any number.

    :ivar returned: how often one was given back, to see whether anything moves.
    """

    __slots__ = ("_free", "limit", "returned")

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.returned = 0
        self._free = deque([None] * (limit or 0))

    def acquire(self) -> bool:
        """Whether there was a place; it is the caller's then."""
        if self.limit is None:
            return True
        try:
            self._free.pop()
        except IndexError:
            return False
        return True

    def release(self) -> None:
        """Return a place that was taken."""
        if self.limit is not None:
            self._free.append(None)
            self.returned += 1

    @property
    def plenty(self) -> bool:
        """Whether half of the slots are free."""
        return self.limit is None or 2 * len(self._free) >= self.limit


class Bulkhead:
    """Keeps a route from holding every worker thread.

    :param slots: how many requests may be in flight; ``None`` for any number.
    """

    def __init__(self, slots: int | None) -> None:
        self.slots = Slots(slots)
        self._stalled_at = -1

    def enter(self) -> None:
        """Take a place, waiting a second if all are taken.

        A burst of exchanges that are shorter gets through so. Once nothing has moved for that
        long, the route is stalled, and until one of its exchanges ends all others fail at
        once, so that the reserve is not spent on waiting.

        :raises TooBusy: if none became free.
        """
        if self.slots.acquire():
            return
        if self._stalled_at != self.slots.returned:
            end = time.monotonic() + QUEUE
            while time.monotonic() < end:
                time.sleep(_STEP)
                if self.slots.acquire():
                    return
            self._stalled_at = self.slots.returned
        raise TooBusy(f"{self.slots.limit} requests are in flight already", retry_after=1)

    def leave(self) -> None:
        """Give the place back."""
        self.slots.release()


def threads_of(environ: Mapping[str, Any], start_response: Any) -> int | None:
    """How many worker threads the server has, if it tells: waitress, and gunicorn's gthread."""
    channel = getattr(environ.get("waitress.client_disconnected"), "__self__", None)
    threads = getattr(getattr(channel, "adj", None), "threads", None)
    if threads is None:
        settings = getattr(getattr(start_response, "__self__", None), "cfg", None)
        if getattr(settings, "worker_class_str", None) == "gthread":
            threads = getattr(settings, "threads", None)
    return threads if isinstance(threads, int) else None


def share_of(threads: int) -> int:
    """The threads that proxied requests may hold: a quarter, one at least, is for the rest."""
    return max(1, threads - max(1, threads // 4))


def default_tunnels() -> int:
    """A quarter of the descriptors that the process may open; a tunnel takes two."""
    try:
        import resource
    except ImportError:  # not on Windows
        return 256
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 10_000 if limit < 0 else max(16, min(limit // 4, 10_000))
