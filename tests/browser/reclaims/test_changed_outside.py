"""Rows that were changed in the database, in a browser: the marks, the held profile, and its release."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from integrations.models import IntegrationProfile
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Reclaim
from subscriptions.reclaims.engine import reclaim_due
from tests.support.attacks import attack
from tests.support.fixtures import World, person
from tests.support.web.browser import sign_in

pytestmark = pytest.mark.browser


def widths(page: Page, screenshot, name: str) -> None:
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(150)
        screenshot(page, f"changed-outside-{name}-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width}"
    page.set_viewport_size({"width": 1440, "height": 900})


def test_marks_hold_and_release(real_transactions, world: World, alice, bob, live_server, browser_page, screenshot):
    page, base = browser_page, live_server.url
    world.download()
    sent = request_reclaim(world.candidates(2), actor=alice, reason="True-up")
    decide.approve(sent, actor=bob)
    open_one = request_reclaim(world.candidates(2), actor=alice, reason="Unused since spring")
    first = Reclaim.objects.order_by("pk")[0]
    attack(
        "UPDATE subscriptions_requestedremoval SET dropped_at = '2026-01-01 00:00:00+00:00' WHERE id = %s",
        first.removal_id,
    )
    attack("UPDATE subscriptions_reclaimrequest SET reason = 'As the board wants' WHERE id = %s", open_one.pk)
    attack(
        "UPDATE subscriptions_requestedremoval SET answer = 'release', answered_at = '2026-01-01 00:00:00+00:00'"
        " WHERE id = %s",
        open_one.removals.order_by("pk")[0].pk,
    )
    reclaim_due(world.profile)

    sign_in(page, base, bob)
    page.goto(f"{base}/admin/subscriptions/reclaimrequest/")
    expect(page.get_by_text("Changed outside")).to_have_count(1)
    widths(page, screenshot, "list")
    page.goto(f"{base}/admin/subscriptions/reclaimrequest/{open_one.pk}/change/")
    banner = page.get_by_role("alert").filter(has_text="values that LicenseHub did not write")
    expect(banner.locator("dd")).to_have_text(["Signed version Unused since spring", "Row now As the board wants"])
    marked = page.get_by_role("row").filter(has_text="Changed outside")
    expect(marked).to_have_count(1)
    signed, now = page.locator("tr.lh-row-versions dd").all()
    expect(signed).to_have_text("Signed version nothing")
    expect(now).to_contain_text("Row now release 2026-01-01")
    assert (now.bounding_box() or {})["height"] < 30, "one line"
    page.get_by_role("button", name="Approve 2 seats").click()
    expect(page.get_by_text("differs from what was requested")).to_be_visible()
    widths(page, screenshot, "request")
    page.goto(f"{base}/admin/subscriptions/reclaim/?state__exact=tampered")
    expect(page.get_by_text("Tampered", exact=True).first).to_be_visible()
    widths(page, screenshot, "history")
    page.goto(f"{base}/admin/subscriptions/reclaim/{first.pk}/change/")
    widths(page, screenshot, "item")

    page.context.clear_cookies()
    sign_in(page, base, person("olaf", "Operator"))
    page.goto(f"{base}/admin/integrations/integrationprofile/{world.profile.pk}/change/")
    expect(page.get_by_role("heading", name="Nothing is reclaimed")).to_be_visible()
    widths(page, screenshot, "held")
    page.get_by_label("What did you check?").fill("Olaf has tried something in the database.")
    page.get_by_role("button", name="Release sending").click()
    expect(page.get_by_text("Sending is released.")).to_be_visible()
    assert IntegrationProfile.objects.get().held_at is None
