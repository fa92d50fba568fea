"""Dry run, caps and the approval page in a browser: what the caps say stands beside what they stop."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Reclaim, ReclaimRequest, ReclaimRule
from tests.support.fixtures import World, person
from tests.support.web.browser import sign_in

pytestmark = pytest.mark.browser

CAP = 5


def widths(page: Page, screenshot, name: str) -> None:
    """Pictures to look at: wide and narrow, light and dark. Nothing may stand beyond the right edge."""
    for theme in ("light", "dark"):
        page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", theme == "dark")
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(150)
            screenshot(page, f"decide-{name}-{width}-{theme}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width}"
    page.evaluate("document.documentElement.classList.remove('dark')")
    page.set_viewport_size({"width": 1440, "height": 900})


def test_over_the_cap(real_transactions, world: World, alice, bob, live_server, browser_page, screenshot):
    page, base = browser_page, live_server.url
    world.download()
    ReclaimRule.objects.update(batch_cap_people=CAP)
    chosen = world.candidates(CAP + 1)

    sign_in(page, base, alice)
    page.goto(f"{base}/admin/subscriptions/removalcandidate/")
    hint = page.get_by_text(f"Over the cap of {CAP} people: the next page shows the ways")
    for candidate in chosen:
        expect(hint).to_be_hidden()
        page.locator(f"input[name=_selected_action][value='{candidate.pk}']").check()
    expect(hint).to_be_visible()
    expect(page.get_by_role("button", name=f"Request reclaim of {CAP + 1} seats")).to_be_visible()
    widths(page, screenshot, "candidates")

    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_text("Nothing was sent.")).to_be_visible()
    rows = page.locator("table.lh-tried tbody tr")
    expect(rows.filter(has_text="Would deactivate")).to_have_count(CAP)
    expect(rows.nth(CAP)).to_contain_text("Would wait: the request is over the cap of the rule")
    widths(page, screenshot, "dry-run")
    assert not ReclaimRequest.objects.exists() and world.deactivated_by_us() == []

    page.get_by_role("link", name="Back").click()
    expect(page.get_by_role("link", name="Ready").first).to_be_visible()
    asked = request_reclaim(chosen, actor=alice, reason="True-up is on Dec 1, please decide before.")
    raise_and_approve(page, base, asked, bob, screenshot)


def raise_and_approve(page: Page, base: str, asked: ReclaimRequest, bob, screenshot) -> None:
    """Bob raises the cap, and may then not decide; a third person does."""
    request_url = f"{base}/admin/subscriptions/reclaimrequest/{asked.pk}/change/"
    approve = page.get_by_role("button", name=re.compile(r"Approve \d+ seat"))
    sign_in(page, base, bob)
    page.goto(request_url)
    expect(approve).to_be_disabled()
    expect(page.get_by_text(f"at most {CAP} may be reclaimed at once")).to_be_visible()
    widths(page, screenshot, "over-cap")
    page.get_by_text("Raise the cap…").click()
    page.fill("[name=cap_reason]", "The contract ends this week")
    page.get_by_role("button", name=f"Raise the cap to {CAP + 1} people").click()
    expect(page.get_by_text("You raised the cap of this request. A third person has to decide.")).to_be_visible()
    expect(approve).to_have_count(0)

    sign_in(page, base, person("eve", "Approver"))
    page.goto(request_url)
    expect(page.get_by_text("The contract ends this week")).to_be_visible()
    widths(page, screenshot, "approval")
    page.get_by_role("button", name="Dry run").click()
    expect(page.locator("table.lh-tried tbody tr").filter(has_text="Would deactivate")).to_have_count(CAP + 1)
    page.get_by_role("link", name="Back").click()
    approve.click()
    expect(page.get_by_text("Approved by eve")).to_be_visible()
    widths(page, screenshot, "approved")
    assert Reclaim.objects.filter(state="queued").count() == CAP + 1
    assert Reclaim.objects.count() == CAP + 1
