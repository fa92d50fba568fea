"""The second step of a selection in a browser: all that match, and what is said about it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from subscriptions.admin.review.review_admin import ReviewAdmin
from tests.browser.reclaims.test_decide import widths
from tests.support.web.browser import sign_in

pytestmark = pytest.mark.browser


def test_all_that_match_in_needs_review(
    real_transactions, empty_organization, alice, live_server, browser_page, screenshot, monkeypatch
):
    monkeypatch.setattr(ReviewAdmin, "list_per_page", 3)
    for number in range(5):
        empty_organization.hire(number, idle=1, last_activity_at=None)
    empty_organization.propose()
    page, base = browser_page, live_server.url
    sign_in(page, base, alice)
    page.goto(f"{base}/admin/subscriptions/persontoreview/")
    page.locator("#action-toggle").check()
    said = page.get_by_text("This acts on the filter of this list")
    expect(said).to_be_hidden()
    expect(page.get_by_role("button", name="Keep 3 people")).to_be_visible()
    page.get_by_role("button", name="Select all 5 matching").click()

    expect(said).to_be_visible()
    widths(page, screenshot, "all-matching")
    page.get_by_role("button", name="Keep 5 people").click()
    expect(page.locator("#content").get_by_role("heading", name="Keep 5 people")).to_be_visible()
    widths(page, screenshot, "keep-all")
