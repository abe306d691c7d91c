"""Spans of time and addresses, as more than one target writes them."""

from __future__ import annotations

from typing import Any

__all__ = ["seconds", "server_address"]


def seconds(value: float | None, forever: str = "365d") -> str:
    """A number of seconds, in milliseconds where it is no whole one.

    :param forever: what stands for no end.
    """
    if value is None:
        return forever
    whole = float(value).is_integer()
    return f"{value:.0f}s" if whole else f"{max(value * 1000, 1):.0f}ms"


def server_address(server: Any) -> str:
    """Host and port of a server, the scheme's own port where its URL has none."""
    netloc = server.url.partition("://")[2].partition("/")[0]
    is_open = netloc.endswith("]") or ":" not in netloc
    return f"{netloc}:{443 if server.scheme == 'https' else 80}" if is_open else netloc
