"""A thousand attacks by somebody who has the database: each is found, named, and placed.

The control is the same audit without an attack, and the old check, which looked at the chain alone.
"""

from __future__ import annotations

import io
from collections import Counter
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.db import connection, transaction

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.anchors.anchor import Anchor
from licensehub.audit.anchors.keys import new_keys
from licensehub.audit.chain.checkpoint import Checkpoint, checkpoint_of_database
from licensehub.audit.chain.extract import NothingToExtract, write_extract
from licensehub.audit.chain.offline_verifier import Finding, Given, Kind, check_files
from licensehub.audit.chain.verify import verify
from licensehub.audit.erase import erase_texts
from licensehub.audit.log import record_many
from licensehub.audit.models import AuditEvent
from licensehub.audit.triggers import drop
from tests.attacks.audit.forgery import Attacker, Forged, read, regrow, write
from tests.support.audit_chain import verify_chain

ATTACKS = 1000
ANCHORED = (4, 9, 15, 20)


@pytest.fixture
def audit(db, alice, bob, head_file) -> Attacker:
    """24 events of three actors, two of them erased, with anchors and a checkpoint. The triggers are off."""
    profile = IntegrationProfile.objects.create(name="Northwind", organization_id="1", kind="miro_enterprise")
    with transaction.atomic():
        for number, actor in enumerate([None, alice, bob, alice, None, bob, alice]):
            data = [(profile, {"n": number, "place": place, "why": "Ärger"}) for place in range(3)]
            record_many(Action.PROFILE_CHANGED, actor=actor, targets=data)
        erase_texts([6, 8], actor=alice, why="A person asked for it.")
        record_many(Action.PROFILE_PAUSED, actor=bob, targets=[(profile, {}), (profile, {"until": None})])
    drop(connection)
    return Attacker(read(), ANCHORED[-1], settings.AUDIT_KEY, seed=18)


@pytest.fixture
def anchors(audit, settings, monkeypatch) -> tuple[dict[str, bytes], list[tuple[str, str]]]:
    """The public key, and the anchors as an auditor has them in mails. *Verify* reads the same."""
    keys = new_keys()
    settings.ANCHOR_KEYS = " ".join(keys.words())
    rows = AuditEvent.objects.filter(sequence__in=ANCHORED).order_by("sequence")
    made = [
        Anchor.signed(
            keys, sequence=row.sequence, hash=row.hash, at=datetime.now(UTC), count=row.sequence, instance="one"
        )
        for row in rows
    ]
    monkeypatch.setattr("licensehub.audit.chain.verify.anchors_read_back", lambda: iter(made))
    return {name: key.public_bytes_raw() for name, key in keys.public.items()}, [("mail", one.text()) for one in made]


def extract() -> list[str]:
    file = io.StringIO()
    write_extract(file)
    return file.getvalue().splitlines()


def offline(anchors) -> list[Finding]:
    """The findings of an auditor in an extract of this database."""
    keys, lines = anchors
    try:
        return check_files(Given(extract(), lines, keys, own_keys=True)).findings
    except NothingToExtract:
        return [Finding(Kind.CUT, 1, ANCHORED[-1], "There is nothing.")]


def keep(checkpoint: Checkpoint) -> None:
    settings.AUDIT_HEAD_FILE.parent.mkdir(exist_ok=True)
    settings.AUDIT_HEAD_FILE.write_text(checkpoint.as_text())


def names(found: list[Finding], attack: Forged) -> bool:
    return any(one.kind in attack.kinds and one.first <= attack.last and one.last >= attack.first for one in found)


def test_each_of_a_thousand_attacks_is_found_named_and_placed(audit, anchors):
    whole = verify()
    assert (whole.findings, whole.events, whole.proved.sequence) == ([], 24, 20)
    assert offline(anchors) == []
    missed, seen, unseen_before = [], Counter(), 0
    for number in range(ATTACKS):
        attack = audit.draw()
        with transaction.atomic():
            write(attack)
            # Who has the database has the files of this host as well, but no anchor outside.
            keep(checkpoint_of_database())
            inside, outside = verify().findings, offline(anchors)
            if number % 10 == 0:
                unseen_before += not verify_chain().findings
            transaction.set_rollback(True)
        seen[attack.what] += 1
        if not names(inside, attack) or not (attack.only_inside or names(outside, attack)):
            missed.append((number, attack.what, attack.first, attack.last, inside, outside))
    assert missed == []
    assert len(seen) > 28, "each column is edited"
    assert unseen_before > 5, "the control: without anchors and times many of every tenth are not seen"


def test_the_checkpoint_knows_what_no_anchor_knows_yet(audit, anchors):
    """Events after the last anchor are plausible only; the checkpoint still knows them."""
    keep(checkpoint_of_database())
    report = verify()
    assert (report.findings, report.proved.sequence, report.last) == ([], 20, 24)
    rows = read()
    write(Forged(rows[:22], (22, rows[21]["hash"]), frozenset(), 23, 24, "cut"))
    assert [(found.kind, found.first, found.last) for found in verify().findings] == [(Kind.CUT, 23, 24)]
    assert verify_chain().findings == [], "the control: the chain alone fits"


def test_an_anchor_that_nobody_signed_proves_nothing(audit, anchors):
    keys, lines = anchors
    forged = [(name, line.replace('"count":20', '"count":21')) for name, line in lines]
    report = check_files(Given(extract(), forged, keys, own_keys=True))
    assert [(found.kind, found.first) for found in report.findings] == [(Kind.ANCHOR, 20)]
    assert report.proved.sequence == 15
    # A forged anchor hides nothing: what the others know is still named.
    rows = read()
    rows[11]["actor_name"] = "mallory"
    regrow(rows, 11, settings.AUDIT_KEY)
    write(Forged(rows, (24, rows[-1]["hash"]), frozenset(), 12, 15, "regrow"))
    found = check_files(Given(extract(), [*forged, forged[-1]], keys, own_keys=True)).findings
    assert (Kind.RESEALED, 10, 15) in [(one.kind, one.first, one.last) for one in found]


def test_values_of_other_kinds_are_a_finding(audit, anchors):
    """A row that cannot even be read stops no verification. SQLite takes any value in any column."""
    attacks = [("data", "'[1]'"), ("data", "'null'")]
    if connection.vendor == "postgresql":
        attacks += [("at", "'infinity'"), ("data", f"'{'[' * 3000}{']' * 3000}'")]
    else:
        attacks += [(name, "'garbage'") for name in ("at", "correlation", "actor_id", "target_id")]
        attacks += [(name, "x'ff00'") for name in ("at", "actor_name", "hash", "hmac")]
    for column, value in attacks:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"UPDATE audit_auditevent SET {column} = {value} WHERE sequence = 7")  # noqa: S608 - names of our own columns
            found = verify().findings
            assert any(one.first <= 7 <= one.last for one in found), column
            transaction.set_rollback(True)
