"""Drift: what was changed by hand after a file of configuration was applied."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection, transaction

from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.audit.models import AuditEvent
from licensehub.audit.triggers import create, drop
from licensehub.configuration.apply import caller_of
from licensehub.configuration.document import as_yaml, dump
from licensehub.operations.doctor.checks.drift import configuration
from licensehub.operations.doctor.findings import Context, Level
from subscriptions.models import ReclaimRule
from subscriptions.profiles import lifecycle
from subscriptions.rules.protections import ProtectionInput, create_protection
from subscriptions.rules.rules import change_rule
from tests.support.attacks import attack
from tests.support.configuration import applied
from tests.support.fixtures import person


@pytest.fixture
def caller(organization, program):
    user = person("carol", "Company admin")
    user.groups.add(Group.objects.get(name="License manager"))
    role = Group.objects.create(name="Both")
    role.permissions.set([permission for group in user.groups.all() for permission in group.permissions.all()])
    user.groups.add(role)
    return caller_of(program(user, "Both").text)


def change(days: int, actor: User) -> None:
    assert change_rule(ReclaimRule.objects.get(), actor=actor, changed={"last_activity_threshold": days})


def test_before_a_file_was_applied_nothing_is_said(organization):
    found = configuration(Context())
    assert (found.level, found.value) == (Level.NONE, "no file")


def test_a_change_by_hand_is_said_until_the_file_is_applied_again(organization, caller, alice):
    """Control: without the actions of `rule` in `CHANGES`, nothing is said."""
    wanted = dump()
    wanted["profiles"]["Northwind"]["rule"]["last_activity_threshold"] = 45
    applied(wanted, caller)
    event = AuditEvent.objects.order_by("sequence").last()
    assert (event.action, event.actor_name) == ("configuration.applied", "carol")
    assert event.data == {
        "file": "x",
        "sections": ["accounts", "prices", "profiles", "rule", "schedules", "webhooks"],
        "token": caller.token.pk,
    }
    # The changes of the file itself are no drift.
    assert configuration(Context()).level == Level.OK
    change(50, alice)
    first = AuditEvent.objects.get(action="rule.changed", actor_name="alice")
    change(55, alice)
    found = configuration(Context())
    assert (found.level, found.value, found.since) == (Level.LOOK, f"#{first.sequence}", first.at)
    applied(wanted, caller)
    assert configuration(Context()).level == Level.OK and ReclaimRule.objects.get().last_activity_threshold == 45


def test_what_the_file_has_no_section_for_is_no_drift(organization, caller, alice):
    """Control: with the actions of all sections, the renamed profile is a finding."""
    found = dump()
    applied({"licensehub": 1, "accounts": found["accounts"]}, caller)
    change(50, alice)
    lifecycle.rename(organization.profile, "Northwind EU", actor=alice)
    assert configuration(Context()).level == Level.OK


def test_a_protection_by_a_person_and_acts_of_licensehub_are_no_drift(organization, caller, alice):
    applied(dump(), caller)
    wish = ProtectionInput("Contract", "Sam")
    create_protection(organization.profile, "domain", "contractor.example", wish, actor=alice)
    with transaction.atomic():
        record(Action.RULE_CHANGED, actor=None, target=ReclaimRule.objects.get())
    assert configuration(Context()).level == Level.OK


def test_a_plan_is_no_applied_file(organization, tmp_path):
    file = tmp_path / "licensehub.yaml"
    file.write_text(as_yaml(dump()))
    call_command("apply", str(file), "--plan")
    assert configuration(Context()).value == "no file"


def test_an_event_that_was_written_into_the_database_is_not_believed(organization, caller, alice):
    """Control: without `is_believed`, the invented file with no section hides the change."""
    applied(dump(), caller)
    change(50, alice)
    drop(connection)
    columns = ", ".join(
        field.column for field in AuditEvent._meta.concrete_fields if field.column not in ("sequence", "data")
    )
    attack(
        f"INSERT INTO audit_auditevent (sequence, data, {columns}) "  # noqa: S608 - names of columns
        f"SELECT 1000000, %s, {columns} FROM audit_auditevent "
        "WHERE action = 'configuration.applied'",
        '{"file": "x", "sections": []}',
    )
    create(connection)
    assert configuration(Context()).level == Level.LOOK
