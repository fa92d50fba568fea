"""The steps of the setup in a browser: at the beginning, with a failed test, and beside the numbers."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from integrations.models import IntegrationProfile
from tests.browser.test_everybody import severe
from tests.support.fixtures import person
from tests.support.web.browser import sign_in

pytestmark = pytest.mark.browser


def test_the_steps_lead_to_the_first_request(real_transactions, world, live_server, browser_page, screenshot):
    page, profiles = browser_page, IntegrationProfile.objects.filter(pk=world.profile.pk)
    refused = {
        "level": "error",
        "title": "SCIM API token",
        "detail": "Miro refused it (401).",
        "next_step": "Copy the token that Miro shows.",
        "slot": "scim",
        "steps": ["Open the company settings as a company admin.", "Copy the API token. Do not generate a new one."],
    }
    profiles.update(state="draft", validated_at=timezone.now(), findings=[refused])
    sign_in(page, live_server.url, person("grace", "Company admin"))
    expect(page.get_by_role("heading", name="Set up LicenseHub")).to_be_visible()
    expect(page.locator(".lh-step-failed")).to_contain_text("Does not work")
    assert severe(page) == []
    screenshot(page, "steps-1-failed")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    screenshot(page, "steps-1-failed-390")
    page.set_viewport_size({"width": 1440, "height": 900})

    profiles.update(state="published", findings=[{**refused, "level": "ok"}])
    world.download()
    person("bob", "Approver")
    page.reload()
    expect(page.get_by_text("4 of 5 done")).to_be_visible()
    screenshot(page, "steps-2-numbers")
    page.get_by_role("link", name="Go to").click()
    page.wait_for_url("**/removalcandidate/**")
