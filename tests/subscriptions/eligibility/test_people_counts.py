"""All figures about people are the same: tile, bars, trend, preview, list, export and rollup, after every act."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from subscriptions import tasks
from subscriptions.approvals import closing, decide, undo
from subscriptions.approvals.leaving import Keep
from subscriptions.approvals.request import request_reclaim
from subscriptions.eligibility.buckets import count_buckets, note_change, profiles_to_count
from subscriptions.eligibility.people_counts import current_counts
from subscriptions.eligibility.preview import preview_rule
from subscriptions.eligibility.terms import current_terms
from subscriptions.models import (
    Evaluation,
    KeptAs,
    Protection,
    Reclaim,
    ReclaimRule,
    RequestedRemoval,
    Subscription,
    Verdict,
)
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.rules import protections
from subscriptions.rules.evaluation import evaluate_again
from subscriptions.rules.rules import change_rule
from tests.support.people.organization import page
from tests.support.web.exports import rows
from tests.support.web.pages import without_html

LARGE = "subscriptions.eligibility.people_counts.COUNTED_LIVE"


def never_agrees(overview: dict[str, Any]) -> None:
    """The tile and the bar of people who were never active have the same numbers."""
    [tile] = [tile for tile in overview["tiles"] if tile.mark == "never"]
    [bar] = [bar for bar in overview["histogram"].bars if bar.key == "never"]
    reviewed = sum(part.count for part in bar.segments if part.shade.tone == "never")
    assert (tile.number, tile.text) == (str(bar.count), f"{reviewed} to review")


@pytest.fixture
def agree(world, carol, as_user, monkeypatch):
    """A function that reads each place, and returns the number of inactive people, which all of them have."""
    client = as_user(carol)
    rule_page = page("reclaimrule", "change", ReclaimRule.objects.get().pk)
    subscriptions = page("subscription", "changelist")
    export = reverse("admin:subscriptions_subscription_export", args=["csv"])

    def places(bars: dict[str, int]) -> dict[str, int]:
        overview, rule = client.get(reverse("admin:index")).context_data, client.get(rule_page).context_data
        [tile] = [tile for tile in overview["tiles"] if tile.label.startswith("Inactive")]
        found = {
            "tile": int(tile.number),
            "list of the tile": client.get(tile.link).context_data["cl"].result_count,
            "export of the overview": len(client.get(overview["export"]).getvalue().splitlines()) - 1,
            "preview": rule["verdicts"].get("candidate", 0),
        }
        for name, context in (("bars", overview), ("bars of the preview", rule)):
            drawn = context["histogram"].bars
            found[name] = sum(part.count for bar in drawn for part in bar.segments if part.shade.label == "Inactive")
            [found[f"legend of the {name}"]] = [n for one, n in context["histogram"].legend if one.label == "Inactive"]
            assert {bar.key: bar.count for bar in drawn if bar.count} == bars, name
            for shade, count in context["histogram"].legend:
                behind = client.get(subscriptions, {"seat": "held", "verdict": shade.listed}).context_data["cl"]
                assert behind.result_count == count, f"the list behind {shade.label}, {name}"
        never_agrees(overview)
        if overview["trend"]:
            found["trend"] = overview["trend"].inactive.last
        return found

    def bars_of_lists() -> dict[str, int]:
        keys = [str(days) for days in range(0, 361, 30)] + ["never"]
        shown = {key: client.get(subscriptions, {"idle": key}).context_data["cl"].result_count for key in keys}
        return {key: count for key, count in shown.items() if count}

    def check() -> int:
        people = Subscription.objects.select_related("evaluation")
        truth = sum(row.active and not row.gone_at and row.verdict == Verdict.CANDIDATE for row in people)
        bars = bars_of_lists()
        found = places(bars)
        assert set(found.values()) == {truth}, found
        exported = rows(client.get(export, {"verdict": "candidate"}))
        assert len(exported) == truth
        # Nothing but what is due is counted again, as the sweep does it.
        for _ in profiles_to_count():
            count_buckets(world.profile)
        terms, live = current_terms(world.profile.pk), current_counts(world.profile)
        with monkeypatch.context() as large:
            large.setattr(LARGE, 0)
            found = places(bars)
            assert set(found.values()) == {truth}, found
            stored = current_counts(world.profile)
        assert live.live
        assert not stored.live
        assert Counter(stored.groups) == Counter(live.groups)
        assert preview_rule(world.profile, terms).verdicts == live.verdicts
        return truth

    with without_html():
        yield check


def paused() -> Keep:
    return Keep(KeptAs.PAUSED, timezone.now() + timedelta(days=30))


def test_every_place_has_the_same_number_after_every_act(world, alice, bob, agree):
    """The acts: download, request, reclaim, restore, rejection, drop, protection, its end, and another rule."""
    world.first_download()
    at_first = agree()
    assert at_first > 8

    request = request_reclaim(world.candidates(2), actor=alice)
    assert agree() == at_first
    decide.approve(request, actor=bob)
    assert reclaim_due(world.profile).reclaimed == 2
    assert agree() == at_first - 2

    restores.restore(Reclaim.objects.earliest("pk"), actor=alice, reason="Back from leave")
    assert reclaim_due(world.profile).restored == 1
    assert agree() == at_first - 2, "who is restored cools down"

    rejected = request_reclaim(world.candidates(2), actor=alice)
    decide.reject(rejected, actor=bob, comment="Not these", keep=paused())
    assert agree() == at_first - 4
    undo.take_back_rejection(rejected, actor=bob)
    assert agree() == at_first - 2
    decide.reject(rejected, actor=bob, comment="Not these", keep=paused())
    asked = request_reclaim(world.candidates(2), actor=alice)
    dropped = RequestedRemoval.objects.filter(request=asked).earliest("pk")
    closing.drop(dropped, actor=bob, reason="On leave", keep=paused())
    after_drop = agree()
    assert after_drop == at_first - 5

    person = Subscription.objects.candidates().latest("pk")
    wish = protections.ProtectionInput("A reason", "An owner", timezone.now() + timedelta(hours=1))
    protections.protect_people(world.profile, [person], wish, actor=alice)
    assert agree() == after_drop - 1
    Protection.objects.update(ends_at=timezone.now() - timedelta(seconds=1))
    assert protections.end_run_out() == 1
    assert agree() == after_drop

    rule = ReclaimRule.objects.get()
    change_rule(rule, actor=alice, changed={"last_activity_threshold": 45, "licenses": ["full", "free"]})
    evaluate_again(world.profile)
    assert agree() != after_drop
    world.download()
    agree()


def test_newer_facts_count_before_the_verdicts_on_them(world, agree):
    """Somebody who left is not inactive any more while the verdicts of a download are being written."""
    world.first_download()
    at_first = agree()
    gone = Subscription.objects.candidates().earliest("pk")
    Subscription.objects.filter(pk=gone.pk).update(gone_at=timezone.now())
    note_change(world.profile.pk)
    assert Evaluation.objects.get(pk=gone.pk).verdict == Verdict.CANDIDATE
    assert agree() == at_first - 1


def test_a_decision_is_in_the_preview_at_once_and_in_a_large_one_after_the_next_count(world, alice, bob, monkeypatch):
    world.first_download()
    terms = replace(current_terms(world.profile.pk), threshold=59)
    before = preview_rule(world.profile, terms)
    assert not before.live
    decide.reject(request_reclaim(world.candidates(3), actor=alice), actor=bob, comment="Not these", keep=paused())

    after = preview_rule(world.profile, terms)
    with monkeypatch.context() as large:
        large.setattr(LARGE, 0)
        old = preview_rule(world.profile, terms)
        enqueued = []
        large.setattr(tasks, "enqueue_task", lambda task, *ids: enqueued.append((task.name, *ids)))
        tasks.sweep()
        assert ("subscriptions.tasks.count_people", world.profile.pk) in enqueued
        tasks.count_people(world.profile.pk)
        counted = preview_rule(world.profile, terms)

    assert after.live
    assert (old.at, old.verdicts) == (before.at, before.verdicts), "it is old, and says since when"
    assert after.verdicts == counted.verdicts
    assert before.inactive - after.inactive == after.verdicts["cooling_down"] == 3
    assert counted.at > before.at
    assert profiles_to_count() == []
