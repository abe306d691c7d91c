"""The demo in ``examples/themed``, started as its docstring says, seen by a real browser."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

DEMO = Path(__file__).parents[2] / "examples" / "themed"


@contextlib.contextmanager
def started(program: str, *arguments: str) -> Iterator[str]:
    """The URL of a program that prints it when it listens."""
    command = [sys.executable, str(DEMO / program), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url.startswith("http://"), f"{program} did not start"
            yield url
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def front() -> Iterator[str]:
    """The URL of the themed front."""
    with started("upstream.py", "0") as upstream, started("app.py", "0", upstream) as url:
        yield url


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Any]:
    """A page of a real browser."""
    with browser.new_context(viewport={"width": 1000, "height": 700}) as context:
        yield context.new_page()


def style(page: Any, selector: str, name: str) -> str:
    return str(page.eval_on_selector(selector, f"e => getComputedStyle(e)[{name!r}]"))


def assert_look(page: Any) -> None:
    """What the theme gives every page."""
    assert page.evaluate("document.compatMode") == "CSS1Compat"
    assert style(page, "header", "backgroundColor") == "rgb(11, 79, 108)"
    assert style(page, "body", "backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("header svg").bounding_box()["width"] == 40
    assert page.eval_on_selector("header svg", "e => e.viewBox.baseVal.width") == 24
    assert page.locator("nav#menu a").all_inner_texts() == ["Home", "Stock"]
    assert page.locator("footer").inner_text() == (
        "One look for every application behind this door."
    )


def test_django_page_is_shown_in_the_theme(front: str, page: Any, tmp_path: Path) -> None:
    page.goto(f"{front}/?name=%3Cann%3E")
    assert_look(page)
    assert page.title() == "Home of the harbour"
    assert page.locator("main h1").inner_text() == "Good morning, <ann>"
    assert page.evaluate("document.documentElement.dataset.ready") == "yes"
    content, aside = (page.locator(s).bounding_box() for s in ("#content", "#aside"))
    assert content["x"] + content["width"] <= aside["x"], "side by side"
    assert aside["width"] == 256
    assert style(page, "#aside", "borderTopLeftRadius") == "8px"
    assert page.screenshot(path=str(tmp_path / "django.png"))[:4] == b"\x89PNG"


def test_plain_service_is_shown_in_the_theme(front: str, page: Any, tmp_path: Path) -> None:
    page.goto(f"{front}/stock/")
    assert_look(page)
    assert page.title() == "Stock"
    assert page.locator("#stock td").all_inner_texts() == ["Rope, café brown", "12", "Tar", "3"]
    assert style(page, "#stock td", "borderTopWidth") == "1px"
    assert page.locator("#aside").count() == 0
    assert "anchors" not in page.content()
    assert page.screenshot(path=str(tmp_path / "stock.png"))[:4] == b"\x89PNG"


def test_link_of_the_menu_leads_from_one_to_the_other(front: str, page: Any) -> None:
    page.goto(f"{front}/")
    page.click("nav#menu a:has-text('Stock')")
    page.wait_for_url("**/stock/")
    assert page.locator("main h1").inner_text() == "Stock of the shed"


def test_menu_alone_has_no_theme(front: str, page: Any) -> None:
    page.goto(f"{front}/menu")
    assert page.locator("header").count() == 0
