"""*Verify history* against somebody who has the database, its files, and even the key of the audit.

The control is what it was before: a look at the chain alone, which says that all is well.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils.html import strip_tags

from integrations import sending
from licensehub.audit.actions import Action
from licensehub.audit.anchors.anchor_file import AnchorFile
from licensehub.audit.anchors.keys import new_keys
from licensehub.audit.anchors.write import write_anchor
from licensehub.audit.chain import checkpoint
from licensehub.audit.chain.checkpoint import checkpoint_of_database
from licensehub.audit.log import record
from licensehub.audit.models import StoredAnchor
from licensehub.audit.triggers import drop
from tests.attacks.audit.forgery import Forged, Row, read, regrow, write
from tests.support.audit_chain import verify_chain

VERIFY = "/admin/audit/auditevent/verify/"


def act(times: int) -> None:
    for number in range(times):
        with transaction.atomic():
            record(Action.PROFILE_CHANGED, actor=None, target=sending.control(), data={"n": number})


@pytest.fixture
def anchored(real_transactions, head_file, settings, sign_in, tmp_path):
    """Twelve events; an anchor knows the first eight. The triggers are off. Returns an auditor's client."""
    settings.ANCHOR_KEYS = " ".join(new_keys().words())
    settings.ANCHOR_FILE = tmp_path / "anchors.jsonl"
    act(8)
    AnchorFile().take(write_anchor())
    act(4)
    drop(connection)
    yield sign_in("Auditor")
    from licensehub.audit.triggers import create

    create(connection)


def replace(rows: list[Row]) -> None:
    """The attacker replaces rows and head, and the next act renews what is kept outside of the database."""
    head = (rows[-1]["sequence"], rows[-1]["hash"]) if rows else (0, "0" * 64)
    write(Forged(rows, head, frozenset(), 1, 1, ""))
    for location in checkpoint.locations():
        # The broker runs only if a test before has started it.
        with contextlib.suppress(checkpoint.LocationUnavailable):
            location.keep(checkpoint_of_database(), instead_of=location.read())
    assert verify_chain().findings == [], "the control: the chain alone fits"


def verified(client) -> str:
    return " ".join(strip_tags(client.post(VERIFY, follow=True).content.decode()).split())


def test_a_forged_release_with_a_later_date(anchored):
    """The tail is cut, and a release of tomorrow stands at the end, signed with the right key."""
    rows = read()[:6]
    release = {**rows[-1], "action": Action.SENDING_RELEASED.value, "at": datetime.now(UTC) + timedelta(days=1)}
    rows.append({**release, "data": {"checked": "All is well.", "renew": False, "set_aside": []}})
    regrow(rows, 6, settings.AUDIT_KEY)
    replace(rows)
    act(1)
    assert checkpoint.find_mismatch() is None, "the files fit again"
    page = verified(anchored)
    assert "The time is in the future: #7." in page and "The time runs backwards: #8" in page
    assert "Nothing was altered" not in page and "No event is proved" in page


@pytest.mark.parametrize("attack", ["cut", "regrown", "wiped", "resealed"])
def test_a_history_that_was_written_again(anchored, attack):
    rows = read()
    if attack == "cut":
        rows = rows[:5]
    elif attack == "wiped":
        rows = []
    else:
        rows[4]["data"] = {"comment": "Approved."}
        regrow(rows, 4, settings.AUDIT_KEY)
        if attack == "resealed":
            # The anchors of the database go as well. The file of the anchors is outside.
            StoredAnchor.objects.all().delete()
    replace(rows)
    page = verified(anchored)
    expected = {"cut": "The end is missing: #6–#8.", "wiped": "The end is missing: #1–#8."}
    assert expected.get(attack, "Written again: #1–#8. Another hash is known from") in page
    assert "No event is proved" in page


def test_what_is_newer_than_the_last_anchor_is_only_plausible(anchored):
    """Said, instead of promised: with the key and all files, the newest events can be written again."""
    rows = read()
    rows[9]["data"] = {"comment": "Approved."}
    regrow(rows, 9, settings.AUDIT_KEY)
    replace(rows)
    page = verified(anchored)
    assert "Nothing was altered" in page and "8 events proved up to" in page and "plausible since" in page
