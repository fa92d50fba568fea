"""An admin limits an account to one organization, in a browser; its owner reads on each page that it is a part."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from subscriptions.accounts import scope
from tests.support.fixtures import person
from tests.support.people.organization import Organization
from tests.support.web.browser import sign_in

pytestmark = pytest.mark.browser


def widths(page: Page, screenshot, name: str) -> None:
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(150)
        screenshot(page, f"profiles-of-account-{name}-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width}"
    page.set_viewport_size({"width": 1440, "height": 900})


def test_an_approver_for_one_organization(
    real_transactions, organization: Organization, us: Organization, alice, bob, live_server, browser_page, screenshot
):
    page, base = browser_page, live_server.url
    us.ask(alice)
    organization.ask(alice, count=2)
    sign_in(page, base, person("mallory", "Company admin"))
    page.goto(f"{base}/admin/auth/user/{bob.pk}/change/")
    page.get_by_label("Chosen profiles only").check()
    page.get_by_label("Northwind", exact=True).check()
    widths(page, screenshot, "account")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page).to_have_url(f"{base}/admin/auth/user/")
    assert scope.stored_choice(bob) == frozenset({organization.profile.pk})
    widths(page, screenshot, "list")

    sign_in(page, base, bob)
    page.goto(f"{base}/admin/subscriptions/reclaimrequest/")
    expect(page.get_by_text("Your roles hold for Northwind")).to_be_visible()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    widths(page, screenshot, "approvals")
    page.goto(f"{base}/admin/")
    expect(page.get_by_text("Northwind US")).to_have_count(0)
    widths(page, screenshot, "overview")
