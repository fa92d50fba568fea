"""Somebody with the database ends, changes or deletes the protection of a person who is approved already."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from licensehub.audit.chain.signed import NotSigned
from licensehub.audit.models import AuditEvent
from licensehub.audit.triggers import create, drop
from licensehub.database.roles import TABLES
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Protection, Reclaim, Subscription
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reclaims.signed.protections import hidden_protection
from subscriptions.rules.binding import bind_protections
from subscriptions.rules.protections import ProtectionInput, create_protection, end_protection
from tests.support.attacks import attack
from tests.support.fixtures import World

WHY = ProtectionInput("On parental leave", "Petra Meyer, HR")


@pytest.fixture
def approved(world, alice, bob) -> World:
    """Two people are approved and wait to be sent."""
    world.first_download()
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    return world


def first() -> Subscription:
    return Reclaim.objects.order_by("pk")[0].subscription


ROW = "UPDATE subscriptions_protection SET {}"
ATTACKS: dict[str, Callable[[], object]] = {
    "ended": lambda: attack(ROW.format("ended_at = created_at, ended_by_id = created_by_id")),
    "run out": lambda: attack(ROW.format("ends_at = created_at")),
    "of somebody else": lambda: attack(ROW.format("value = 'x@x.example', external_id = ''")),
    "of another profile": lambda: attack(ROW.format("kind = 'domain', value = 'x.example'")),
    "deleted": lambda: attack("DELETE FROM subscriptions_protection"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_protection_that_only_its_row_has_lost_still_protects(name, approved, alice):
    """Control: without `refuse_hidden_protection`, both people are deactivated."""
    create_protection(approved.profile, "person", first().email, WHY, actor=alice)
    ATTACKS[name]()
    for _ in range(2):
        reclaim_due(approved.profile)
    assert first().external_id not in approved.deactivated_by_us()
    item = Reclaim.objects.get(subscription=first())
    assert item.state == "tampered" and "this person is protected, event" in item.outcome
    approved.profile.refresh_from_db()
    assert approved.profile.held_why == item.outcome


@pytest.mark.parametrize("kind", ["domain", "license", "role", "admin_role"])
def test_each_kind_of_protection_is_signed(kind, approved, alice):
    person = first()
    Subscription.objects.filter(pk=person.pk).update(admin_roles=["content_admin"])
    values = {"domain": person.email.partition("@")[2], "license": person.license, "role": person.role}
    create_protection(approved.profile, kind, values.get(kind, "content_admin"), WHY, actor=alice)
    assert hidden_protection(person.pk) is None
    attack("DELETE FROM subscriptions_protection")
    found = hidden_protection(person.pk)
    assert found is not None and found.action == "protection.created"


def test_what_licensehub_itself_ended_protects_nobody(approved, alice):
    """The control of the others: an end by a person, an end of its own, and one of another profile."""
    effect = create_protection(approved.profile, "person", first().email, WHY, actor=alice)
    end_protection(effect.made[0], actor=alice)
    ending = ProtectionInput("Until the audit", "Ann", timezone.now() + timedelta(days=1))
    create_protection(approved.profile, "person", first().email, ending, actor=alice)
    event = AuditEvent.objects.filter(action="protection.created").order_by("-sequence")[0]
    attack("DELETE FROM subscriptions_protection WHERE ended_at IS NULL")
    assert hidden_protection(first().pk) == event


def test_an_end_that_somebody_wrote_into_the_audit_ends_nothing(approved, alice):
    """The web user of the database can insert events, and cannot sign them."""
    create_protection(approved.profile, "person", first().email, WHY, actor=alice)
    newest = AuditEvent.objects.order_by("-sequence").values()[0]
    [made] = AuditEvent.objects.filter(action="protection.created")
    forged = {**newest, "sequence": newest["sequence"] + 1, "action": "protection.ended", "target_id": made.target_id}
    AuditEvent.objects.create(**{**forged, "target_type": made.target_type})
    ATTACKS["ended"]()
    with pytest.raises(NotSigned):
        hidden_protection(first().pk)
    drop(connection)
    AuditEvent.objects.filter(pk=forged["sequence"]).delete()
    create(connection)


def test_a_protection_that_got_the_id_of_its_person_is_known_by_it(approved, alice):
    person = first()
    create_protection(approved.profile, "person", "former@northwind.example", WHY, actor=alice)
    Subscription.objects.filter(pk=person.pk).update(email="former@northwind.example", normalized_email="")
    assert bind_protections(approved.profile) == 1
    Subscription.objects.filter(pk=person.pk).update(email=person.email, normalized_email=person.normalized_email)
    assert hidden_protection(person.pk) is None
    attack(ROW.format("external_id = ''"))
    found = hidden_protection(person.pk)
    assert found is not None and found.action == "protection.bound"


def test_the_runtime_roles_change_no_value_of_a_protection():
    """A worker moves those of an archived profile, which the event of the move signs."""
    web, worker = (rights.columns(Protection) for rights in TABLES["subscriptions_protection"])
    assert web == {"external_id", "ended_by_id", "ended_at", "covered", "lost_at"}
    assert worker - web == {"profile_id"}
