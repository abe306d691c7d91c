"""The background relay: connections that go on after their request, without a thread each.

``ends`` is one side's socket and buffer; ``pair``, ``duplex`` and ``response`` are what is done
with two of them; ``loop`` is the thread that does it for all, ``relay`` the one such thread of
the process.
"""

from __future__ import annotations

from .background import Relay, relay
from .endpoint import Endpoint
from .pair import LingeringClose, OnEnd, Pair
from .response import PendingResponse, Reply, Stream
from .tunnel import Tunnel

__all__ = [
    "Endpoint",
    "LingeringClose",
    "OnEnd",
    "Pair",
    "PendingResponse",
    "Relay",
    "Reply",
    "Stream",
    "Tunnel",
    "relay",
]
