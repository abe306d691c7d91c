"""Feeding editors in pieces: what comes out must not depend on where they are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from wsgiproxy.rebase.page_urls import PageUrls

__all__ = ["URLS", "bytewise", "in_pieces", "whole"]

URLS = PageUrls("/app", ["localhost:9999"], front="site.example")

Make = Callable[[], Any]


def whole(make: Make, text: bytes) -> bytes:
    """The edited text, fed at once."""
    editor = make()
    return editor.feed(text) + editor.finish()


def bytewise(make: Make, text: bytes) -> bytes:
    """The edited text, fed byte by byte."""
    return in_pieces(make, text, range(1, len(text)))


def in_pieces(make: Make, text: bytes, cuts: Iterable[int]) -> bytes:
    """The edited text, fed in pieces that end at these places."""
    editor = make()
    ends = [0, *sorted({cut for cut in cuts if 0 < cut < len(text)}), len(text)]
    pieces = [text[start:end] for start, end in pairwise(ends)]
    return b"".join(map(editor.feed, pieces)) + editor.finish()
