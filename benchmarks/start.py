"""How long it takes until the proxy listens: installed, and as one file.

``python -m benchmarks.start`` builds ``wsgiproxy.pyz``, installs the wheels into a new environment,
and starts both in turn. Needs the ``release`` extra.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tools import pyz, wheelhouse

__all__ = ["main", "measure"]

_ARGUMENTS = ("--listen", "127.0.0.1:0", "/new_req=http://localhost:9999")
Commands = dict[str, list[str]]


def measure(commands: Commands, rounds: int) -> dict[str, float]:
    """The median of the seconds that each command takes until it listens.

    :param commands: by name; each is started once more at first, to have its caches filled.
    :param rounds: how often each is started and measured.
    """
    seconds: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        for name, command in commands.items():
            taken = _start(command)
            if number:
                seconds[name].append(taken)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def _start(command: Sequence[str]) -> float:
    begun = time.perf_counter()
    with subprocess.Popen([*command, *_ARGUMENTS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        taken = time.perf_counter() - begun
        process.terminate()
        assert line.startswith("Listening on "), line
    return taken


def prepare(folder: Path) -> Commands:
    """Build and install what is compared."""
    file, wheels, environment = folder / "wsgiproxy.pyz", folder / "wheels", folder / "installed"
    pyz.build(file)
    wheelhouse.build(wheels)
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = str(environment / "bin" / "python")
    options = ["--quiet", "--no-index", "--find-links", str(wheels), "--require-hashes"]
    command = [python, "-m", "pip", "install", *options]
    subprocess.run([*command, "-r", str(wheels / "requirements.txt")], check=True)
    return {
        "installed with pip": [python, "-I", "-m", "wsgiproxy"],
        "one file": ["env", f"WSGIPROXY_CACHE={folder / 'cache'}", python, "-I", "-S", str(file)],
        "one file, nothing kept": ["env", "WSGIPROXY_CACHE=", python, "-I", "-S", str(file)],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        medians = measure(prepare(Path(folder)), rounds)
    first = next(iter(medians.values()))
    for name, seconds in medians.items():
        print(f"{name:28} {seconds * 1e3:6.0f} ms   {seconds / first:.2f}")


if __name__ == "__main__":
    main()
