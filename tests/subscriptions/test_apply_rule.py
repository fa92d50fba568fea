"""A saved rule proposes at once from facts that are complete, new and not in doubt, and files no request."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from integrations.models import IntegrationProfile, ProfileState
from subscriptions import turns
from subscriptions.apply_rule import apply_rule, facts_to_propose
from subscriptions.candidates import propose
from subscriptions.models import DownloadRun, ReclaimRequest, ReclaimRule, RemovalCandidate, RunState, Subscription
from subscriptions.rules import evaluation
from subscriptions.rules.rules import change_rule
from subscriptions.turns import Turn


@pytest.fixture
def lowered(world, alice):
    """Somebody saved a lower threshold, and nobody was evaluated yet."""
    run = world.first_download()
    change_rule(ReclaimRule.objects.get(), actor=alice, changed={"last_activity_threshold": 20})
    return run


def ready() -> set[int]:
    return set(RemovalCandidate.objects.open().values_list("subscription", flat=True))


def inactive() -> set[int]:
    return set(Subscription.objects.candidates().values_list("pk", flat=True))


def newer_run(profile: IntegrationProfile, state: RunState) -> DownloadRun:
    now = timezone.now()
    return DownloadRun.objects.create(
        profile=profile, state=state, started_by="command", started_at=now, finished_at=now, lease_until=now
    )


def test_who_is_inactive_by_the_new_rule_is_ready_at_once(world, lowered):
    ReclaimRule.objects.update(file_requests="automatic")
    before = ready()

    effect = apply_rule(world.profile)

    assert effect is not None
    new = RemovalCandidate.objects.open().exclude(subscription__in=before)
    assert ready() == inactive()
    assert effect.proposed == new.count() > 0
    evidence = new.first().evidence
    assert (evidence["run"], evidence["terms"]["threshold"], evidence["terms"]["version"]) == (lowered.pk, 20, 2)
    assert not ReclaimRequest.objects.exists(), "the next download files the request"
    assert evaluation.profiles_to_evaluate() == []
    world.download()
    assert ready() == inactive()
    assert set(ReclaimRequest.objects.values_list("requested_by", flat=True)) == {None}


@pytest.mark.parametrize(
    ("doubt", "sentence", "newer"),
    [
        (
            lambda run: IntegrationProfile.objects.update(activity_doubted_at=timezone.now()),
            "The activity dates of the newest download are in doubt.",
            True,
        ),
        (lambda run: newer_run(run.profile, RunState.QUARANTINED), "is quarantined.", True),
        (
            lambda run: (newer_run(run.profile, RunState.QUARANTINED), newer_run(run.profile, RunState.RUNNING)),
            "is quarantined.",
            True,
        ),
        (
            lambda run: DownloadRun.objects.update(started_at=timezone.now() - timedelta(hours=27)),
            "more than 26 hours old",
            True,
        ),
        (lambda run: DownloadRun.objects.update(state=RunState.EVALUATING), "proposes them at its end", False),
        (lambda run: DownloadRun.objects.update(state=RunState.FAILED), "No download is complete yet.", True),
        (lambda run: IntegrationProfile.objects.update(state=ProfileState.PAUSED), "The profile is paused.", False),
    ],
    ids=["dates in doubt", "quarantined", "quarantined and running", "old", "evaluating", "none", "paused"],
)
def test_nobody_is_proposed_from_facts_in_doubt(world, lowered, doubt, sentence, newer):
    before = ready()
    doubt(lowered)

    effect = apply_rule(world.profile)

    facts = facts_to_propose(IntegrationProfile.objects.get())
    assert effect is not None and effect.proposed == 0
    assert ready() == before < inactive()
    assert sentence in facts.why_not
    assert facts.newer is newer


def test_what_becomes_doubtful_meanwhile_ends_it(world, lowered, monkeypatch):
    """The batches that are committed stay: their facts were not in doubt. No other candidate opens."""
    monkeypatch.setattr(propose, "BATCH", 2)
    opened, before = [], ready()

    def open_and_doubt(*arguments, **options):
        opened.append(open_one(*arguments, **options))
        newer_run(world.profile, RunState.QUARANTINED)
        return opened[-1]

    open_one = propose._open
    monkeypatch.setattr(propose, "_open", open_and_doubt)

    effect = apply_rule(world.profile)

    assert effect is not None
    assert len(opened) == 1
    assert len(ready() - before) == 2 < len(inactive() - before)


def test_a_part_opens_some_and_the_next_one_the_others(world, lowered, monkeypatch):
    monkeypatch.setattr(propose, "BATCH", 2)
    before, parts = ready(), 0
    monkeypatch.setattr(turns, "time", SimpleNamespace(monotonic=iter(range(1000)).__next__))
    while apply_rule(world.profile, turn=Turn(8)) is None:
        assert evaluation.profiles_to_evaluate() == [world.profile.pk]
        parts += 1
        assert parts < 50
    assert parts > 1
    assert ready() == inactive() > before
    assert RemovalCandidate.objects.open().count() == len(ready()), "nobody has two"


def test_a_quarantined_download_before_the_complete_one_is_no_doubt(world, lowered):
    newer_run(world.profile, RunState.QUARANTINED)
    complete = newer_run(world.profile, RunState.COMPLETE)

    facts = facts_to_propose(IntegrationProfile.objects.get())

    assert (facts.run, facts.why_not) == (complete, "")


def test_a_profile_that_is_not_published_proposes_nobody(world, lowered):
    before = ready()
    IntegrationProfile.objects.update(state=ProfileState.DRAFT)
    effect = apply_rule(world.profile)
    assert effect is not None and effect.proposed == 0
    assert ready() == before < inactive()
