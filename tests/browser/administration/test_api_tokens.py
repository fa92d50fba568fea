"""Tokens of the API in a browser: made once, shown once, ended; and a service account by an admin."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from licensehub.sign_in.models import ApiToken
from tests.support.fixtures import person
from tests.support.web.browser import sign_in

pytestmark = pytest.mark.browser


def pictures(page: Page, screenshot, name: str) -> None:
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(150)
        screenshot(page, f"api-tokens-{name}-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width}"
    page.set_viewport_size({"width": 1440, "height": 900})


def test_a_person_makes_a_token_and_an_admin_ends_it(
    real_transactions, organization, alice, live_server, new_page, screenshot
):
    base = live_server.url
    page = new_page()
    sign_in(page, base, alice)
    page.goto(f"{base}/account/security/")
    page.get_by_role("link", name="Make or end tokens").click()
    expect(page.get_by_text("No token yet.")).to_be_visible()
    pictures(page, screenshot, "empty")
    page.get_by_label("Name").fill("Nightly report")
    page.get_by_label("Role").select_option(label="Auditor")
    page.get_by_role("button", name="Make the token").click()
    # A sign-in of a moment ago is not enough for a token.
    pictures(page, screenshot, "confirm")
    page.get_by_label("Password").fill("a long password of alice")
    page.get_by_role("button", name="Confirm and go on").click()
    shown = page.locator("#lh-token").input_value()
    assert shown.startswith("lh_") and len(shown) == 59
    pictures(page, screenshot, "made")
    page.goto(f"{base}/account/tokens/")
    expect(page.get_by_text("Nightly report")).to_be_visible()
    assert shown not in page.content()

    admin = new_page()
    sign_in(admin, base, person("grace", "Company admin"))
    admin.goto(f"{base}/admin/api-tokens/")
    expect(admin.get_by_text("alice: Nightly report")).to_be_visible()
    pictures(admin, screenshot, "all")
    admin.get_by_label("Name").fill("report-robot")
    admin.get_by_label("Mailbox").fill("robots@northwind.example")
    admin.get_by_role("button", name="Make the account").click()
    expect(admin.get_by_role("heading", name="API tokens of report-robot")).to_be_visible()
    pictures(admin, screenshot, "service")
    admin.goto(f"{base}/admin/api-tokens/")
    admin.get_by_role("button", name="End: Nightly report").click()
    expect(admin.get_by_text("ended. Programs that use it are refused")).to_be_visible()
    pictures(admin, screenshot, "ended")
    assert ApiToken.objects.get().ended_by.username == "grace"
