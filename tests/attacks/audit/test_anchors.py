"""Somebody who can write every row of the database, and even has the keys of the audit, cannot take back an anchor."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from licensehub.audit.actions import Action
from licensehub.audit.anchors.comparison import compare_anchors
from licensehub.audit.anchors.write import send_anchors
from licensehub.audit.findings import Problem, audit_findings
from licensehub.audit.models import AuditEvent, ChainHead, Destination, StoredAnchor
from licensehub.audit.tasks import anchor_hourly
from licensehub.audit.triggers import create, drop
from tests.support.anchors import act

CUT = 6


def problems() -> dict[str, Problem]:
    compare_anchors()
    return {one.destination: one.problem for one in audit_findings()}


def cut_tail_and_all_that_the_database_knows_of_it() -> None:
    """The events, the head, the stored anchors and the positions: as if they had never been."""
    last = AuditEvent.objects.count() - CUT
    drop(connection)
    AuditEvent.objects.filter(sequence__gt=last).delete()
    create(connection)
    ChainHead.objects.update(sequence=last, hash=AuditEvent.objects.get(sequence=last).hash)
    StoredAnchor.objects.all().delete()
    Destination.objects.all().delete()


@pytest.fixture
def approved(real_transactions, anchoring):
    """An approval, which is anchored at once, and an hour of other events."""
    act(9)
    act(action=Action.REQUEST_APPROVED)
    act(2)
    anchor_hourly()
    assert problems() == {}
    return anchoring


def test_a_cut_tail_contradicts_the_anchors_even_when_the_chain_is_grown_again(approved):
    """With AUDIT_KEY in hand: all new events are signed, and the chain is longer than before."""
    before = approved.in_file()
    cut_tail_and_all_that_the_database_knows_of_it()
    act(CUT + 10)
    anchor_hourly()
    assert AuditEvent.objects.count() > before[-1].sequence
    assert approved.in_file()[: len(before)] == before, "nothing from inside replaces a line"
    assert problems() == {"anchor.file": Problem.OTHER_HISTORY}


def test_the_control_without_the_file_nobody_notices(approved):
    cut_tail_and_all_that_the_database_knows_of_it()
    approved.file.unlink()
    act(CUT + 10)
    anchor_hourly()
    assert problems() == {}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"position": 10**9, "mark": ""}, Problem.CUT),
        ({"next_try_at": timezone.now() + timedelta(days=9999)}, Problem.NOT_TAKEN),
        ({"lease_until": timezone.now() + timedelta(days=9999)}, Problem.NOT_TAKEN),
    ],
)
def test_an_anchor_that_the_database_keeps_back_is_a_finding(approved, monkeypatch, values, expected):
    Destination.objects.filter(name="anchor.file").update(**values)
    old = timezone.now() - timedelta(hours=3)
    with monkeypatch.context() as earlier:
        earlier.setattr("django.utils.timezone.now", lambda: old)
        act(action=Action.REQUEST_APPROVED)
    send_anchors()
    assert problems() == {"anchor.file": expected}


def test_a_forged_anchor_in_the_database_hides_no_missed_one(approved, monkeypatch):
    old = timezone.now() - timedelta(hours=3)
    with monkeypatch.context() as earlier:
        earlier.setattr("django.utils.timezone.now", lambda: old)
        act()
    newest = StoredAnchor.objects.order_by("-pk")[0]
    newest.pk, newest.sequence = None, 10**6
    newest.save()
    assert {Problem.MISSED, Problem.FORGED} <= {one.problem for one in audit_findings()} | set(problems().values())
    send_anchors()
    assert max(anchor.sequence for anchor in approved.in_file()) < 10**6, "and it is sent nowhere"
