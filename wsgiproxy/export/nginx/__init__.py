"""The same routes for nginx: one file for its ``http`` block."""

from __future__ import annotations

from .writer import ABILITIES, write

__all__ = ["ABILITIES", "write"]
