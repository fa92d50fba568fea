"""Protect somebody from their own page, find them in the list, and end it after being asked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone
from playwright.sync_api import Page, ViewportSize, expect

from subscriptions.models import Protection, ReclaimRule, RemovalCandidate
from subscriptions.rules.protections import ProtectionInput, create_protection, protect_people
from tests.support.web.browser import sign_in

pytestmark = [pytest.mark.browser]
NARROW: ViewportSize = {"width": 390, "height": 844}
WIDE: ViewportSize = {"width": 1440, "height": 900}


@pytest.fixture
def manager(real_transactions) -> User:
    user = User.objects.create_user("alice", password="a long password of alice", is_staff=True)
    user.groups.add(Group.objects.get(name="License manager"))
    return user


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_protect_and_end(manager, world, live_server, browser_page, screenshot):
    page = browser_page
    world.download()
    row = RemovalCandidate.objects.first().subscription
    sign_in(page, live_server.url, manager)

    page.goto(f"{live_server.url}/admin/subscriptions/subscription/{row.pk}/change/")
    page.get_by_role("button", name="Protect…").click()
    page.get_by_label("Reason").fill("On parental leave until summer")
    page.get_by_label("Owner").fill("Petra Meyer, HR")
    page.get_by_label("Until").fill((timezone.localdate() + timedelta(days=90)).isoformat())
    screenshot(page, "protect-one")
    page.get_by_role("button", name="Protect 1 person").click()
    expect(page.get_by_text("Protected 1 person.")).to_be_visible()
    expect(page.get_by_text("Ask Petra Meyer, HR.")).to_be_visible()
    screenshot(page, "subscription-protected")

    page.get_by_role("link", name="Protections").click()
    page.get_by_role("link", name=row.email).click()
    page.get_by_text("End this protection…").click()
    screenshot(page, "protection-end")
    page.get_by_role("button", name="Yes, end it for 1 person").click()
    expect(page.get_by_text("1 person changed verdict.")).to_be_visible()
    assert not Protection.objects.in_force().exists()


def test_paste_lines_look_at_the_preview_and_confirm(manager, world, live_server, browser_page, screenshot):
    page = browser_page
    world.download()
    one, other = RemovalCandidate.objects.all()[:2]
    protect_people(world.profile, [other.subscription], EXAMPLES[0][2], actor=manager)
    sign_in(page, live_server.url, manager)
    lines = [one.subscription.email, other.subscription.external_id, "new.colleague@northwind.example", "Pat Lee, HR"]

    page.goto(f"{live_server.url}/admin/subscriptions/protection/")
    page.get_by_role("link", name="Protect many…").click()
    page.get_by_label("People").fill("\n".join(lines))
    page.get_by_label("Reason").fill("On parental leave")
    page.get_by_label("Owner").fill("Petra Meyer, HR")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Nothing is stored yet.")).to_be_visible()
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)
        screenshot(page, f"protect-many-{size['width']}")
        assert fits(page)
    page.get_by_role("button", name="Protect 2 people").click()
    expect(page.get_by_text("Protected 2 people.")).to_be_visible()
    expect(page.get_by_label("People")).to_have_value("Pat Lee;HR")
    screenshot(page, "protect-many-left")


def test_end_several_protections(manager, world, live_server, browser_page, screenshot):
    page = browser_page
    world.download()
    for kind, value, wish in EXAMPLES:
        create_protection(world.profile, kind, value, wish, actor=manager)
    sign_in(page, live_server.url, manager)

    page.goto(f"{live_server.url}/admin/subscriptions/protection/")
    for box in page.locator("tr input.action-select").all()[:2]:
        box.check()
    screenshot(page, "protections-selected")
    page.get_by_role("button", name="End 2 protections").click()
    screenshot(page, "protections-confirm-end")
    page.get_by_role("button", name="End 2 protections").click()
    expect(page.get_by_text("Ended 2 protections.")).to_be_visible()
    assert Protection.objects.in_force().count() == 2


def test_how_the_pages_look(manager, world, live_server, browser_page, screenshot):
    page = browser_page
    world.download()
    for kind, value, wish in EXAMPLES:
        create_protection(world.profile, kind, value, wish, actor=manager)
    ReclaimRule.objects.update(batch_cap_people=50, batch_cap_percent=5, rolling_cap_percent=10)
    row = RemovalCandidate.objects.first().subscription
    create_protection(world.profile, "person", row.email, EXAMPLES[0][2], actor=manager)
    world.miro.rename(row.external_id, email="pat.married@new-domain.example")
    world.download()
    Protection.objects.filter(kind="domain").update(covered=37, lost_at=timezone.now())
    sign_in(page, live_server.url, manager)
    rule, one = ReclaimRule.objects.get().pk, Protection.objects.get(external_id=row.external_id).pk
    lost = Protection.objects.get(kind="domain").pk
    for name, address in (
        ("protections", "protection/"),
        ("protections-ended", "protection/?state__exact=ended"),
        ("protection-add", "protection/add/"),
        ("protection-many", "protection/many/"),
        ("protection", f"protection/{one}/change/"),
        ("protection-lost", f"protection/{lost}/change/"),
        ("protection-renamed", f"subscription/{row.pk}/change/"),
        ("rule", f"reclaimrule/{rule}/change/"),
    ):
        for size in (WIDE, NARROW):
            page.set_viewport_size(size)
            page.goto(f"{live_server.url}/admin/subscriptions/{address}")
            screenshot(page, f"{name}-{size['width']}")
            assert fits(page), (name, size)


EXAMPLES = [
    (
        "person",
        "pat.lee@northwind.example",
        ProtectionInput("On parental leave", "Petra Meyer, HR", timezone.now() + timedelta(days=120)),
    ),
    ("domain", "contractor.example", ProtectionInput("Consultants of the audit, who work in waves", "Omar Haddad")),
    (
        "license",
        "Standard",
        ProtectionInput(
            "Standard is free of charge until the renewal", "Ines Aubert", timezone.now() + timedelta(days=40)
        ),
    ),
    ("role", "organization_internal_user", ProtectionInput("Shown to everybody during the pilot", "Ines Aubert")),
]
