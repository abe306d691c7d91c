"""The background relay: connections that go on after their request, without a thread each.

``ends`` is one side's socket and buffer; ``pair``, ``duplex`` and ``response`` are what is done
with two of them; ``loop`` is the thread that does it for all, ``relay`` the one such thread of
the process.
"""

from __future__ import annotations

from .duplex import Tunnel
from .ends import End
from .pair import Farewell, OnEnd, Pair
from .relay import Relay, relay
from .response import Awaited, Reply, Stream

__all__ = [
    "Awaited",
    "End",
    "Farewell",
    "OnEnd",
    "Pair",
    "Relay",
    "Reply",
    "Stream",
    "Tunnel",
    "relay",
]
