"""A Django admin behind a Django site, under a prefix, used by a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support import Address
from tests.support.auth import serve_apart


@pytest.fixture(scope="module")
def site() -> Iterator[Address]:
    """Three processes: the site, the admin as it is, and one that is told its prefix."""
    place = "tests.adapters.django_site.site:"
    with (
        serve_apart(place + "admin", "waitress") as plain,
        serve_apart(place + "prefixed", "waitress") as told,
        serve_apart(place + "front", "waitress", upstream=plain.url, told=told.url) as front,
    ):
        yield front


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page with cookies of its own; scripts that fail fail the test."""
    with browser.new_context() as context:
        opened = context.new_page()
        errors: list[object] = []
        opened.on("pageerror", lambda error: errors.append(error))
        yield opened
        assert not errors


PREFIXES = ("/rebased", "/told", "/kept", "/view-rebased", "/view-told")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_admin_behind_a_site_takes_its_forms(page: Page, site: Address, prefix: str) -> None:
    front = site.url.replace("127.0.0.1", "localhost")
    # The site's own session and token lie at "/", where the service's cookies must not collide.
    _log_in(page, f"{front}/admin/")
    expect(page.locator("#user-tools")).to_contain_text("admin")

    _log_in(page, f"{front}{prefix}/admin/")
    expect(page).to_have_url(f"{front}{prefix}/admin/")
    if "rebased" in prefix:  # Django fixes the URLs of static files once, at start
        styles = page.evaluate("[...document.styleSheets].filter(s => s.cssRules.length).length")
        assert styles > 0

    page.get_by_role("link", name="Groups", exact=True).click()
    page.get_by_role("link", name="Add group").last.click()
    expect(page).to_have_url(f"{front}{prefix}/admin/auth/group/add/")
    name = f"made under {prefix}"
    page.fill("#id_name", name)
    page.click("input[name=_save]")
    expect(page.locator(".messagelist")).to_contain_text("was added successfully")
    expect(page.locator("#result_list")).to_contain_text(name)

    page.get_by_role("button", name="Log out").click()
    page.goto(f"{front}{prefix}/admin/")
    expect(page.locator("#login-form")).to_be_visible()
    page.goto(f"{front}/admin/")
    expect(page.locator("#user-tools")).to_contain_text("admin")


def _log_in(page: Page, url: str) -> None:
    page.goto(url)
    page.fill("#id_username", "admin")
    page.fill("#id_password", "secret")
    page.click("input[type=submit]")


@pytest.mark.parametrize("prefix", ["/rebased", "/told", "/view-told"])
def test_form_from_a_foreign_site_is_refused_by_the_admin(
    page: Page, site: Address, prefix: str
) -> None:
    front = site.url.replace("127.0.0.1", "localhost")
    _log_in(page, f"{front}{prefix}/admin/")
    # Another origin to the browser, the same server: a forged form without the token.
    page.goto(site.url + "/")
    page.evaluate(
        """url => { document.body.innerHTML =
        `<form method=post action="${url}"><input name=name value=forged></form>`;
        document.forms[0].submit() }""",
        f"{front}{prefix}/admin/auth/group/add/",
    )
    expect(page.locator("body")).to_contain_text("CSRF verification failed")
