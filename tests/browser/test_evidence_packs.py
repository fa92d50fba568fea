"""A long evidence pack in a browser: the page follows the worker, and has the file for who asked."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from licensehub.audit.anchors.keys import new_keys
from subscriptions import tasks
from subscriptions.approvals.request import request_reclaim
from subscriptions.evidence import scope
from subscriptions.models import AccountSettings, EvidencePack
from tests.support.fixtures import World
from tests.support.web.browser import sign_in

pytestmark = pytest.mark.browser


def widths(page: Page, screenshot, name: str) -> None:
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(150)
        screenshot(page, f"evidence-pack-{name}-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width}"
    page.set_viewport_size({"width": 1440, "height": 900})


def test_a_long_pack_is_followed_and_downloaded(
    real_transactions, world: World, alice, carol, live_server, browser_page, screenshot, settings, monkeypatch
):
    settings.ANCHOR_KEYS = ",".join(new_keys().words())
    monkeypatch.setattr(scope, "LONG_PEOPLE", 0)
    world.first_download()
    asked = request_reclaim(world.candidates(2), actor=alice, reason="True-up")
    page, base = browser_page, live_server.url
    evidence = f"{base}/admin/audit/auditevent/evidence/"
    sign_in(page, base, carol)
    page.goto(evidence)
    page.get_by_label("Request or person").fill(asked.number)
    page.get_by_role("button", name="Download the pack").click()
    expect(page.get_by_role("heading", name="This pack waits for a worker")).to_be_visible()
    widths(page, screenshot, "making")
    pack = EvidencePack.objects.get()
    tasks.make_evidence_pack(pack.pk)
    expect(page.get_by_role("heading", name="The pack is ready")).to_be_visible()
    widths(page, screenshot, "ready")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the pack").click()
    assert download.value.suggested_filename == f"evidence-{asked.number}-en.zip"
    assert download.value.path().stat().st_size == EvidencePack.objects.get().size
    expect(page.get_by_text("The download begins.")).to_be_visible()
    AccountSettings.objects.update_or_create(user=carol, defaults={"language": "de"})
    page.reload()
    expect(page.get_by_role("heading", name="Das Paket ist bereit")).to_be_visible()
    widths(page, screenshot, "ready-de")
    page.goto(evidence)
    expect(page.get_by_role("link", name=asked.number)).to_be_visible()
    widths(page, screenshot, "card-de")
    EvidencePack.objects.update(state="failed", problem="Ask an operator.")
    page.goto(f"{base}/admin/audit/auditevent/evidence-packs/{pack.pk}/")
    widths(page, screenshot, "failed-de")
