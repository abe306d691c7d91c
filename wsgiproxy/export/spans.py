"""Spans of time as more than one target writes them."""

from __future__ import annotations

__all__ = ["seconds"]


def seconds(value: float | None, forever: str = "365d") -> str:
    """A number of seconds, in milliseconds where it is no whole one.

    :param forever: what stands for no end.
    """
    if value is None:
        return forever
    whole = float(value).is_integer()
    return f"{value:.0f}s" if whole else f"{max(value * 1000, 1):.0f}ms"
