"""My notifications in a browser, and what the overview and the page of a request say about who was notified."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect

from subscriptions.approvals import closing
from subscriptions.models import NotificationChoice, ReclaimRequest
from tests.support.fixtures import person
from tests.support.people.colleagues import Colleagues
from tests.support.web.browser import sign_in

pytestmark = pytest.mark.browser


def widths(page: Page, screenshot, name: str) -> None:
    """Take pictures. Nothing may be wider than the page."""
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(150)
        screenshot(page, f"notifications-{name}-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width}"


def test_a_person_chooses_mails_and_names_a_deputy(
    real_transactions, colleagues: Colleagues, alice, bob, live_server, browser_page, screenshot
):
    page, base, zoe = browser_page, live_server.url, person("zoe", "Approver")
    sign_in(page, base, bob)
    page.get_by_role("link", name="My notifications").first.click()
    expect(page.get_by_text("Mails go to bob@northwind.example.")).to_be_visible()
    opened = page.get_by_role("group", name="A request waits for a decision")
    expect(opened.get_by_label("A mail at once")).to_be_checked()
    opened.get_by_label("One mail a day").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your choice is saved.")).to_be_visible()
    expect(opened.get_by_label("One mail a day")).to_be_checked()
    assert NotificationChoice.objects.get().user == bob

    today = timezone.localdate()
    page.get_by_role("combobox", name="Deputy").select_option(str(zoe.pk))
    page.get_by_label("First day away").fill(today.isoformat())
    page.get_by_label("Last day away").fill((today + timedelta(days=7)).isoformat())
    page.get_by_role("button", name="Name the deputy").click()
    expect(page.get_by_text("zoe is your deputy from")).to_be_visible()
    widths(page, screenshot, "choices")

    for _ in range(2):
        request = colleagues.ask(alice)
        colleagues.minute()
        ReclaimRequest.objects.filter(pk=request.pk).update(expires_at=timezone.now())
        closing.expire_requests()
        colleagues.minute()
    request = colleagues.ask(alice)
    colleagues.minute()
    User.objects.filter(pk=zoe.pk).update(is_active=False)
    User.objects.filter(pk=bob.pk).update(email="")
    page.goto(f"{base}/admin/")
    expect(page.get_by_text("2 requests in a row expired without a decision")).to_be_visible()
    widths(page, screenshot, "overview")
    page.get_by_text("1 request that nobody may decide").click()
    expect(page.get_by_role("heading", name="Nobody is left who may decide this request")).to_be_visible()
    expect(page.get_by_role("region", name="Who was notified").get_by_text("zoe")).to_be_visible()
    widths(page, screenshot, "request")

    page.get_by_role("link", name="My notifications").first.click()
    expect(page.get_by_role("heading", name="Your account has no e-mail address")).to_be_visible()
    page.get_by_role("button", name="End zoe").click()
    expect(page.get_by_text("zoe is no longer your deputy.")).to_be_visible()
    widths(page, screenshot, "no-address")
