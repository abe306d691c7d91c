"""Everything side by side in one run: ``python -m benchmarks``.

Needs the ``bench`` extra; WSGIProxy2, Node's http-proxy-middleware, nginx and wrk take part where
they can be had. Small requests are measured in rounds that interleave the contestants, as CPU of
the server's own processes for one request; the median of the rounds counts. The tables go to
benchmarks/RESULTS.rst.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks import load
from benchmarks.contestants import CONTESTANTS, GUNICORN, ROOT, Server, running
from benchmarks.serve import THREADS

RESULTS = ROOT / "benchmarks" / "RESULTS.rst"
SIZES = ("1k", "20k", "100k")
#: Those that stream; the others hold 200 MB in memory, or take minutes.
STREAMING = ("waitress alone", "wsgiproxy", "urllib3, 20 lines", "nginx")
Table = list[list[str]]


def small(servers: dict[str, Server], rounds: int, seconds: float) -> Table:
    """CPU for one request, as a multiple of what the server needs when it answers by itself."""
    costs: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(rounds):
        for size in SIZES:
            for name, server in servers.items():
                load.many(f"{server.url}/{size}", 1)
                before = server.cpu()
                count = load.many(f"{server.url}/{size}", seconds)
                if not count:
                    # Who opens a connection for every request runs out of ports at last; the
                    # system gives them back after a minute.
                    time.sleep(61)
                    before = server.cpu()
                    count = load.many(f"{server.url}/{size}", seconds)
                costs[name, size].append((server.cpu() - before) / count * 1e6)
                print(f"{name:30} {size:>5} {costs[name, size][-1]:8.0f} µs", flush=True)
    table = [["CPU for one request", *(f"{size[:-1]} KB" for size in SIZES), "µs, 1 KB"]]
    for name in servers:
        ratios = [_ratio(costs, name, size) for size in SIZES]
        absolute = statistics.median(costs[name, SIZES[0]])
        table.append([name, *(f"{ratio:.2f}" for ratio in ratios), f"{absolute:.0f}"])
    return table


def _ratio(costs: dict[tuple[str, str], list[float]], name: str, size: str) -> float:
    bare = costs[next(iter(CONTESTANTS)), size]
    return statistics.median(one / by for one, by in zip(costs[name, size], bare, strict=True))


def big(servers: dict[str, Server], rounds: int, title: str, is_upload: bool = False) -> Table:
    """Throughput of 200 MB, and how much more memory the server held while it passed."""
    speeds: dict[str, list[float]] = defaultdict(list)
    growth: dict[str, list[int]] = defaultdict(list)
    for _ in range(rounds):
        for name, server in servers.items():
            server.forget_peak()
            before = server.memory()
            transfer = load.upload if is_upload else load.download
            speeds[name].append(transfer(f"{server.url}/{'sink' if is_upload else '200m'}"))
            growth[name].append(server.peak() - before)
            print(f"{name:30} {title} {speeds[name][-1]:8.0f} MB/s", flush=True)
    rows = [
        [name, f"{statistics.median(speeds[name]):.0f}", f"{max(growth[name]) / 1024:.1f}"]
        for name in servers
    ]
    return [[title, "MB/s", "MB more memory"], *rows]


def not_proxied() -> Table:
    """What a request that no route takes costs more."""
    said = _python("-m", "benchmarks.profile_one", "--not-proxied")
    figures = [line.split() for line in said.splitlines()]
    rows = [[" ".join(words[:-4]), words[-4]] for words in figures]
    return [["A request that is not proxied", "µs"], *rows]


def import_time(rounds: int, scratch: Path) -> Table:
    """How much longer importing this package takes than importing what it needs, compiled."""
    code = (
        "import time, urllib3, webob; start = time.process_time(); import wsgiproxy;"
        "print((time.process_time() - start) * 1e3)"
    )
    environ = {**os.environ, "PYTHONPYCACHEPREFIX": str(scratch / "cache")}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    figures = [float(_python("-c", code, environ=environ)) for _ in range(rounds * 3 + 1)][1:]
    row = ["import wsgiproxy, beyond urllib3 and WebOb", f"{statistics.median(figures):.1f}"]
    return [["Import time", "ms"], row]


def _python(*arguments: str, environ: dict[str, str] | None = None) -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environ, check=True, capture_output=True, text=True
    )
    return done.stdout


def measure(options: argparse.Namespace) -> list[Table]:
    """Every table."""
    tables = []
    with tempfile.TemporaryDirectory() as folder, _upstream() as upstream:
        scratch = Path(folder)
        with running(CONTESTANTS, upstream, scratch) as servers:
            tables.append(small(servers, options.rounds, options.seconds))
            streaming = {name: servers[name] for name in STREAMING if name in servers}
            tables.append(big(streaming, options.rounds, "Download of 200 MB"))
            title = "Upload of 200 MB, waitress"
            tables.append(big(streaming, options.rounds, title, is_upload=True))
        with running(GUNICORN, upstream, scratch) as servers:
            title = "Download of 200 MB, gunicorn"
            tables.append(big(servers, options.rounds, title))
            title = "Upload of 200 MB, gunicorn"
            tables.append(big(servers, options.rounds, title, is_upload=True))
        return [*tables, not_proxied(), import_time(options.rounds, scratch)]


@contextlib.contextmanager
def _upstream() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.upstream", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip().rstrip("/")
        finally:
            process.terminate()


def report(tables: list[Table], options: argparse.Namespace) -> str:
    """The tables in reStructuredText."""
    where = (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {THREADS} threads, "
        f"{load.CONNECTIONS} connections that stay open, medians of {options.rounds} rounds. "
        f"Small answers: multiples of the first row."
    )
    return "\n".join([where, "", *(_rst(table) + "\n" for table in tables)])


def _rst(table: Table) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="for each measurement")
    options = parser.parse_args()
    text = report(measure(options), options)
    print(f"\n{text}")
    RESULTS.write_text(text)


if __name__ == "__main__":
    main()
