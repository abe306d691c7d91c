"""Real services under a prefix, in a real browser: ``pytest -m services tests/services``.

They are installed when first needed, which takes minutes; see ``running.py`` for where.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.services.catalog import PATIENCE, SERVICES, Service
from tests.services.running import started, way_to

pytestmark = pytest.mark.services

#: These read ``location.pathname``, which no script can change: without a base they need a
#: host of their own (``Route(..., host_match=...)``).
OUT_OF_REACH = frozenset(("Vue Router, no base set", "React Router, no base set"))


@pytest.mark.parametrize(
    "service",
    [service for service in SERVICES if service.name not in OUT_OF_REACH],
    ids=lambda service: service.name,
)
def test_service_works_under_a_prefix_as_installed(browser: Browser, service: Service) -> None:
    expect.set_options(timeout=PATIENCE)
    with started(service) as (port, folder), way_to(port, "rebase") as url:
        context = browser.new_context()
        try:
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            service.check(page, url, folder)
        finally:
            context.close()
