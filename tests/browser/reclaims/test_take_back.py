"""A rejection in a browser: the choice before the click, its consequence, and the way back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from subscriptions.models import RemovalCandidate
from tests.browser.reclaims.test_decide import widths
from tests.browser.test_everybody import severe
from tests.support.web.browser import sign_in

pytestmark = pytest.mark.browser


def test_reject_drop_and_take_back(real_transactions, organization, alice, bob, live_server, browser_page, screenshot):
    page, base, asked = browser_page, live_server.url, organization.ask(alice)
    sign_in(page, base, bob)
    page.goto(f"{base}/admin/subscriptions/reclaimrequest/{asked.pk}/change/")
    page.fill("[name=comment]", "Quarter close runs until January.")
    page.get_by_role("button", name="Reject…").click()

    # The dialog keeps the keyboard's focus. Escape changes nothing and sets the focus back on the button.
    dialog = page.get_by_role("dialog", name=f"Reject {asked}")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("radio", name="Send back")).to_be_focused()
    expect(dialog.get_by_label("Comment")).to_have_value("Quarter close runs until January.")
    assert severe(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Reject…")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("radio", name="Send back")).to_be_checked()
    expect(page.get_by_role("button", name="Reject and send back 3 people")).to_be_visible()
    expect(page.get_by_label("Last day, or empty for no end")).to_be_hidden()
    page.get_by_role("radio", name="Protect").check()
    expect(page.get_by_label("Last day, or empty for no end")).to_be_visible()
    page.get_by_role("radio", name="Pause until a date").check()
    reject = page.get_by_role("button", name="Reject and pause 3 people")
    reject.click()
    expect(page.get_by_role("alert")).to_have_text("Choose the day on which the pause ends.")
    page.get_by_label("Until", exact=True).fill((timezone.localdate() + timedelta(days=30)).isoformat())
    widths(page, screenshot, "reject")
    reject.click()

    expect(page.get_by_text("3 people are paused until").first).to_be_visible()
    widths(page, screenshot, "rejected")
    assert not RemovalCandidate.objects.filter(state="awaiting_approval").exists()
    page.get_by_role("button", name="Take back the rejection").click()

    page.get_by_role("button", name="Drop Person 11 from this request").click()
    page.get_by_label("Reason").fill("On parental leave")
    widths(page, screenshot, "drop")
    page.get_by_role("button", name="Drop and send back 1 person").click()
    expect(page.get_by_role("button", name="Approve 2 seats")).to_be_visible()
    widths(page, screenshot, "dropped")
    page.get_by_role("button", name="Take Person 11 back in").click()
    expect(page.get_by_role("button", name="Approve 3 seats")).to_be_visible()
    assert RemovalCandidate.objects.filter(state="awaiting_approval").count() == 3
