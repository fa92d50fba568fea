"""People in a browser: own seats of an account, a former address in a request, and a person with two accounts."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Subscription
from tests.support.fixtures import World, person
from tests.support.web.browser import sign_in

pytestmark = pytest.mark.browser


def pictures(page: Page, screenshot, name: str) -> None:
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(150)
        screenshot(page, f"people-{name}-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width}"
    page.set_viewport_size({"width": 1440, "height": 900})


def test_people_are_known_by_more_than_an_address(
    real_transactions, world: World, alice, bob, live_server, new_page, screenshot
):
    base = live_server.url
    world.download()
    request = request_reclaim(world.candidates(3), actor=alice, reason="True-up")
    renamed, again, _ = (removal.candidate.subscription for removal in request.removals.order_by("pk"))
    world.miro.change(renamed.external_id, email="bob@northwind-labs.example")
    new_id = world.miro.make_again(again.external_id)["id"]
    world.download()

    page = new_page()
    sign_in(page, base, bob)
    page.goto(f"{base}/admin/subscriptions/reclaimrequest/{request.pk}/change/")
    expect(page.get_by_text("now: bob@northwind-labs.example").first).to_be_visible()
    expect(page.get_by_text("has the same name before the @ as your account")).to_be_visible()
    pictures(page, screenshot, "request")
    page.goto(f"{base}/admin/subscriptions/removalcandidate/{renamed.candidates.get().pk}/change/")
    expect(page.get_by_text("Now: bob@northwind-labs.example")).to_be_visible()
    pictures(page, screenshot, "candidate")

    admin = new_page()
    sign_in(admin, base, person("grace", "Company admin"))
    admin.goto(f"{base}/admin/auth/user/{bob.pk}/change/")
    expect(admin.get_by_text("has the address bob@northwind.example")).to_be_visible()
    pictures(admin, screenshot, "account")
    admin.get_by_role("button", name="Has no seat here").click()
    expect(admin.get_by_text("No seat here, entered by grace.")).to_be_visible()
    pictures(admin, screenshot, "account-entered")
    row = Subscription.objects.get(external_id=new_id)
    admin.goto(f"{base}/admin/subscriptions/subscription/{row.pk}/change/")
    expect(admin.get_by_text("One person, 2 accounts")).to_be_visible()
    pictures(admin, screenshot, "two-accounts")
    admin.goto(f"{base}/admin/integrations/integrationprofile/{world.profile.pk}/archive/")
    pictures(admin, screenshot, "archive")

    page.goto(f"{base}/admin/subscriptions/reclaimrequest/{request.pk}/change/")
    page.get_by_role("button", name="Approve 2 seats").click()
    expect(page.get_by_text("2 seats will be reclaimed")).to_be_visible()
