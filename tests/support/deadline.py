"""Waiting for something to become true, with a deadline and without luck."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["DEADLINE", "eventually"]

#: Seconds after which a test gives up waiting for anything.
DEADLINE = 10.0

Result = TypeVar("Result")


def eventually(
    predicate: Callable[[], Result], timeout: float = DEADLINE, what: str = ""
) -> Result:
    """Ask ``predicate`` until its answer is true; return that answer.

    :param timeout: seconds; afterwards ``AssertionError`` is raised, naming ``what``.
    """
    end = time.monotonic() + timeout
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not true within {timeout} s: {what or predicate}")
        time.sleep(0.005)
