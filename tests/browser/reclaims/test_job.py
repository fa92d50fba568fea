"""The whole job in a browser: she asks, may not decide, he approves, the worker reclaims, History shows it."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Page, expect

from subscriptions.models import Reclaim
from tests.support.fixtures import World
from tests.support.web.browser import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.worker]

PEOPLE = 4


def test_the_job(
    real_transactions, world: World, alice, bob, carol, live_server, celery_worker_process, browser_page, screenshot
):
    page = browser_page

    def shoot(name: str) -> None:
        screenshot(page, f"job-{name}")

    world.download()
    chosen = world.candidates(PEOPLE)
    names = [str(candidate) for candidate in chosen]
    expected = {candidate.evidence["external_id"] for candidate in chosen}
    before = world.inactive()

    sign_in(page, live_server.url, alice)
    shoot("1-overview")
    request_url = ask_for(page, live_server.url, chosen, shoot)
    refuse_her_own(page, live_server.url, request_url, shoot)
    assert not Reclaim.objects.exists()

    sign_in(page, live_server.url, bob)
    page.goto(request_url)
    shoot("4-approver")
    page.fill("[name=comment]", "Checked with their managers")
    page.get_by_role("button", name=f"Approve {PEOPLE} seats").click()
    expect(page.get_by_text("Approved").first).to_be_visible()
    shoot("5-approved")

    urls = world.sandbox.urls()
    celery_worker_process(MIRO_API_URL=urls["api_url"], MIRO_SCIM_URL=urls["scim_url"])
    wait_for_rest()

    sign_in(page, live_server.url, carol)
    page.goto(f"{live_server.url}/admin/subscriptions/reclaim/")
    for name in names:
        expect(page.get_by_role("link", name=name).first).to_be_visible()
    expect(page.get_by_role("cell", name=re.compile("Verified"))).to_have_count(PEOPLE)
    shoot("6-history")
    assert world.inactive() - before == expected


def ask_for(page: Page, base: str, chosen, shoot) -> str:
    """Tick these people, say why, and request; returns the address of the request."""
    page.goto(f"{base}/admin/subscriptions/removalcandidate/?state__exact=ready")
    for candidate in chosen:
        page.locator(f"input[name=_selected_action][value='{candidate.pk}']").check()
    shoot("2-candidates")
    page.get_by_role("button", name=re.compile("Request reclaim")).first.click()
    page.fill("[name=reason]", "True-up on Dec 1")
    page.get_by_role("button", name=f"Request reclaim of {PEOPLE} seats").click()
    page.goto(f"{base}/admin/subscriptions/reclaimrequest/")
    page.get_by_role("link", name=re.compile(r"R-\d+")).first.click()
    return page.url


def refuse_her_own(page: Page, base: str, request_url: str, shoot) -> None:
    """No button, and a sentence; and a forged POST is refused as well."""
    page.goto(request_url)
    expect(page.get_by_text(re.compile("Another person has to decide")).first).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Approve"))).to_have_count(0)
    shoot("3-own-request")


def wait_for_rest() -> None:
    """The approval has workers_called already; the worker starts with what it finds in the broker."""
    deadline = time.monotonic() + 60
    while Reclaim.objects.unfinished().exists() or not Reclaim.objects.exists():
        assert time.monotonic() < deadline, "the worker did not finish"
        time.sleep(0.2)
