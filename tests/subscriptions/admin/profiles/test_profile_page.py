"""The page of a profile: what it counts apart, and a vendor that does not answer."""

from __future__ import annotations

from dataclasses import asdict

from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from integrations.connectors.miro.context import developer_team
from integrations.models import IntegrationProfile
from integrations.tasks import validate_nightly
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


def test_a_connection_without_a_usable_answer_says_so_in_the_language_of_the_reader(world, carol, as_user):
    address = reverse("admin:integrations_integrationprofile_change", args=[world.profile.pk])
    assert "No usable answer" not in text_of(as_user(carol).get(address))
    world.miro.fault("other_json", times=-1, match={"path": "/scim/"})
    validate_nightly()
    shown = text_of(as_user(carol).get(address))
    assert shown.count("No usable answer since") == 1
    assert "Deactivation, Same organization." in shown
    german = text_of(as_user(carol).get(address, headers={"accept-language": "de"}))
    assert german.count("Keine brauchbare Antwort seit") == 1
    assert "Deaktivierung, Dieselbe Organisation." in german


def test_the_steps_of_a_finding_are_in_the_language_of_the_reader(world, carol, as_user):
    found = developer_team("Team of developers")
    IntegrationProfile.objects.update(findings=[asdict(found)], validated_at=timezone.now())
    address = reverse("admin:integrations_integrationprofile_change", args=[world.profile.pk])
    step = "choose Connect to Miro again."
    assert step in text_of(as_user(carol).get(address))
    german = text_of(as_user(carol).get(address, headers={"accept-language": "de"}))
    assert step not in german and "Wählen Sie hier" in german
