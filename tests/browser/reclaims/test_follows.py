"""The page of a request follows its sends to the end without a click, and asks nothing while the tab is hidden."""

from __future__ import annotations

import pytest
from playwright.sync_api import Request, expect

from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Reclaim
from subscriptions.reclaims.engine import reclaim_due
from tests.browser.reclaims.test_decide import widths
from tests.support.fixtures import World
from tests.support.web.browser import sign_in

pytestmark = pytest.mark.browser

HIDDEN = """hidden => {
    Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_an_approved_request_follows_to_the_end(
    real_transactions, world: World, alice, bob, live_server, browser_page, screenshot
):
    page, base, asked_for = browser_page, live_server.url, list[str]()

    def note(request: Request) -> None:
        if "/progress/" in request.url:
            asked_for.append(request.url)

    world.download()
    asked = request_reclaim(world.candidates(4), actor=alice, reason="True-up")
    decide.approve(asked, actor=bob)
    sign_in(page, base, bob)
    page.on("request", note)
    page.goto(f"{base}/admin/subscriptions/reclaimrequest/{asked.pk}/change/")
    sentence = page.get_by_role("status").filter(has_text="done")
    expect(sentence).to_have_text("0 of 4 are done")
    page.evaluate(HIDDEN, True)
    page.wait_for_timeout(1500)
    before = len(asked_for)
    page.wait_for_timeout(2500)
    assert len(asked_for) == before, "a hidden tab asks nothing"

    Reclaim.objects.filter(pk=Reclaim.objects.order_by("pk")[0].pk).update(state="failed", outcome="Refused.")
    page.evaluate(HIDDEN, False)
    expect(sentence).to_have_text("1 of 4 are done")
    expect(page.get_by_label("Look at")).to_contain_text("Refused.")
    widths(page, screenshot, "follows")
    reclaim_due(world.profile)

    expect(sentence).to_have_text("All 4 are done: 1 failed, 3 verified")
    widths(page, screenshot, "done")
    at_rest = len(asked_for)
    page.wait_for_timeout(3000)
    assert len(asked_for) == at_rest, "nothing is asked at rest"
