"""What is in short supply: worker threads, tunnels, requests in flight."""

from __future__ import annotations

import queue

from ..errors import TooBusy

__all__ = ["Bulkhead", "Held", "Slots", "default_tunnels", "share_of"]

#: Seconds that a request waits for a worker slot, in a thread of the reserve.
QUEUE = 1.0


class Slots:
    """A number of slots; ``None`` for any number.

    A slot is an item in a queue whose operations are atomic, under the GIL as well as in
    free-threaded builds: it is never given to two, and taking one costs a tenth of a microsecond.

    :ivar limit: how many there are.
    :ivar released: how often one was released, to see whether anything moves.
    """

    __slots__ = ("_free", "limit", "released")

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.released = 0
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(limit or 0):
            self._free.put(None)

    def acquire(self) -> bool:
        """Whether there was a free slot; it is the caller's then."""
        if self.limit is None:
            return True
        try:
            self._free.get_nowait()
        except queue.Empty:
            return False
        return True

    def wait(self, seconds: float) -> bool:
        """The same, waiting so long for one to be released."""
        try:
            self._free.get(timeout=seconds)
        except queue.Empty:
            return False
        return True

    def release(self) -> None:
        """Return a slot that was acquired."""
        if self.limit is not None:
            self._free.put(None)
            self.released += 1

    @property
    def taken(self) -> int:
        """How many slots are held now."""
        return 0 if self.limit is None else self.limit - self._free.qsize()

    @property
    def plenty(self) -> bool:
        """Whether half of the slots are free."""
        return self.limit is None or 2 * self._free.qsize() >= self.limit


class Bulkhead(Slots):
    """Slots that are worth a short wait; :attr:`what` they are, for messages."""

    __slots__ = ("_stalled_at", "what")

    def __init__(self, limit: int | None, what: str) -> None:
        super().__init__(limit)
        self.what = what
        self._stalled_at = -1

    def enter(self) -> None:
        """Acquire a slot, waiting a second if all are taken.

        A burst of exchanges that are shorter gets through. Once nothing has moved for that long,
        all others fail at once until one of the exchanges ends: threads are not to be spent on
        waiting.

        :raises TooBusy: if none became free.
        """
        if self.acquire():
            return
        if self._stalled_at != self.released:
            if self.wait(QUEUE):
                return
            self._stalled_at = self.released
        raise TooBusy(f"{self.limit} {self.what} already", retry_after=1)


class Held:
    """The slots that one request holds; each is released once.

    A context manager: an error releases them in ``__exit__``; after success whoever carries
    the response body releases them at its end.
    """

    __slots__ = ("_in_flight", "_tunnels", "_workers", "has_tunnel", "has_worker", "is_in_flight")

    def __init__(self, workers: Bulkhead, tunnels: Slots, in_flight: Bulkhead) -> None:
        self._workers = workers
        self._tunnels = tunnels
        self._in_flight = in_flight
        self.has_worker = self.has_tunnel = self.is_in_flight = False

    def __enter__(self) -> Held:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is not None:
            self.release()

    # -- the route's own limit

    def begin(self) -> None:
        """Count the request as one in flight, where the route has a limit for these.

        :raises TooBusy: if the route has its ``max_in_flight`` already.
        """
        if self._in_flight.limit is not None:
            self.need_worker()  # so that those who wait here are bounded as well
            self._in_flight.enter()
            self.is_in_flight = True

    # -- worker threads

    def try_worker(self) -> bool:
        """Hold a worker slot if one is free."""
        self.has_worker = self.has_worker or self._workers.acquire()
        return self.has_worker

    def need_worker(self, *, wait: bool = True) -> None:
        """Hold a worker slot.

        :param wait: whether a second of waiting is worth it.
        :raises TooBusy: if none is free.
        """
        if self.try_worker():
            return
        if not wait:
            raise TooBusy(f"{self._workers.limit} {self._workers.what} already", retry_after=1)
        self._workers.enter()
        self.has_worker = True

    @property
    def is_bounded(self) -> bool:
        """Whether worker threads are counted at all."""
        return self._workers.limit is not None

    @property
    def may_stay(self) -> bool:
        """Whether a worker thread is better spent on waiting than another one is missed."""
        return self.has_worker and self._workers.plenty

    def leave_worker(self) -> None:
        """The worker thread is free, or will be at once."""
        if self.has_worker:
            self.has_worker = False
            self._workers.release()

    # -- tunnels

    def try_tunnel(self) -> bool:
        """Hold a tunnel slot if one is free."""
        self.has_tunnel = self.has_tunnel or self._tunnels.acquire()
        return self.has_tunnel

    def need_tunnel(self) -> None:
        """Hold a tunnel slot.

        :raises TooBusy: if none is free.
        """
        if not self.try_tunnel():
            raise TooBusy(f"{self._tunnels.limit} tunnels are open already", retry_after=5)

    def leave_tunnel(self) -> None:
        """The relay has not taken over, or is done."""
        if self.has_tunnel:
            self.has_tunnel = False
            self._tunnels.release()

    def release(self) -> None:
        """Release whatever is held."""
        self.leave_worker()
        self.leave_tunnel()
        self.leave_flight()

    def leave_flight(self) -> None:
        """The upstream is done with the request."""
        if self.is_in_flight:
            self.is_in_flight = False
            self._in_flight.release()


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
