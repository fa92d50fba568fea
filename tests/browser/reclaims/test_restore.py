"""Restores in a browser: one seat by herself, several for a second person, and Miro's log loaded on demand."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from subscriptions import sweep
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Reclaim, ReclaimRequest, RemovalCandidate
from subscriptions.reclaims.engine import reclaim_due
from tests.support.fixtures import World

from .test_job import sign_in

pytestmark = pytest.mark.browser

HISTORY = "/admin/subscriptions/reclaim/"
FOLLOWS_MS = 30_000


@pytest.fixture
def shoot(browser_page, screenshot):
    """Wide and narrow."""

    def both(name: str) -> None:
        for width in (390, 1440):
            browser_page.set_viewport_size({"width": width, "height": 900})
            screenshot(browser_page, f"restore-{name}-{width}")

    return both


def reclaimed(world: World, alice, bob, count: int) -> list[Reclaim]:
    world.download()
    decide.approve(request_reclaim(world.candidates(count), actor=alice), actor=bob, comment="Fine")
    reclaim_due(world.profile)
    return list(Reclaim.objects.order_by("pk"))


def test_restore(real_transactions, world: World, alice, bob, live_server, browser_page: Page, shoot):
    page, base = browser_page, live_server.url
    items = reclaimed(world, alice, bob, 5)
    external_id = items[0].subscription.external_id
    sign_in(page, base, alice)

    page.goto(f"{base}{HISTORY}{items[0].pk}/change/")
    page.get_by_role("link", name="Restore 1 seat…").click()
    shoot("1-confirm")
    page.fill("[name=reason]", "Back from parental leave")
    page.get_by_role("button", name="Restore 1 seat").click()
    expect(page.get_by_text("The restore of")).to_be_visible()
    world.miro.change(external_id, license="free")
    reclaim_due(world.profile)
    # The page follows by itself.
    expect(page.get_by_text("License is Free now, was Full.").first).to_be_visible(timeout=FOLLOWS_MS)
    shoot("2-record")
    assert external_id not in world.inactive()

    page.goto(f"{base}{HISTORY}{items[0].pk}/change/")
    expect(page.get_by_role("link", name="Restored")).to_be_visible()
    shoot("3-story-of-the-reclaim")

    page.goto(f"{base}{HISTORY}")
    for item in items[1:4]:
        page.locator(f"input[name=_selected_action][value='{item.pk}']").check()
    button = page.get_by_role("button", name="Request restore of 3 seats")
    expect(button).to_be_visible()
    shoot("4-history")
    button.click()
    shoot("5-confirm-several")
    page.fill("[name=reason]", "The whole team is back for the Q1 workshops")
    page.get_by_role("button", name="Request restore of 3 seats").click()
    expect(page.get_by_text("Another person has to decide").first).to_be_visible()

    made = ReclaimRequest.objects.get(direction="reactivate", state="open")
    sign_in(page, base, bob)
    page.goto(f"{base}/admin/subscriptions/reclaimrequest/{made.pk}/change/")
    shoot("6-request")
    page.get_by_role("button", name="Approve 3 seats").click()
    expect(page.get_by_text("3 seats will be restored")).to_be_visible()
    reclaim_due(world.profile)
    expect(page.get_by_text("read back active")).to_have_count(3, timeout=FOLLOWS_MS)
    shoot("7-restored")
    page.goto(f"{base}{HISTORY}")
    page.locator(r"[x-on\:click='rowOpen = !rowOpen']").last.click()
    expect(page.get_by_role("link", name="Restored").last).to_be_visible()
    shoot("8-history-after")


def test_in_doubt(real_transactions, world: World, alice, bob, live_server, browser_page: Page, shoot, monkeypatch):
    page, base = browser_page, live_server.url
    monkeypatch.setattr("subscriptions.reclaims.outcomes.READ_BACK_DELAY", timedelta(0))
    world.download()
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    world.miro.fault("error_before", match={"method": "PATCH"})
    reclaim_due(world.profile)
    sweep.read_back_doubts(world.profile)
    candidate = RemovalCandidate.objects.get(state="attention_required")
    world.miro.change(candidate.subscription.external_id, active=False)
    world.miro.change(candidate.subscription.external_id, active=True)

    sign_in(page, base, alice)
    page.goto(f"{base}/admin/subscriptions/removalcandidate/{candidate.pk}/change/")
    page.get_by_text("Send again…").click()
    shoot("9-in-doubt")
    page.fill("[name=reason]", "I looked in Miro: nobody let them in")
    page.get_by_role("button", name=re.compile("Request to send again")).click()
    expect(page.get_by_text("Another person has to approve it").first).to_be_visible()

    made = ReclaimRequest.objects.get(repeats__isnull=False)
    sign_in(page, base, bob)
    page.goto(f"{base}/admin/subscriptions/reclaimrequest/{made.pk}/change/")
    page.get_by_role("link", name="Ask Miro").click()
    expect(page.get_by_text("user_deactivated")).to_be_visible()
    expect(page).to_have_url(f"{base}/admin/subscriptions/reclaimrequest/{made.pk}/change/")
    shoot("10-repeats")
