"""An admin makes a webhook in a browser, sends a test, and sees its answer, at three widths."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from integrations.models import Webhook, WebhookDelivery, WebhookState
from subscriptions.accounts.settings import choose_language
from subscriptions.webhooks.delivery import deliver_due
from tests.support.fixtures import person
from tests.support.servers.scripted_server import Reply
from tests.support.servers.webhooks import Receiver, stored_webhook
from tests.support.web.browser import sign_in

pytestmark = pytest.mark.browser


def pictures(page: Page, screenshot, name: str) -> None:
    """Take pictures. Nothing may be wider than the page."""
    for width in (390, 1024, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(150)
        screenshot(page, f"webhooks-{name}-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width}"


def columns_overlap(page: Page) -> list[str]:
    """The headings of the table that are wider than their column; the one without visible words does not count."""
    return page.locator("th:not(:has(.lh-hidden))").evaluate_all(
        "all => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)"
    )


def test_a_webhook_from_its_address_to_the_answer(
    real_transactions, organization, endpoint: Receiver, live_server, browser_page, screenshot, monkeypatch
):
    monkeypatch.setattr("subscriptions.admin.webhooks.webhook_admin.enqueue_task", lambda task: True)
    page, base, cora = browser_page, live_server.url, person("cora", "Company admin")
    sign_in(page, base, cora)
    page.get_by_role("link", name="Webhooks").click()
    expect(page.get_by_text("No webhook yet.")).to_be_visible()
    page.get_by_role("link", name="New webhook").click()
    pictures(page, screenshot, "formats")
    page.get_by_role("link", name="Choose: Signed event").click()
    page.get_by_label("Name", exact=True).fill("On call")
    page.get_by_label("Address").fill("https://evil.example/x")
    page.get_by_role("button", name="Make the webhook").press("Enter")
    expect(page.get_by_text("LicenseHub may not call “evil.example”.")).to_be_visible()
    expect(page.get_by_text("Enter it again: LicenseHub never shows it.")).to_have_count(1)
    pictures(page, screenshot, "form")
    page.get_by_label("Address").fill(endpoint.address)
    page.get_by_role("button", name="Make the webhook").click()
    expect(page.get_by_role("heading", name="Copy the secret now: it is shown only once")).to_be_visible()
    secret = page.locator("#lh-secret").input_value()
    assert secret.startswith("whsec_")
    pictures(page, screenshot, "made")

    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("A test is on its way.")).to_be_visible()
    assert deliver_due() == 1
    expect(page.get_by_text("HTTP 200")).to_be_visible()
    assert page.get_by_text(secret).count() == 0
    endpoint.replies = [Reply(status=500, data={"error": "out of order"})]
    page.get_by_role("button", name="Send a test").click()
    deliver_due()
    page.reload()
    expect(page.get_by_role("heading", name="Nothing arrived since")).to_be_visible()
    expect(page.get_by_text("The host answered 500.").first).to_be_visible()
    pictures(page, screenshot, "failing")
    assert columns_overlap(page) == []
    page.set_viewport_size({"width": 390, "height": 900})
    assert (page.locator("td .lh-badge").first.bounding_box() or {})["width"] < 120, "as wide as its words"
    page.get_by_role("link", name="A test").first.click()
    expect(page.get_by_text('{"error": "out of order"}')).to_be_visible()
    pictures(page, screenshot, "delivery")


def test_a_webhook_that_was_switched_off_in_german(
    real_transactions, organization, live_server, browser_page, screenshot
):
    page, base, cora = browser_page, live_server.url, person("cora", "Company admin")
    choose_language(cora, "de")
    webhook = stored_webhook(organization.profile, name="#lizenzen", format="jira").webhook
    rows = [stored_webhook(organization.profile) for _ in range(6)]
    WebhookDelivery.objects.filter(pk__in=[row.pk for row in rows]).update(webhook=webhook, state="held")
    Webhook.objects.exclude(pk=webhook.pk).filter(name__in=[row.webhook.name for row in rows[2:]]).delete()
    Webhook.objects.filter(pk=webhook.pk).update(
        state=WebhookState.FAILED, failing_since=timezone.now(), error="The host took no connection."
    )
    sign_in(page, base, cora)
    page.goto(f"{base}/admin/integrations/webhook/")
    pictures(page, screenshot, "list-de")
    page.get_by_role("link", name="#lizenzen").click()
    expect(page.get_by_role("button", name="Einschalten")).to_be_visible()
    pictures(page, screenshot, "off-de")
    assert columns_overlap(page) == []
    page.get_by_role("link", name="Nicht angekommen").click()
    page.get_by_role("button", name="Einschalten").click()
    expect(page.get_by_text("Der Webhook ist an.")).to_be_visible()
    page.get_by_role("link", name="Ändern").first.click()
    pictures(page, screenshot, "form-de")
