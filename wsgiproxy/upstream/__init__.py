"""The servers behind a route: their addresses and health, connections to them, one exchange."""

from __future__ import annotations

from .servers import Server, Upstream, UpstreamOptions

__all__ = ["Server", "Upstream", "UpstreamOptions"]
