"""Rows that auditors read are changed in the database: each change is found and named, by *Verify* and on the pages."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection, transaction

from integrations import sending
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.erase import erase_texts
from licensehub.audit.log import record
from licensehub.audit.models import AuditEvent
from licensehub.audit.triggers import create, drop
from licensehub.site.accounts.account_changes import facts_of
from subscriptions.approvals import closing, decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.evidence.rows.comparison import differences, verify_rows
from subscriptions.evidence.rows.findings import RowFinding
from subscriptions.evidence.rows.signed_fields import REQUESTS, RULES
from subscriptions.models import (
    Protection,
    ProtectionKind,
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    RequestedRemoval,
)
from subscriptions.profiles import lifecycle
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reclaims.restores import restore
from subscriptions.rules.protections import ProtectionInput, create_protection, end_protection
from subscriptions.rules.rules import change_rule
from tests.support.attacks import attack
from tests.support.fixtures import World

SEED, TAMPERINGS = 18, 200


@pytest.fixture
def history(real_rights, world, alice, bob, carol) -> World:
    """Requests, decisions, reclaims, a restore, protections, a changed rule, accounts: all made by LicenseHub."""
    world.first_download()
    # The fixture has set the caps past LicenseHub.
    rule = ReclaimRule.objects.get()
    values = {"batch_cap_people": 50, "batch_cap_percent": 5, "rolling_cap_percent": 10}
    ReclaimRule.objects.update(**values)
    wider = {"batch_cap_people": 100, "batch_cap_percent": 100, "rolling_cap_percent": 100}
    change_rule(rule, actor=alice, changed={**wider, "last_activity_threshold": 61}, by_license={"full": 70})
    for user in (alice, bob, carol):
        with transaction.atomic():
            record(Action.USER_CREATED, actor=None, target=user, data={"after": facts_of(user)})
    sent = request_reclaim(world.candidates(3), actor=alice, reason="True-up")
    closing.drop(sent.removals.order_by("-pk")[0], actor=bob, reason="On leave")
    decide.approve(sent, actor=bob, comment="Fine")
    reclaim_due(world.profile)
    restore(Reclaim.objects.filter(state="done")[0], actor=alice, reason="Needed again")
    reclaim_due(world.profile)
    decide.reject(request_reclaim(world.candidates(2), actor=alice, reason="More"), actor=bob, comment="Not now")
    request_reclaim(world.candidates(2), actor=alice, reason="Once more")
    kept = ProtectionInput("Works alone", "Ann")
    create_protection(world.profile, ProtectionKind.DOMAIN, "partner.example", kept, actor=alice)
    create_protection(world.profile, ProtectionKind.DOMAIN, "agency.example", kept, actor=alice)
    end_protection(Protection.objects.order_by("pk")[0], actor=alice)
    lifecycle.stop_sending(world.profile, actor=alice)
    sending.stop_all(actor=alice, reason="An audit")
    sending.allow_all(actor=alice)
    return world


@dataclass(frozen=True)
class Tampering:
    """One column of one model, and another value for a row."""

    model: Any
    column: str
    field: str
    value: Callable[[Any, random.Random], Any]


def other_user(row: Any, chance: random.Random) -> int:
    taken = {getattr(row, name, None) for name in ("requested_by_id", "decided_by_id", "created_by_id")}
    return chance.choice([pk for pk in User.objects.values_list("pk", flat=True) if pk not in taken])


def text(row: Any, chance: random.Random) -> str:
    return f"forged {chance.random()}"


def among(*values: Any) -> Callable[[Any, random.Random], Any]:
    return lambda row, chance: chance.choice(values)


MOMENT = among("2020-01-01 00:00:00+00:00", "2031-05-05 05:05:05+00:00")
COLUMNS = [
    Tampering(ReclaimRequest, "requested_by_id", "requested_by_id", other_user),
    Tampering(ReclaimRequest, "reason", "reason", text),
    Tampering(ReclaimRequest, "comment", "comment", text),
    Tampering(ReclaimRequest, "cap", "cap", among(7, 8, 9999)),
    Tampering(ReclaimRequest, "state", "state", among("expired", "canceled", "empty")),
    Tampering(ReclaimRequest, "valid_until", "valid_until", MOMENT),
    Tampering(RequestedRemoval, "evidence", "people", among('{"name": "Ann"}', "{}")),
    Tampering(RequestedRemoval, "answer", "answer", among("keep", "release")),
    Tampering(RequestedRemoval, "dropped_by_id", "dropped_by_id", among(10**9)),
    Tampering(Reclaim, "outcome", "outcome", text),
    Tampering(Reclaim, "state", "state", among("skipped", "failed", "in_doubt")),
    Tampering(Reclaim, "http_status", "http_status", among(204, 500)),
    Tampering(Reclaim, "read_back", "read_back", among("unknown", "")),
    Tampering(ReclaimRule, "last_activity_threshold", "last_activity_threshold", among(1, 30, 90)),
    Tampering(ReclaimRule, "rolling_cap_percent", "rolling_cap_percent", among(1, 99)),
    Tampering(ReclaimRule, "notify_user", "notify_user", among(True)),
    Tampering(Protection, "reason", "reason", text),
    Tampering(Protection, "owner", "owner", text),
    Tampering(Protection, "value", "value", among("forged.example")),
    Tampering(Protection, "created_by_id", "created_by_id", other_user),
    Tampering(IntegrationProfile, "name", "name", text),
    Tampering(IntegrationProfile, "sending_stopped", "sending_stopped", among(False)),
    Tampering(IntegrationProfile, "reclaim_enabled", "reclaim_enabled", among(False)),
    Tampering(User, "is_superuser", "superuser", among(True)),
    Tampering(User, "is_active", "active", among(False)),
    Tampering(User, "email", "email", text),
]


def findings() -> list[RowFinding]:
    return list(verify_rows())


def test_rows_as_licensehub_wrote_them_make_no_finding(history):
    """The control."""
    assert findings() == []


def test_each_of_many_tamperings_is_named(history):
    """A random column of a random row is changed; the finding names the model, the row and the field."""
    chance, missed = random.Random(SEED), []  # noqa: S311 - no secret
    for number in range(TAMPERINGS):
        one = COLUMNS[number % len(COLUMNS)]
        row = chance.choice(list(one.model.objects.order_by("pk")))
        value = one.value(row, chance)
        if str(getattr(row, one.column)) == str(value) or (one.field == "dropped_by_id" and row.dropped_at is None):
            continue
        save = transaction.savepoint()
        attack(f"UPDATE {one.model._meta.db_table} SET {one.column} = %s WHERE id = %s", value, row.pk)  # noqa: S608 - names of our own columns
        found = {(finding.model, finding.pk, finding.field) for finding in verify_rows()}
        subject = (one.model._meta.label_lower, row.pk, one.field)
        if one.field == "people":
            subject = (ReclaimRequest._meta.label_lower, row.request_id, one.field)
        if subject not in found:
            missed.append((one.column, row.pk, value, found))
        transaction.savepoint_rollback(save)
    assert missed == []
    assert findings() == []


def test_after_an_erasure_the_rest_of_a_row_is_still_compared(history, alice, carol):
    rejected = AuditEvent.objects.get(action="request.rejected")
    done = AuditEvent.objects.filter(action="reclaim.done").order_by("sequence")[0]
    made = AuditEvent.objects.filter(action="protection.created").order_by("sequence")[0]
    with transaction.atomic():
        erase_texts([rejected.pk, done.pk, made.pk], actor=alice, why="A person asked for it.")
    assert findings() == []
    request = "UPDATE subscriptions_reclaimrequest SET cap = 9999, decided_by_id = %s, state = 'expired' WHERE id = %s"
    attack(request, carol.pk, rejected.target_id)
    item = "UPDATE subscriptions_reclaim SET state = 'skipped', removal_id = %s, direction = 'reactivate' WHERE id = %s"
    attack(item, RequestedRemoval.objects.order_by("-pk")[0].pk, done.target_id)
    attack("UPDATE subscriptions_protection SET created_by_id = %s WHERE id = %s", carol.pk, made.target_id)
    found = {(one.model.split(".")[1], one.pk, one.field) for one in verify_rows()}
    assert {("reclaimrequest", rejected.target_id, name) for name in ("cap", "decided_by_id", "state")} <= found
    assert {("reclaim", done.target_id, name) for name in ("state", "removal_id", "direction")} <= found
    assert ("protection", made.target_id, "created_by_id") in found


def test_inserted_and_deleted_rows_and_a_role_are_named(history, carol):
    attack("DELETE FROM subscriptions_protection WHERE value = %s", "agency.example")
    columns = ", ".join(field.column for field in Protection._meta.concrete_fields if field.name != "id")
    attack(
        f"INSERT INTO subscriptions_protection (id, {columns}) SELECT 4711, {columns}"  # noqa: S608 - names of our own columns
        " FROM subscriptions_protection WHERE value = 'partner.example'"
    )
    group = Group.objects.get(name="Approver")
    attack("INSERT INTO auth_user_groups (user_id, group_id) VALUES (%s, %s)", carol.pk, group.pk)
    attack("UPDATE integrations_sendingcontrol SET stopped = %s", True)
    found = [(finding.model, finding.field, finding.shown, finding.signed) for finding in verify_rows()]
    assert ("subscriptions.protection", "row", None, "deleted") in found
    assert ("subscriptions.protection", "row", "inserted", None) in found
    assert ("auth.user", "roles", ["Approver", "Auditor"], ["Auditor"]) in found
    assert ("integrations.sendingcontrol", "stopped", True, False) in found


def test_a_changed_event_is_named_and_believed_no_more(history):
    event = AuditEvent.objects.get(action="request.rejected")
    drop(connection)
    attack("UPDATE audit_auditevent SET actor_name = 'somebody' WHERE sequence = %s", event.sequence)
    create(connection)
    found = [(finding.field, finding.pk, finding.sequence) for finding in verify_rows()]
    assert ("event", event.target_id, event.sequence) in found


def test_the_rows_of_a_page_are_compared_with_one_query(history, django_assert_num_queries):
    first = ReclaimRequest.objects.order_by("pk").first()
    attack("UPDATE subscriptions_reclaimrequest SET comment = 'Agreed' WHERE id = %s", first.pk)
    rows = list(ReclaimRequest.objects.all())
    with django_assert_num_queries(1):
        found = differences(REQUESTS, rows)
    assert {pk: [(one.field, one.shown, one.signed) for one in mine] for pk, mine in found.items()} == {
        first.pk: [("comment", "Agreed", "Fine")]
    }
    assert differences(RULES, ReclaimRule.objects.all()) == {}
