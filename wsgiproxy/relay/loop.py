"""The background loop that serves all relayed connections of a process.

One daemon thread, started by the first connection. Under gevent's monkey patching the same
code is a greenlet: modules are used by name (``selectors.DefaultSelector()``), so whatever is
patched in is used.
"""

from __future__ import annotations

import collections
import contextlib
import heapq
import itertools
import logging
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

from .endpoint import Endpoint

__all__ = ["Job", "Loop", "Timer"]

log = logging.getLogger("wsgiproxy")


class Job:
    """Something that lives on a loop: it owns sockets and ends once.

    Every method runs in the loop's thread.
    """

    loop: Loop

    def start(self) -> None:
        """Begin; ``self.loop`` is set."""

    def on_ready(self, end: Endpoint, mask: int) -> None:
        """One of the events that :meth:`Loop.watch` was asked for."""

    def stop(self) -> None:
        """End now, because of an exception or because the process ends."""

    def sockets(self) -> list[socket.socket]:
        """The sockets to be closed in a forked child, without a word to their peers."""
        return []


class Timer:
    """A call that is due at a time, unless it is cancelled before."""

    __slots__ = ("_call",)

    def __init__(self, job: Job, function: Callable[[], None]) -> None:
        self._call: tuple[Job, Callable[[], None]] | None = (job, function)

    def cancel(self) -> None:
        """Forget it; what it held is free."""
        self._call = None

    def take(self) -> tuple[Job, Callable[[], None]] | None:
        """What to call for which job, once."""
        call, self._call = self._call, None
        return call


class Loop:
    """Waits for sockets and times and calls the jobs they belong to.

    :meth:`call` may be used from any thread; all else from the loop's own.
    """

    def __init__(self) -> None:
        self.now = time.monotonic()
        self.jobs: set[Job] = set()
        self._selector = selectors.DefaultSelector()
        self._calls: collections.deque[Callable[[], None]] = collections.deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._number = itertools.count()
        self._ear, self._mouth = socket.socketpair()
        for sock in (self._ear, self._mouth):
            sock.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ)

    # -- for any thread

    def call(self, function: Callable[[], None]) -> None:
        """Have the loop's thread call it soon."""
        self._calls.append(function)
        with contextlib.suppress(OSError):  # full of wake-ups already, or closed
            self._mouth.send(b"!")

    def add(self, job: Job) -> None:
        """Have the loop begin with a job."""
        job.loop = self  # known before it begins, to whoever has to stop it
        self.call(lambda: self.begin(job))

    # -- for the jobs

    def begin(self, job: Job) -> None:
        """Begin with a job now."""
        job.loop = self
        self.jobs.add(job)
        self._guard(job, job.start)

    def soon(self, job: Job, function: Callable[..., None], *arguments: Any) -> None:
        """Call it in this round, after all else."""
        self._calls.append(lambda: self._guard(job, function, *arguments))

    def later(self, seconds: float, job: Job, function: Callable[[], None]) -> Timer:
        """Call it after some seconds, unless it is cancelled."""
        timer = Timer(job, function)
        heapq.heappush(self._timers, (self.now + seconds, next(self._number), timer))
        return timer

    def watch(self, end: Endpoint, mask: int, job: Job) -> None:
        """Have ``job.on_ready(end, mask)`` called on these events; 0 for none."""
        if mask == end.mask:
            return
        if not end.mask:
            self._selector.register(end.sock, mask, (job, end))
        elif mask:
            self._selector.modify(end.sock, mask, (job, end))
        else:
            self._selector.unregister(end.sock)
        end.mask = mask

    def finish(self, job: Job) -> None:
        """The job is done; it has closed its sockets."""
        self.jobs.discard(job)

    # -- the thread

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Serve until told to end."""
        while not until():
            ready = self._selector.select(self._patience())
            self.now = time.monotonic()
            for key, mask in ready:
                if key.data is None:
                    self._listen()
                elif key.data[1].mask:  # an earlier event of this round may have ended it
                    job, end = key.data
                    self._guard(job, job.on_ready, end, mask)
            self._run_due()
            while self._calls:
                self._calls.popleft()()

    def stop_jobs(self) -> None:
        """End every job."""
        for job in list(self.jobs):
            self._guard(job, job.stop)

    def close(self) -> None:
        """Give up the loop's own descriptors."""
        self._selector.close()
        self._ear.close()
        self._mouth.close()

    def abandon(self) -> None:
        """In a forked child: close the copies of all descriptors; the parent goes on."""
        for job in self.jobs:
            for sock in job.sockets():
                with contextlib.suppress(OSError):
                    sock.close()
        self.close()

    def _guard(self, job: Job, function: Callable[..., None], *arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception:
            log.exception("a relayed connection failed")
            with contextlib.suppress(Exception):
                job.stop()
            self.finish(job)

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            self._ear.recv(4096)

    def _patience(self) -> float | None:
        if self._calls:
            return 0
        return max(self._timers[0][0] - time.monotonic(), 0) if self._timers else None

    def _run_due(self) -> None:
        while self._timers and self._timers[0][0] <= self.now:
            call = heapq.heappop(self._timers)[2].take()
            if call is not None:
                self._guard(*call)
