"""The same routes for Caddy: a Caddyfile."""

from __future__ import annotations

from .writer import ABILITIES, write

__all__ = ["ABILITIES", "write"]
