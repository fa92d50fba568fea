"""Somebody who can write the database cuts off the end of the audit, and forges the confirmation of an admin.

What is kept outside of the database must stay, until an admin has really confirmed that this very end was lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from integrations import sending
from licensehub.audit.actions import Action
from licensehub.audit.chain import checkpoint, signature
from licensehub.audit.chain.checkpoint import (
    Checkpoint,
    CheckpointFile,
    CheckpointKey,
    checkpoint_of_database,
    find_mismatch,
)
from licensehub.audit.chain.offline_verifier import body_digest, canonical, chain_hash, text_digest
from licensehub.audit.models import AuditEvent, ChainHead
from licensehub.audit.triggers import create, drop
from subscriptions.reclaims import backup_guard
from tests.support.anchors import act

CUT = 12


@contextmanager
def triggers_off() -> Iterator[None]:
    drop(connection)
    try:
        yield
    finally:
        create(connection)


def cut_tail() -> None:
    """Remove the last events, and set the head back."""
    with triggers_off():
        AuditEvent.objects.filter(sequence__gt=AuditEvent.objects.count() - CUT).delete()
    last = AuditEvent.objects.get(sequence=AuditEvent.objects.count())
    ChainHead.objects.update(sequence=last.sequence, hash=last.hash)


def forge(event: AuditEvent, lost: Checkpoint, at: datetime) -> None:
    """Put a release at the end of the chain that names the lost checkpoint. All but the signature is right."""
    head = ChainHead.objects.get()
    event.sequence, event.at, event.action = head.sequence + 1, at, Action.SENDING_RELEASED.value
    event.data = {"checked": "Looked at it.", "renew": False, "set_aside": [lost.as_data()]}
    event.previous_hash, event.salt = head.hash, "0" * 32
    event.text_digest = text_digest(event.salt, event.target_label, canonical(event.data))
    about = (event.actor_id, event.actor_name, event.target_type, event.target_id, event.text_digest)
    body = body_digest(event.sequence, event.at.isoformat(), event.action, *about, str(event.correlation))
    event.hash = chain_hash(head.hash, body)
    AuditEvent.objects.bulk_create([event])
    ChainHead.objects.update(sequence=event.sequence, hash=event.hash)


def a_release() -> AuditEvent:
    """A genuine release of an earlier day, whose columns a forger can copy."""
    sending.hold("It looks like a restored backup.")
    sending.release(actor=None, checked="Looked at everything.")
    return AuditEvent.objects.get(action=Action.SENDING_RELEASED)


def kept() -> list[Checkpoint | None]:
    return [location.read() for location in checkpoint.locations()]


@pytest.fixture
def lost(real_transactions, head_file, valkey, settings) -> Checkpoint:
    """The end of the chain, which is kept in both locations, before it is cut off."""
    act(5)
    a_release()
    for _ in range(CUT):
        act()
    end = checkpoint_of_database()
    assert kept() == [end, end]
    return end


FORGERIES = {
    "a row that names it": {"actor_id": 1, "actor_name": "carol", "hmac": "f" * 64},
    "a copied signature": {"actor_id": 1, "actor_name": "carol"},
    "by LicenseHub itself": {"actor_id": None, "actor_name": "LicenseHub", "hmac": ""},
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_release_replaces_nothing_outside(lost, forgery):
    event = AuditEvent.objects.get(action=Action.SENDING_RELEASED)
    cut_tail()
    for name, value in FORGERIES[forgery].items():
        setattr(event, name, value)
    event.correlation = uuid.uuid4()
    forge(event, lost, timezone.now() + timedelta(hours=1))
    for _ in range(CUT + 10):
        act()
    assert checkpoint_of_database().sequence > lost.sequence, "it has grown past what is kept"
    assert kept() == [lost, lost]
    assert find_mismatch().kept == lost
    assert backup_guard.is_held()
    assert kept() == [lost, lost], "the event of the hold hides nothing either"


def test_a_genuine_release_of_an_earlier_loss_is_no_release_of_this_one(lost):
    """The forger moves a genuine one to a later date, or to the end of the chain."""
    cut_tail()
    act()
    with triggers_off():
        AuditEvent.objects.filter(action=Action.SENDING_RELEASED).update(at=timezone.now() + timedelta(hours=1))
    act()
    assert kept() == [lost, lost]
    genuine = AuditEvent.objects.get(action=Action.SENDING_RELEASED)
    genuine.sequence = AuditEvent.objects.count() + 1
    AuditEvent.objects.bulk_create([genuine])
    assert find_mismatch().kept == lost


def test_a_release_without_the_events_before_it_counts_for_nothing(real_transactions, head_file, broker_away):
    """Signed, and naming what is lost, but not at its place: another chain comes before it."""
    act(3)
    lost = Checkpoint(9000, "f" * 64, timezone.now())
    CheckpointFile(head_file).keep(lost, instead_of=None)
    release = a_release()
    assert kept_in(head_file) == checkpoint_of_database(), "the admin has really confirmed it"
    CheckpointFile(head_file).keep(lost, instead_of=None)
    with triggers_off():
        AuditEvent.objects.filter(sequence=release.sequence - 1).delete()
    assert find_mismatch().kept == lost


def kept_in(path) -> Checkpoint | None:
    return CheckpointFile(path).read()


def test_a_real_admin_sets_aside_what_is_really_lost(lost):
    cut_tail()
    act()
    assert backup_guard.is_held()
    sending.release(actor=None, checked="Looked at everything.")
    newest = AuditEvent.objects.filter(action=Action.SENDING_RELEASED).first()
    assert newest.data["set_aside"] == [lost.as_data()], "the auditor sees which end was given up"
    assert kept() == [checkpoint_of_database()] * 2
    assert not backup_guard.is_held()


def test_the_file_of_another_host_is_set_aside_by_what_that_host_has_reported(
    real_transactions, head_file, tmp_path, settings, broker_away
):
    """The admin's host does not see the file of the worker that holds sending."""
    act(3)
    here, there = head_file, tmp_path / "there.json"
    lost = Checkpoint(9000, "f" * 64, timezone.now())
    settings.AUDIT_HEAD_FILE = there
    CheckpointFile(there).keep(lost, instead_of=None)
    assert backup_guard.is_held()
    settings.AUDIT_HEAD_FILE = here
    sending.release(actor=None, checked="Looked at everything.")
    settings.AUDIT_HEAD_FILE = there
    assert find_mismatch() is None
    act()
    assert kept_in(there) == checkpoint_of_database()


def test_the_control_without_the_signature_the_forgery_rewrites_both(lost, monkeypatch, settings):
    event = AuditEvent.objects.get(action=Action.SENDING_RELEASED)
    cut_tail()
    event.hmac = "f" * 64
    forge(event, lost, timezone.now() + timedelta(hours=1))
    monkeypatch.setattr(checkpoint, "is_believed", lambda event: True)
    monkeypatch.setattr(signature, "is_signed", lambda event: True)
    act()
    assert CheckpointKey(settings.REDIS_URL).read() == checkpoint_of_database()
    assert kept()[0] == checkpoint_of_database()
