"""The page of a profile counts reclaims and restores apart."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.urls import reverse

from subscriptions.models import Reclaim, ReclaimState
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from tests.support.pages import text_of
from tests.support.restoring import REASON, reclaimed


def test_acts_of_both_directions_are_never_added(world, alice, bob, carol, as_user):
    User.objects.filter(pk=alice.pk).update(first_name="Marcus", last_name="Lindqvist")
    first, second, _ = reclaimed(world, alice, bob, 3)
    restores.restore(first, actor=alice, reason=REASON)
    assert reclaim_due(world.profile).restored == 1
    waiting = restores.restore(second, actor=alice, reason=REASON)
    client = as_user(carol)
    address = reverse("admin:integrations_integrationprofile_change", args=[world.profile.pk])

    shown = text_of(client.get(address))
    assert "3 in the last 30 days" in shown
    assert "1 restored in these days" in shown
    assert "1 restore waiting" in shown

    Reclaim.objects.filter(pk=waiting.pk).update(state=ReclaimState.IN_DOUBT)
    Reclaim.objects.filter(pk=first.pk).update(state=ReclaimState.IN_DOUBT)
    assert "1 reclaim, 1 restore" in text_of(client.get(address))
    overview = client.get(reverse("admin:index")).context
    assert "1 reclaim, 1 restore in doubt" in [item.label for item in overview["health"]]
    lines = [line["title"] for line in overview["waiting"] if "in doubt" in line["title"]]
    assert lines == ["1 reclaim in doubt", "1 restore in doubt"]
    person = client.get(reverse("admin:subscriptions_subscription_change", args=[first.subscription_id]))
    assert "asked by Marcus Lindqvist" in text_of(person)
    audit = client.get(reverse("admin:audit_auditevent_changelist"), {"q": "Lindqvist"}).context["cl"].result_list
    assert {(event.who, event.actor_name) for event in audit} == {("Marcus Lindqvist", "alice")}
