"""The page *Evidence* at both widths: never verified, all well, and changed."""

from __future__ import annotations

import pytest
from django.db import connection
from playwright.sync_api import expect

from licensehub.audit.anchors.keys import new_keys
from licensehub.audit.anchors.write import send_anchors, write_anchor
from licensehub.audit.models import AuditEvent
from licensehub.audit.triggers import create, drop
from tests.support.fixtures import person
from tests.support.web.browser import sign_in

pytestmark = pytest.mark.browser
PAGE = "/admin/audit/auditevent/evidence/"


def test_the_page_says_what_is_proved(
    real_transactions, world, live_server, browser_page, screenshot, settings, head_file, tmp_path
):
    settings.ANCHOR_KEYS = " ".join(new_keys().words())
    settings.ANCHOR_FILE = tmp_path / "anchors.jsonl"
    world.first_download()
    write_anchor()
    send_anchors()
    page = browser_page
    sign_in(page, live_server.url, person("grace", "Auditor"))
    page.goto(live_server.url + PAGE)
    expect(page.get_by_text("Not verified yet")).to_be_visible()
    screenshot(page, "evidence-empty")
    page.get_by_role("button", name="Verify history").click()
    expect(page.get_by_role("heading", name="The chain of events is unbroken")).to_be_visible()
    screenshot(page, "evidence")
    drop(connection)
    AuditEvent.objects.filter(sequence=3).update(actor_name="mallory")
    AuditEvent.objects.filter(sequence=5).update(data={})
    create(connection)
    page.get_by_role("button", name="Verify history").click()
    expect(page.get_by_role("alert")).to_contain_text("Changed: #3.")
    screenshot(page, "evidence-changed")
    page.set_viewport_size({"width": 390, "height": 844})
    screenshot(page, "evidence-390")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
