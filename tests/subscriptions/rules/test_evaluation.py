"""Everybody is evaluated again after a rule was saved: at once, by a task where they are many, and after a kill."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from subscriptions import tasks
from subscriptions.candidates import withdraw
from subscriptions.models import ReclaimRule, RemovalCandidate, Subscription
from subscriptions.rules import evaluation, rules
from subscriptions.rules.protections import ProtectionInput, protect_people
from subscriptions.turns import Turn
from tests.support.web.pages import text_of


@pytest.fixture
def changed(world, alice):
    """The rule was saved, and the process died before anybody was evaluated."""
    world.first_download()
    assert RemovalCandidate.objects.open().count() > 3
    rules.change_rule(ReclaimRule.objects.get(), actor=alice, changed={"last_activity_threshold": 3000})
    return world


def test_an_evaluation_that_a_killed_process_left_is_due(changed, monkeypatch, client, carol):
    enqueued = []
    monkeypatch.setattr(tasks, "enqueue_task", lambda task, *ids: enqueued.append((task.name, *ids)))
    client.force_login(carol)
    page = reverse("admin:subscriptions_subscription_changelist")
    assert Subscription.objects.candidates().exists()
    assert "has changed, and everybody is being evaluated" in text_of(client.get(page))

    tasks.sweep()

    assert ("subscriptions.tasks.evaluate_again", changed.profile.pk) in enqueued
    tasks.evaluate_again(changed.profile.pk)
    assert not Subscription.objects.candidates().exists() and not RemovalCandidate.objects.open().exists()
    assert evaluation.profiles_to_evaluate() == []
    assert "being evaluated" not in text_of(client.get(page))


def test_a_change_that_decides_about_nobody_evaluates_nobody(world):
    world.first_download()
    rule = ReclaimRule.objects.get()
    rules.change_rule(rule, actor=None, changed={"batch_cap_people": rule.batch_cap_people + 1})
    assert evaluation.profiles_to_evaluate() == []
    rules.change_rule(rule, actor=None, changed={}, by_license={"full": 77})
    assert evaluation.profiles_to_evaluate() == [world.profile.pk]


def test_a_part_goes_on_where_the_one_before_stopped(changed, monkeypatch):
    monkeypatch.setattr(withdraw, "BATCH", 2)
    before = RemovalCandidate.objects.open().count()
    assert evaluation.evaluate_again(changed.profile, turn=Turn(0)) is None
    assert RemovalCandidate.objects.open().count() == before
    assert evaluation.profiles_to_evaluate() == [changed.profile.pk]
    effect = evaluation.evaluate_again(changed.profile)
    assert effect is not None and (effect.changed, effect.inactive, effect.withdrawn) == (0, 0, before)


def test_one_process_does_it_and_a_rule_saved_meanwhile_stays_due(changed, alice, monkeypatch):
    ReclaimRule.objects.update(evaluation_lease_until=timezone.now() + timedelta(minutes=1))
    assert evaluation.profiles_to_evaluate() == [] and evaluation.evaluate_again(changed.profile) is None
    ReclaimRule.objects.update(evaluation_lease_until=timezone.now())
    count, saved = evaluation.count_buckets, []

    def save_meanwhile(profile):
        saved.append(rules.change_rule(ReclaimRule.objects.get(), actor=alice, changed={"last_activity_threshold": 9}))
        return count(profile)

    monkeypatch.setattr(evaluation, "count_buckets", save_meanwhile)
    assert evaluation.evaluate_again(changed.profile) is not None
    assert evaluation.profiles_to_evaluate() == [changed.profile.pk]


def test_what_a_protection_was_killed_in_is_due(world, alice, monkeypatch, client, carol):
    """The verdicts and the candidates of its people would be the old ones until the next download."""
    world.first_download()
    row = world.candidates(1).get().subscription
    wish = ProtectionInput(reason="On parental leave", owner="Petra Meyer")

    def die(rows, terms):
        raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr("subscriptions.rules.protections.evaluate_rows", die)
        with pytest.raises(KeyboardInterrupt):
            protect_people(world.profile, [row], wish, actor=alice)
    assert evaluation.profiles_to_evaluate() == [world.profile.pk]
    client.force_login(carol)
    page = reverse("admin:subscriptions_subscription_changelist")
    assert "a protection of “Northwind” has changed, and everybody is being evaluated" in text_of(client.get(page))

    tasks.evaluate_again(world.profile.pk)
    assert not RemovalCandidate.objects.open().filter(subscription=row).exists()
    assert evaluation.profiles_to_evaluate() == []
    # What ends well is not due, and settles nothing that was due before.
    other = world.candidates(1).get().subscription
    protect_people(world.profile, [other], wish, actor=alice)
    assert evaluation.profiles_to_evaluate() == []
    evaluation.mark_due(world.profile.pk)
    protect_people(world.profile, [world.candidates(1).get().subscription], wish, actor=alice)
    assert evaluation.profiles_to_evaluate() == [world.profile.pk]
