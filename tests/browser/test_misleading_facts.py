"""Misleading facts in a browser: a feed that has stopped, dates that went back, and the list of people to review."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from subscriptions.downloads.run import download_subscriptions
from subscriptions.models import RemovalCandidate, RunState, Subscription, Verdict
from subscriptions.models.download import StartedBy
from tests.support.web.browser import sign_in

pytestmark = [pytest.mark.browser]
SIZES = ({"width": 1440, "height": 1000}, {"width": 390, "height": 900})


def test_a_frozen_feed_and_the_people_to_review(alice, real_transactions, world, live_server, browser_page, screenshot):
    page = browser_page
    world.download()
    rows = list(Subscription.objects.filter(evaluation__verdict=Verdict.ACTIVE, sole_admin_of="").order_by("pk")[:3])
    for row, days in zip(rows, (205, 130, None), strict=True):
        moment = days and (timezone.now() - timedelta(days=days)).isoformat()
        world.miro.change(row.external_id, last_activity_at=moment)
    world.download()
    world.miro.set_toggles(frozen_feed_days=90)
    run = download_subscriptions(world.profile, actor=None, started_by=StartedBy.COMMAND)
    assert run.state == RunState.QUARANTINED
    sign_in(page, live_server.url, alice)

    expect(page.get_by_text("Activity dates in doubt")).to_be_visible()
    for size in SIZES:
        page.set_viewport_size(size)
        page.goto(f"{live_server.url}/admin/subscriptions/downloadrun/{run.pk}/change/")
        expect(page.get_by_text("Miro shows no activity within the last 3 days")).to_be_visible()
        expect(page.locator("svg.lh-chart")).to_have_count(2)
        screenshot(page, f"frozen-feed-{size['width']}")
        page.goto(f"{live_server.url}/admin/subscriptions/persontoreview/")
        screenshot(page, f"needs-review-{size['width']}")
    page.set_viewport_size(SIZES[0])

    # The list says why. A row has one action as a button, and the others in a menu.
    page.goto(f"{live_server.url}/admin/subscriptions/removalcandidate/")
    page.get_by_role("link", name="Needs review").first.click()
    page.get_by_role("navigation", name="By reason").get_by_role("link", name="Dates went back 3").click()
    expect(page.locator("tr", has_text=rows[0].email).get_by_text("Miro said")).to_be_visible()
    page.get_by_label(f"More for {rows[0].display_name}").click()
    screenshot(page, "needs-review-menu")
    page.get_by_role("button", name="Make a candidate…").locator("visible=true").click()
    page.get_by_label("Reason").fill("Left the company, the manager confirmed it.")
    screenshot(page, "needs-review-candidate")
    page.get_by_role("button", name="Make 1 person").click()
    expect(page.get_by_text("1 person is a candidate now.")).to_be_visible()
    assert RemovalCandidate.objects.get(subscription=rows[0]).evidence["review"]["by"] == "alice"

    # The bar acts on the selected rows.
    page.goto(f"{live_server.url}/admin/subscriptions/persontoreview/?reason=dates_went_back")
    for box in page.locator("input.action-select").all():
        box.check()
    screenshot(page, "needs-review-bar")
    page.get_by_role("button", name="Keep 2 people").click()
    page.get_by_label("Reason").fill("Their manager knows that they work.")
    page.get_by_role("button", name="Keep 2 people").click()
    expect(page.get_by_text("2 people kept")).to_be_visible()
    expect(page.get_by_role("navigation", name="By reason").get_by_text("Dates went back")).to_contain_text("0")
