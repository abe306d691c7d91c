"""The command line: arguments, TOML files, the embedded waitress, the demo."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the console script's entry point.

    :param arguments: without the program's name; those of the process by default.
    :returns: the exit status.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] in (["export"], ["import"]):
        from .handover import main as hand_over

        return hand_over(given)
    from .command import main as run

    return run(given)
