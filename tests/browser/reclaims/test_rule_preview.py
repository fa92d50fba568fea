"""The preview of a rule follows the threshold, typed or dragged, and nothing is saved by it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from subscriptions.models import ReclaimRule
from tests.support.fixtures import person
from tests.support.web.browser import sign_in

pytestmark = [pytest.mark.browser]


def test_it_follows_the_threshold(real_transactions, world, live_server, browser_page, screenshot):
    page, alice = browser_page, person("alice", "License manager")
    world.download()
    sign_in(page, live_server.url, alice)
    page.goto(f"{live_server.url}/admin/subscriptions/reclaimrule/{ReclaimRule.objects.get().pk}/change/")
    card = page.locator("#preview")
    expect(card.get_by_text("This is the saved rule.")).to_be_visible()
    page.get_by_label("Last activity threshold, days").fill("1")
    expect(card.get_by_text(re.compile(r"\d+ more people would be candidates: .* at 1 days?"))).to_be_visible()
    expect(card.get_by_text("Threshold: 1 days")).to_be_visible()
    screenshot(page, "rule-preview")
    page.get_by_label("Drag the threshold").fill("300")
    expect(card.get_by_text(re.compile(r"fewer (people|person) would be .* at 300 days"))).to_be_visible()
    expect(page.get_by_label("Last activity threshold, days")).to_have_value("300")
    page.get_by_label("Free", exact=True).check()
    expect(card.get_by_text("Nothing is saved yet.")).to_be_visible()
    assert ReclaimRule.objects.get().last_activity_threshold == 60
