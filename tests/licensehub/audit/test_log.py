"""The audit is append-only, signed, complete, and fails closed."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.chain.offline_verifier import Kind, body_digest, canonical, chain_hash, text_digest
from licensehub.audit.chain.signature import signer
from licensehub.audit.erase import NotErasable, erase_texts
from licensehub.audit.log import NotInTransaction, Row, record, record_many, record_rows
from licensehub.audit.models import AuditEvent, ChainHead
from licensehub.audit.triggers import ERASED, KEPT, create, drop
from tests.support.audit_chain import verify_chain


@pytest.fixture
def profile(db):
    return IntegrationProfile.objects.create(name="Northwind", organization_id="1", kind="miro_enterprise")


@pytest.fixture
def five_events(profile):
    with transaction.atomic():
        record_many(Action.PROFILE_CHANGED, actor=None, targets=[(profile, {"n": n}) for n in range(5)])


def test_events_are_numbered_and_chained(five_events):
    events = list(AuditEvent.objects.order_by("sequence"))

    assert [event.sequence for event in events] == [1, 2, 3, 4, 5]
    assert events[0].previous_hash == "0" * 64
    assert [event.previous_hash for event in events[1:]] == [event.hash for event in events[:-1]]
    assert len({event.salt for event in events}) == 5 and all(len(event.salt) == 32 for event in events)
    assert len({event.correlation for event in events}) == 1
    assert verify_chain().findings == []


def test_names_are_copied(profile, alice):
    with transaction.atomic():
        record(Action.PROFILE_CHANGED, actor=alice, target=profile)
    IntegrationProfile.objects.filter(pk=profile.pk).update(name="Renamed")

    event = AuditEvent.objects.get()

    assert (event.actor_name, event.target_label) == ("alice", "Northwind")


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_auditevent SET actor_name = 'mallory'", "DELETE FROM audit_auditevent"]
)
def test_the_database_refuses_to_change_history(five_events, statement):
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)

    assert AuditEvent.objects.count() == 5


def test_postgresql_refuses_to_truncate(five_events):
    if connection.vendor != "postgresql":
        return  # SQLite has no TRUNCATE; its DELETE is refused above
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE audit_auditevent")


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE audit_auditevent SET actor_name = 'mallory' WHERE sequence = 3",
        "UPDATE audit_auditevent SET data = '{\"n\": 9}' WHERE sequence = 3",
        "DELETE FROM audit_auditevent WHERE sequence = 3",
        "DELETE FROM audit_auditevent WHERE sequence = 5",
    ],
)
def test_the_chain_shows_a_change_without_the_triggers(five_events, tamper):
    """The control: without the triggers the change succeeds, and the chain shows it."""
    drop(connection)
    try:
        with connection.cursor() as cursor:
            cursor.execute(tamper)
        assert [found.first for found in verify_chain().findings] == [5 if "= 5" in tamper else 3]
    finally:
        create(connection)


def test_an_event_of_another_history_breaks_the_chain(five_events):
    """It is signed with the key, e.g. in a used backup; the next event is linked to the former one."""
    event = AuditEvent.objects.get(sequence=3)
    event.actor_name = "mallory"
    event.hash = hash_of(event)
    event.hmac = signer()(event.hash)
    drop(connection)
    try:
        AuditEvent.objects.filter(sequence=3).update(actor_name="mallory", hash=event.hash, hmac=event.hmac)
        assert [(found.kind, found.first) for found in verify_chain().findings] == [(Kind.RESEALED, 3)]
    finally:
        create(connection)


def hash_of(event: AuditEvent) -> str:
    """By the plain words of docs/audit.md."""
    text = text_digest(event.salt, event.target_label, canonical(event.data))
    assert text == sha256((event.salt + canonical([event.target_label, event.data])).encode()).hexdigest()
    about = (event.actor_id, event.actor_name, event.target_type, event.target_id, text)
    body = body_digest(event.sequence, event.at.isoformat(), event.action, *about, str(event.correlation))
    plain = [event.sequence, event.at.isoformat(), event.action, *about, str(event.correlation)]
    assert body == sha256(canonical(plain).encode()).hexdigest()
    return chain_hash(event.previous_hash, body)


def test_nothing_is_recorded_outside_a_transaction(profile):
    """The test's own transaction does not count."""
    with pytest.raises(NotInTransaction):
        record(Action.PROFILE_CHANGED, actor=None, target=profile)


def test_an_old_hash_still_fits(settings):
    """The expected values are constants: another way to compute them would break every existing chain."""
    event = AuditEvent(
        sequence=7,
        at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        action=Action.PROFILE_CHANGED.value,
        actor_id=3,
        actor_name="zoë",
        target_type="integrations.integrationprofile",
        target_id=5,
        target_label='Ann \x7f "Müller" 😀',
        data={"z": 0.1, "a": [1, None, True], "ä": "ß\n"},
        correlation=uuid.UUID(int=9),
        salt="5a" * 16,
        previous_hash="0" * 64,
    )

    settings.AUDIT_KEY = "key-of-the-year-before"
    assert hash_of(event) == "d2f67e56111a53e526d5e31be6d862fca9699aa9e7fd12214061149d0d02d25a"
    assert signer()("0" * 64) == "f597ab01e5b4c335833807cf580d3d21fe9adaec7da7db9cc503f66c4cc419f4"


def test_only_the_text_of_an_event_can_be_erased(five_events, alice):
    """And that only once, as a whole, with an event that lists it."""
    before = {event.pk: (event.hash, event.text_digest) for event in AuditEvent.objects.all()}
    with transaction.atomic():
        assert erase_texts([2, 3, 5, 99], actor=alice, why="The person asked for it.") == 3
    with transaction.atomic():
        assert erase_texts([3], actor=alice, why="Again.") == 0
    assert (verify_chain().events, verify_chain().findings) == (6, [])
    left = AuditEvent.objects.order_by("pk").values_list("target_label", "data", "salt")
    assert [bool(salt) for *_, salt in left] == [True, False, False, True, False, True]
    assert set(map(str, left.filter(pk__in=[2, 3, 5]))) == {"('', {}, '')"}
    assert {event.pk: (event.hash, event.text_digest) for event in AuditEvent.objects.exclude(pk=6)} == before
    said = AuditEvent.objects.get(pk=6)
    assert (said.action, said.actor_name) == (Action.EVENTS_ERASED, "alice")
    assert said.data == {"sequences": [[2, 3], [5, 5]], "events": 3, "why": "The person asked for it."}
    with pytest.raises(NotErasable), transaction.atomic():
        erase_texts([6], actor=alice, why="To hide it.")
    assert {field.column for field in AuditEvent._meta.concrete_fields} == {*ERASED, *KEPT}
    erase = "UPDATE audit_auditevent SET target_label = '', data = '{}', salt = ''"
    for refused in (
        f"{erase} WHERE sequence = 6",
        f"{erase} WHERE sequence = 3",
        *(f"{erase}, {column} = '{value}' WHERE sequence = 1" for column, value in OTHER_VALUES.items()),
        "UPDATE audit_auditevent SET target_label = '', salt = '' WHERE sequence = 1",
        "UPDATE audit_auditevent SET data = '{}', salt = '' WHERE sequence = 1",
        "UPDATE audit_auditevent SET target_label = '', data = '{}' WHERE sequence = 1",
        "UPDATE audit_auditevent SET target_label = 'Ann', data = '{}', salt = '00' WHERE sequence = 2",
    ):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(refused)


# A value for each column that an erasure leaves alone, as both databases write it.
OTHER_VALUES = {
    "sequence": "77",
    "at": "2020-01-01 00:00:00",
    "action": "profile.created",
    "actor_id": "7",
    "actor_name": "mallory",
    "target_type": "auth.user",
    "target_id": "77",
    "correlation": "0" * 32,
    **dict.fromkeys(("text_digest", "previous_hash", "hash", "hmac"), "f" * 64),
}


def test_a_text_that_no_event_erased_is_missed(five_events, alice):
    """The database allows the statement; the chain shows that nobody said so. An earlier event says nothing."""
    assert set(OTHER_VALUES) == set(KEPT)
    with transaction.atomic():
        erase_texts([1], actor=alice, why="The person asked for it.")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditevent SET target_label = '', data = '{}', salt = '' WHERE sequence = 4")
    assert [(found.kind, found.first) for found in verify_chain().findings] == [(Kind.ERASED, 4)]


def test_the_written_values_are_the_signed_ones(profile, alice):
    """With every kind of value that COPY or JSON could write in another form."""
    label = 'Zoë\t\\N \x7f "Müller"\n😀'
    row = Row(
        "integrations.integrationprofile", profile.pk, label, {"why": label, "n": 2**53, "none": None, "no": False}
    )
    act = uuid.uuid4()
    with transaction.atomic():
        record_rows(Action.PROFILE_CHANGED, actor=alice, rows=[row], correlation=act)

    event = AuditEvent.objects.get()
    assert (event.target_label, event.data, event.correlation) == (label, row.data, act)
    assert (event.actor_id, event.actor_name) == (alice.pk, "alice")
    assert abs(timezone.now() - event.at).total_seconds() < 60
    assert verify_chain().findings == []


def test_an_unknown_action_is_refused(profile):
    with transaction.atomic(), pytest.raises(ValueError, match=r"profile\.exploded"):
        record("profile.exploded", actor=None, target=profile)


def test_no_action_without_its_event(profile, alice, monkeypatch):
    """The action and its event are committed together, or not at all."""
    from subscriptions.profiles import lifecycle

    monkeypatch.setattr("licensehub.audit.log.store", _disk_full)

    with pytest.raises(DatabaseError), transaction.atomic():
        lifecycle.stop_sending(profile, actor=alice)

    profile.refresh_from_db()
    assert profile.sending_stopped is False
    assert ChainHead.objects.get().sequence == 0


def _disk_full(*args, **kwargs):
    raise DatabaseError("disk full")


def test_a_moment_survives_the_database_unchanged(profile):
    data = {"when": timezone.now(), "ratio": 0.1, "ä": "ß"}
    with transaction.atomic():
        record(Action.PROFILE_CHANGED, actor=None, target=profile, data=data)

    assert verify_chain().findings == []
