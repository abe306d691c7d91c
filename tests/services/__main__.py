"""Try every service in every way and print a table: ``python -m tests.services``.

``python -m tests.services --service Dash --way rebase`` tries a few only.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence

from playwright.sync_api import Browser, expect, sync_playwright

from tests.services.catalog import SERVICES, Service
from tests.services.running import WAYS, started, way_to


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the checks and print reStructuredText."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service", action="append", help="part of a name", default=[])
    parser.add_argument("--way", action="append", choices=WAYS, default=[])
    parser.add_argument("--patience", type=float, default=15, help="seconds for each step")
    chosen = parser.parse_args(arguments)
    ways = chosen.way or list(WAYS)
    expect.set_options(timeout=chosen.patience * 1000)
    rows = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--host-resolver-rules=MAP *.example 127.0.0.1"],
        )
        for service in SERVICES:
            wanted = [part for part in chosen.service if part.lower() in service.name.lower()]
            if wanted or not chosen.service:
                rows.append([service.name, *_results(browser, service, ways, chosen.patience)])
    print(_table(["service", *ways], rows))


def _results(browser: Browser, service: Service, ways: list[str], patience: float) -> list[str]:
    results = []
    with started(service) as (port, folder):
        for way in ways:
            context = browser.new_context()
            page = context.new_page()
            page.set_default_timeout(patience * 1000)
            begun = time.monotonic()
            try:
                with way_to(port, way) as url:
                    service.check(page, url, folder)
                results.append("yes")
            except Exception as error:  # whatever went wrong: it does not work
                results.append("no")
                print(f"    {' '.join(str(error).split())[:300]}", flush=True)
            finally:
                context.close()
            took = time.monotonic() - begun
            print(f"{service.name}: {way}: {results[-1]} ({took:.1f} s)", flush=True)
    return results


def _table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


if __name__ == "__main__":
    main()
