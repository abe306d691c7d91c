"""The browser of the rebase tests."""

from __future__ import annotations

from tests.rebase.conftest import browser

__all__ = ["browser"]
