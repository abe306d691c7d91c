"""The background relay: bytes between two sockets, off the worker threads.

``endpoint`` is one side's socket and buffer; ``pair``, ``tunnel`` and ``response`` are what is
done with two of them; ``loop`` is the thread that does it for all, ``background`` the one such
thread of the process.
"""

from __future__ import annotations

from .background import Relay, relay
from .endpoint import Endpoint
from .pair import WRITE_TIMEOUT, LingeringClose, OnEnd, Pair
from .response import Pending, PendingResponse, Reply, Stream
from .tunnel import Tunnel

__all__ = [
    "WRITE_TIMEOUT",
    "Endpoint",
    "LingeringClose",
    "OnEnd",
    "Pair",
    "Pending",
    "PendingResponse",
    "Relay",
    "Reply",
    "Stream",
    "Tunnel",
    "relay",
]
