"""The command line: arguments, TOML files, the embedded waitress, the demo."""

from __future__ import annotations

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the console script's entry point.

    :param arguments: without the program's name; those of the process by default.
    :returns: the exit status.
    """
    from .command import main as run

    return run(arguments)
