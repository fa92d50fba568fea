"""The keys of the audit and of the approvals are replaced. Somebody has the former ones, and the database."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from licensehub.audit.actions import Action
from licensehub.audit.chain.offline_verifier import canonical, text_digest
from licensehub.audit.chain.signed import NotSigned, newest_signed
from licensehub.audit.models import AuditEvent, ChainHead
from licensehub.audit.triggers import create, drop
from subscriptions.accounts.rights import able
from subscriptions.accounts.signed_rights import is_granted
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.evidence.rows.people import verify_people
from subscriptions.models import Reclaim, RequestedRemoval
from subscriptions.reclaims.engine import reclaim_due
from tests.attacks.audit.forgery import hash_of
from tests.support.attacks import attack
from tests.support.audit_chain import verify_chain
from tests.support.fixtures import World, person

pytestmark = pytest.mark.usefixtures("real_rights")
NEW = "a-new-key-of-the-{}-that-nobody-has-seen-before"


def rotate(settings) -> str:
    """Replace both keys as docs/configuration.md says. Returns the former key of the audit."""
    former = settings.AUDIT_KEY
    last = ChainHead.objects.get().sequence
    settings.AUDIT_KEY_FALLBACKS = [f"{former}@{last}", *settings.AUDIT_KEY_FALLBACKS]
    settings.APPROVAL_KEY_FALLBACKS = [settings.APPROVAL_KEY, *settings.APPROVAL_KEY_FALLBACKS]
    number = len(settings.AUDIT_KEY_FALLBACKS)
    settings.AUDIT_KEY, settings.APPROVAL_KEY = NEW.format(f"audit-{number}"), NEW.format(f"approval-{number}")
    return former


def changed_rows() -> list[str]:
    return [finding.sentence for finding in verify_people()]


def test_what_was_approved_before_a_rotation_is_sent_after_it(world: World, alice, bob, settings):
    world.first_download()
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    waiting = request_reclaim(world.candidates(1), actor=alice)
    rotate(settings)
    rotate(settings)
    reclaim_due(world.profile)
    assert len(world.deactivated_by_us()) == 2 and not Reclaim.objects.filter(state="tampered").exists()
    # Somebody whose right is as old as the former key decides on a request that is as old.
    decide.approve(waiting, actor=bob)
    reclaim_due(world.profile)
    assert len(world.deactivated_by_us()) == 3
    assert verify_chain().findings == [] and changed_rows() == []
    # Control: without the former keys, nothing of it is believed.
    settings.AUDIT_KEY_FALLBACKS, settings.APPROVAL_KEY_FALLBACKS = [], []
    assert verify_chain().findings and changed_rows() and not is_granted(bob)


def test_nobody_writes_a_new_event_with_a_former_key(db, bob, settings):
    stolen = rotate(settings)
    mallory = person("mallory", None)
    mallory.groups.set([Group.objects.get(name="Approver")])
    assert able().filter(pk=mallory.pk).exists() and is_granted(bob)
    head = ChainHead.objects.get()
    row = AuditEvent.objects.order_by("sequence").values().last() | {
        "sequence": head.sequence + 1,
        "previous_hash": head.hash,
        "action": Action.RIGHTS_TOOK_EFFECT.value,
        "at": datetime.now(UTC),
        "target_id": mallory.pk,
        "data": {"kind": "grant"},
    }
    row["text_digest"] = text_digest(row["salt"], row["target_label"], canonical(row["data"]))
    row["hash"] = hash_of(row)
    row["hmac"] = hmac.digest(stolen.encode(), row["hash"].encode(), "sha256").hex()
    AuditEvent.objects.create(**row)
    ChainHead.objects.update(sequence=row["sequence"], hash=row["hash"])
    assert not is_granted(mallory)
    with pytest.raises(NotSigned):
        newest_signed([AuditEvent.objects.get(pk=row["sequence"])])
    assert [finding.first for finding in verify_chain().findings] == [row["sequence"]]
    # Control: a former key without its last number is believed.
    settings.AUDIT_KEY_FALLBACKS = [stolen]
    assert is_granted(mallory) and verify_chain().findings == []


def test_a_signature_that_is_no_text_of_ours_is_a_finding_and_no_error(world: World, alice, bob):
    world.first_download()
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    attack("UPDATE subscriptions_reclaim SET signature = 'ü'")
    drop(connection)
    attack("UPDATE audit_auditevent SET hmac = 'ü' WHERE action = 'download.completed'")
    create(connection)
    assert len(verify_chain().findings) == 1 and len(changed_rows()) == 1
    reclaim_due(world.profile)
    assert not world.deactivated_by_us() and RequestedRemoval.objects.count() == 1
    assert Reclaim.objects.get().state == "tampered"
