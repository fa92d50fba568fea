"""The command that verifies the audit: its exit code, its words, and its values for a program."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from integrations import sending
from licensehub.audit.actions import Action
from licensehub.audit.anchors.keys import new_keys
from licensehub.audit.anchors.write import write_anchor
from licensehub.audit.log import record
from licensehub.audit.models import AuditEvent
from licensehub.audit.triggers import drop


def act(times: int) -> None:
    with transaction.atomic():
        for number in range(times):
            record(Action.PROFILE_CHANGED, actor=None, target=sending.control(), data={"n": number})


def verified(*options: str) -> tuple[int, str]:
    written = io.StringIO()
    try:
        call_command("verify_audit", *options, stdout=written)
    except SystemExit as ended:
        return int(ended.code or 0), written.getvalue()
    return 0, written.getvalue()


def test_the_command(db, settings, tmp_path):
    settings.ANCHOR_FILE = tmp_path / "anchors.jsonl"
    settings.ANCHOR_KEYS = " ".join(new_keys().words())
    act(3)
    write_anchor()
    act(2)
    code, text = verified()
    assert code == 0 and "Proved up to #3 by the anchor of" in text and "Only plausible from #4 to #5" in text
    drop(connection)
    AuditEvent.objects.filter(sequence=2).update(actor_name="mallory")
    code, text = verified("--json")
    found = json.loads(text)
    assert (code, found["proved_to"], found["events"], found["anchors"]) == (1, None, 5, 1)
    assert found["findings"] == [
        {"kind": "edited", "first": 2, "last": 2, "sentence": "Changed: #2. The content does not fit the hash."}
    ]


@pytest.mark.parametrize("keys", ["", "private:short"])
def test_without_a_usable_key_nothing_is_proved(db, settings, keys, tmp_path):
    settings.ANCHOR_FILE = tmp_path / "anchors.jsonl"
    settings.ANCHOR_KEYS = keys
    act(2)
    code, text = verified()
    assert code == 0 and "Only plausible from #1 to #2" in text and "Proved" not in text
