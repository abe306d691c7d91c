"""The same questions to this proxy and to the real servers with what was exported for them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .bench import TARGETS, Bench
from .differences import FILE, differences, observed, section

Facts = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with contextlib.ExitStack() as stack:
        yield Bench(tmp_path_factory.mktemp("bench"), stack)


@pytest.fixture(scope="module")
def ours(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    with bench.front("wsgiproxy", tmp_path_factory.mktemp("ours")) as front:
        return observed(front)


def written(target: str) -> list[str]:
    """The lines of a target's section in the documentation."""
    _, head, rest = FILE.read_text().partition(f"\n{target}\n--")
    lines = (head + rest).splitlines()
    ends = [n for n, line in enumerate(lines) if n > 2 and line.startswith("--")]
    return lines[: ends[0] - 2] if ends else lines


@pytest.mark.parametrize("target", TARGETS)
def test_target_does_the_same_but_for_what_the_table_says(
    target: str, bench: Bench, ours: Facts, tmp_path: Path
) -> None:
    with bench.front(target, tmp_path) as front:
        found = differences(ours, observed(front))

    # Written anew by: python -m tests.export.differences
    assert section(target, found).splitlines() == written(target)


def test_our_own_answers_are_what_the_cases_mean(ours: Facts) -> None:
    # Were a case to fail here in the same way as there, nobody would see it.
    refused = {name for name, facts in ours.items() if facts.get("status", 200) >= 400}

    assert refused == {
        "a failure of the upstream",
        "an answer that is no HTTP",
        "an encoded slash in the prefix",
        "an invalid Host",
        "auth: dots out of the prefix",
        "auth: refused",
        "auth: the application fails",
        "auth: the way to the login, for a script",
        "backslashes around dots",
        "dots that leave the prefix",
        "encoded dots that leave the prefix",
        "encoded slashes around dots",
        "https, not trusted",
        "nobody listens",
        "over max_body",
        "over max_body, in chunks",
        "status and reason",
        "twice encoded dots",
    }
    assert ours["a WebSocket"]["outcome"] == "earlyping"
    assert ours["claims of a client"]["request X-Forwarded-For"] == "127.0.0.1"
    assert "request Remote-User" not in ours["claims of a client"]
