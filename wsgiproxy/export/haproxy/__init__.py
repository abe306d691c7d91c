"""The same routes for HAProxy: a whole configuration file."""

from __future__ import annotations

from .writer import ABILITIES, write

__all__ = ["ABILITIES", "write"]
