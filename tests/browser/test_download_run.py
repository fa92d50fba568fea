"""A run's page follows it while it reads, without a reload; a quarantined one leads to a decision."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone
from playwright.sync_api import expect

from subscriptions.downloads.run import download_subscriptions
from subscriptions.models import DownloadRun, Subscription
from subscriptions.models.download import StartedBy
from tests.support.fixtures import MEMBERS
from tests.support.web.browser import sign_in

pytestmark = [pytest.mark.browser]


@pytest.fixture
def operators(real_transactions) -> list[User]:
    made = []
    for name in ("olivia", "oscar"):
        user = User.objects.create_user(name, f"{name}@northwind.example", f"a long password of {name}", is_staff=True)
        user.groups.add(Group.objects.get(name="Operator"))
        made.append(user)
    return made


def test_the_numbers_grow_without_a_reload(operators, world, live_server, browser_page, screenshot):
    page = browser_page
    world.download()
    run = DownloadRun.objects.get()
    DownloadRun.objects.update(state="running", finished_at=None, read=20, pages=1)
    sign_in(page, live_server.url, operators[0])
    page.goto(f"{live_server.url}/admin/subscriptions/downloadrun/{run.pk}/change/")
    expect(page.get_by_text(f"20 of about {MEMBERS} members")).to_be_visible()
    page.evaluate("window.sameDocument = true")
    DownloadRun.objects.update(read=80, pages=2)
    expect(page.get_by_text(f"80 of about {MEMBERS} members")).to_be_visible()
    assert page.evaluate("window.sameDocument") is True
    screenshot(page, "run-progress")
    DownloadRun.objects.update(state="complete")
    expect(page.get_by_role("heading", name="What “Complete” means")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_count(0)


def test_the_steps_are_followed_without_a_reload(operators, world, live_server, browser_page, screenshot):
    """First the facts are written, and the only admins of teams are being read. Then everything is done."""
    page = browser_page
    run = world.download()
    steps = {**run.steps, "team_admins": {"since": run.steps["team_admins"]["since"], "done": 12}}
    for step in ("verdicts", "candidates", "request"):
        steps.pop(step)
    lease_until = timezone.now() + timedelta(minutes=1)
    values = {"state": "evaluating", "follow_up": "team_admins", "evaluated_at": None, "lease_until": lease_until}
    DownloadRun.objects.update(steps=steps, **values)
    operators[0].groups.add(Group.objects.get(name="Auditor"))
    sign_in(page, live_server.url, operators[0])
    page.goto(f"{live_server.url}/admin/subscriptions/downloadrun/{run.pk}/change/")
    expect(page.get_by_text("Step 2 of 6: Only admins of teams")).to_be_visible()
    expect(page.get_by_text("12 teams so far")).to_be_visible()
    screenshot(page, "run-steps")
    page.set_viewport_size({"width": 390, "height": 900})
    screenshot(page, "run-steps-narrow")
    page.set_viewport_size({"width": 1440, "height": 1000})
    for address in ("subscriptions/subscription/", ""):
        page.goto(f"{live_server.url}/admin/{address}")
        expect(page.get_by_role("status").get_by_text("verdicts")).to_be_visible()
        screenshot(page, f"run-steps-{'list' if address else 'overview'}")
    page.goto(f"{live_server.url}/admin/subscriptions/downloadrun/{run.pk}/change/")
    DownloadRun.objects.update(state="complete", follow_up="done", steps=run.steps, evaluated_at=timezone.now())
    expect(page.get_by_role("heading", name="What was done")).to_be_visible()
    screenshot(page, "run-steps-done")


def test_two_people_accept_a_quarantined_run(operators, world, live_server, browser_page, new_page, screenshot):
    world.download()
    for row in Subscription.objects.all()[: MEMBERS // 4]:
        world.miro.change(row.external_id, removed=True)
    run = download_subscriptions(world.profile, actor=None, started_by=StartedBy.COMMAND)
    address = f"{live_server.url}/admin/subscriptions/downloadrun/{run.pk}/change/"
    first, second = browser_page, new_page()
    sign_in(first, live_server.url, operators[0])
    first.goto(address)
    expect(first.get_by_text("30 of 120 known members are missing")).to_be_visible()
    screenshot(first, "run-quarantined")
    first.get_by_label("Why this download is correct").fill("The company sold a division on Friday.")
    first.get_by_role("button", name="Propose to accept").click()
    expect(first.get_by_text("You proposed it")).to_be_visible()
    sign_in(second, live_server.url, operators[1])
    second.goto(address)
    screenshot(second, "run-proposed")
    second.get_by_role("button", name="Confirm: mark 30 as gone").click()
    expect(second.get_by_text("30 people are marked as gone").first).to_be_visible()
    screenshot(second, "run-accepted")
    assert Subscription.objects.exclude(gone_at=None).count() == 30
