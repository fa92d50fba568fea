"""The page *Company*: the preview follows the form, and the default text can be restored, at both widths."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from subscriptions.models import Company
from tests.support.fixtures import person
from tests.support.web.browser import sign_in
from tests.support.web.pictures import png

pytestmark = pytest.mark.browser
PAGE = "admin:subscriptions_company_changelist"


def test_the_preview_follows_and_the_default_text_comes_back(
    real_transactions, world, live_server, browser_page, screenshot
):
    page = browser_page
    sign_in(page, live_server.url, person("grace", "Company admin"))
    page.goto(live_server.url + reverse(PAGE))
    mail = page.frame_locator(".lh-company-preview iframe")
    expect(mail.get_by_role("heading", name="Do you still need your Miro license?")).to_be_visible()
    page.get_by_label("Company name").fill("Northwind Group")
    page.locator("#id_ask_en_text").fill("Dear {name}, we count seats.")
    expect(mail.get_by_text("Dear Nadia, we count seats.")).to_be_visible()
    expect(mail.get_by_text("Northwind Group")).to_be_visible()
    page.set_input_files("#id_logo", {"name": "logo.png", "mimeType": "image/png", "buffer": png(120, 40)})
    page.get_by_label("My license").check()
    expect(mail.get_by_role("button", name="Keep my license")).to_be_visible()

    page.locator("#id_reminder_de_text").locator("xpath=ancestor::details").locator("summary").click()
    page.locator("#id_reminder_de_text").fill("Falsch {nmae}")
    expect(page.get_by_label("Deutsch")).to_be_checked()
    expect(page.locator("#lh-company-preview .lh-field-error")).to_contain_text("{nmae} is no placeholder")
    page.locator(".lh-notice[data-language=de][data-kind=reminder] [data-back]").click()
    expect(page.locator("#lh-company-preview .lh-field-error")).to_have_count(0)

    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The company is saved.")).to_be_visible()
    row = Company.objects.get()
    assert (row.name, row.texts) == ("Northwind Group", {"ask_en_text": "Dear {name}, we count seats."})
    screenshot(page, "company")
    page.set_viewport_size({"width": 390, "height": 844})
    screenshot(page, "company-390")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
