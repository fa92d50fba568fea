"""The facts of a person who does nothing are old, and each download confirms them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from subscriptions.activity.confirmation import confirmation_of, newest_runs
from subscriptions.models import DownloadRun, RemovalCandidate, RunState, Subscription
from tests.support.people.organization import page
from tests.support.web.exports import rows
from tests.support.web.pages import text_of

NOW = datetime(2026, 11, 27, 15, 57, tzinfo=UTC)
END = NOW - timedelta(minutes=26)
BEGIN = END - timedelta(minutes=10)
OLD = NOW - timedelta(days=24)


@pytest.mark.parametrize(
    ("facts_at", "sentence"),
    [
        (OLD, "Confirmed by D-0002, 26 minutes ago; unchanged since Nov 3, 2026"),
        (END, "Confirmed by D-0002, 26 minutes ago"),
        (BEGIN + timedelta(minutes=1), "Looked up 35 minutes ago"),
        (NOW - timedelta(minutes=5), "Looked up 5 minutes ago"),
    ],
    ids=["unchanged", "changed by the download", "looked up meanwhile", "looked up later"],
)
def test_what_confirms_the_facts(facts_at, sentence):
    run = DownloadRun(pk=2, started_at=BEGIN, finished_at=END)
    row = Subscription(facts_at=facts_at)
    with time_machine.travel(NOW, tick=False):
        assert confirmation_of(row, run).sentence == sentence
        assert "Nov 27, 2026" in confirmation_of(row, run).with_time
        assert confirmation_of(row, None).by == "a look-up"


def test_pages_and_files_say_which_download_confirmed_a_person(world, carol, as_user):
    first = world.first_download()
    DownloadRun.objects.update(started_at=OLD - timedelta(minutes=1), finished_at=OLD)
    Subscription.objects.update(facts_at=OLD)
    second = world.download()
    quarantined = DownloadRun.objects.create(
        profile=world.profile, state=RunState.QUARANTINED, started_by="command", lease_until=timezone.now()
    )
    assert newest_runs() == {world.profile.pk: second} != {world.profile.pk: quarantined}
    candidate = RemovalCandidate.objects.open().filter(subscription__changed_run=first).first()
    client = as_user(carol)
    said = f"Confirmed by {second}, "
    for address in (
        page("subscription", "change", candidate.subscription_id),
        page("removalcandidate", "change", candidate.pk),
    ):
        shown = text_of(client.get(address))
        assert said in shown
        assert "; unchanged since Nov 3, 2026" in shown
    for address, name in (
        (reverse("admin:subscriptions_subscription_export", args=["csv"]), candidate.subscription.name),
        (reverse("admin:subscriptions_removalcandidate_export", args=["csv"]), candidate.subscription.name),
    ):
        [line] = [line for line in rows(client.get(address)) if line["Name"] == name]
        assert line["Confirmed by"] == second.number
        assert line["Unchanged since (UTC)"].startswith("2026-11-03")
        assert line["Confirmed at (UTC)"] > line["Unchanged since (UTC)"]
