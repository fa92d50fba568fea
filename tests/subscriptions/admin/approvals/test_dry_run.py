"""The page of a dry run: who may try what, and what it shows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.connectors.contract import TransientError
from subscriptions.approvals import decide
from subscriptions.approvals.dry_run import DryRun, Ending, PersonOutcome
from subscriptions.models import (
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    RequestedRemoval,
)
from tests.support.people.organization import page, request_url, said
from tests.support.web.pages import text_of

OVER = "is for 3 people, and at most 2 may be reclaimed at once"


@pytest.fixture
def tried(monkeypatch) -> list[object]:
    """The calls of the dry run, which holds everybody. With a sandbox: subscriptions/approvals/test_dry_run.py."""
    calls: list[object] = []

    def record(what, *, limit: int) -> DryRun:
        calls.append(what)
        rows = [PersonOutcome(_item(person), Ending.HOLD, "Sending is stopped", "") for person in _people(what)]
        return DryRun(tuple(rows), left_out=7)

    monkeypatch.setattr("subscriptions.approvals.dry_run.try_request", record)
    monkeypatch.setattr("subscriptions.approvals.dry_run.try_candidates", record)
    monkeypatch.setattr("subscriptions.approvals.dry_run.try_queue", record)
    return calls


def _people(what) -> list[RequestedRemoval]:
    return list(what.removals.all()) if isinstance(what, ReclaimRequest) else []


def _item(person: RequestedRemoval) -> Reclaim:
    return Reclaim(removal=person, subscription=person.candidate.subscription)


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_a_dry_run_of_a_request(organization, alice, request, as_user, tried, who):
    asked = organization.ask(alice)
    client = as_user(request.getfixturevalue(who))
    assert "Dry run" in text_of(client.get(request_url("change", asked)))

    shown = text_of(client.post(request_url("dry_run", asked)))

    assert tried == [asked]
    assert f"Dry run of {asked.number}" in shown and "Would wait: sending is stopped" in shown
    assert "The other 7 were not tried" in shown
    assert f"reclaim_subscriptions Northwind --dry-run --request {asked.number}" in shown


def test_a_dry_run_after_the_approval_speaks_of_no_approval_to_come(organization, alice, bob, as_user, tried):
    asked = organization.ask(alice)
    decide.approve(asked, actor=bob)

    shown = text_of(as_user(bob).post(request_url("dry_run", asked)))

    assert "when approved and due" in shown and "once the request is approved" not in shown


def test_a_dry_run_over_the_cap_says_so(capped, bob, as_user, tried):
    assert OVER in text_of(as_user(bob).post(request_url("dry_run", capped)))


def test_a_get_tries_nothing(organization, alice, bob, as_user, tried):
    asked = organization.ask(alice)

    response = as_user(bob).get(request_url("dry_run", asked))

    assert response.status_code == 302 and response["Location"] == request_url("change", asked)
    assert tried == []


@pytest.mark.parametrize("who", ["carol", "dave"])
def test_readers_try_nothing(organization, alice, request, as_user, tried, who):
    """A dry run asks Miro and keeps what it hears."""
    asked = organization.ask(alice)
    client = as_user(request.getfixturevalue(who))

    assert client.post(request_url("dry_run", asked)).status_code == 403
    assert tried == []


def test_what_stands_in_the_way_is_told_where_one_came_from(organization, alice, bob, as_user, monkeypatch):
    def away(*args, **kwargs):
        raise TransientError("Miro does not answer.")

    monkeypatch.setattr("subscriptions.approvals.dry_run.try_request", away)
    asked = organization.ask(alice)

    response = as_user(bob).post(request_url("dry_run", asked))

    assert response["Location"] == request_url("change", asked)
    assert said(response) == "Miro does not answer. Nothing was decided or sent."


def test_a_dry_run_of_candidates(organization, alice, as_user, tried):
    ReclaimRule.objects.update(batch_cap_people=2)
    chosen = list(RemovalCandidate.objects.filter(state="ready").values_list("pk", flat=True)[:3])

    answer = as_user(alice).post(
        page("removalcandidate", "changelist"),
        {"action": ["request_reclaim", "dry_run"], "index": "1", "select_across": "0", "_selected_action": chosen},
    )

    shown = text_of(answer)
    assert "Dry run of 3 seats" in shown and "3 people are more than the cap of 2" in shown
    assert not ReclaimRequest.objects.exists() and len(tried) == 1


def test_a_dry_run_of_the_queue(organization, alice, bob, as_user, tried, admin_user):
    decide.approve(organization.ask(alice), actor=bob)
    address = f"/admin/integrations/integrationprofile/{organization.profile.pk}/"

    assert f"{address}dry-run/" in text_of(as_user(admin_user).get(f"{address}change/"))
    assert "There is nobody to try" in text_of(as_user(admin_user).post(f"{address}dry-run/"))
    assert tried == [organization.profile]
    assert as_user(bob).post(f"{address}dry-run/").status_code == 403


def test_an_expired_one_offers_no_dry_run(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    ReclaimRequest.objects.update(expires_at=timezone.now() - timedelta(minutes=1))

    assert "Dry run" not in text_of(as_user(bob).get(request_url("change", asked)))
