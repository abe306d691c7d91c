"""The one relay of a process: starts its loop when needed, survives forks, ends at exit."""

from __future__ import annotations

import atexit
import os
import threading

from .loop import Job, Loop
from .pair import Pair
from .tunnel import Tunnel

__all__ = ["Relay", "relay"]

#: Seconds that the end of the process may be kept waiting for connections to be closed.
GOODBYE = 1.0


class Relay:
    """Runs jobs on a background loop, or in the calling thread where they must stay there."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._loop: Loop | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._lock = threading.Lock()

    def submit(self, job: Job) -> None:
        """Have the background loop do it; from then on the job owns its sockets."""
        with self._lock:
            loop = self._loop
            if loop is None:
                loop = self._loop = Loop()
                self._thread = threading.Thread(
                    target=loop.run, args=(self._is_over,), name="wsgiproxy-relay", daemon=True
                )
                self._thread.start()
        loop.add(job)

    def hold(self, job: Job) -> None:
        """Do it here, returning when it is done."""
        loop = Loop()
        try:
            loop.begin(job)
            # What it leaves behind (a last flush) is waited for as well.
            loop.run(until=lambda: not loop.jobs)
        finally:
            loop.stop_jobs()
            loop.close()

    def counts(self) -> dict[str, int]:
        """How many connections are open now: ``tunnels``, ``streams``."""
        jobs = list(self._loop.jobs) if self._loop is not None else []
        tunnels = sum(isinstance(job, Tunnel) for job in jobs)
        return {"tunnels": tunnels, "streams": sum(isinstance(j, Pair) for j in jobs) - tunnels}

    def close(self) -> None:
        """Close every connection and end the thread, waiting a second at most."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        loop.call(self._stop)
        thread.join(GOODBYE)
        if not thread.is_alive():
            loop.close()
        self._reset()

    def _stop(self) -> None:
        if self._loop is not None:
            self._loop.stop_jobs()
        self._stopping = True

    def _is_over(self) -> bool:
        return self._stopping

    def after_fork(self) -> None:
        """In the child: the parent's connections are none of ours."""
        if self._loop is not None:
            self._loop.abandon()
        self._reset()


relay = Relay()
atexit.register(relay.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=relay.after_fork)
