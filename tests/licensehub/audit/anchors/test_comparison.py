"""A copy of the anchors that was cut, replaced or forged is found by the others; and the findings of an admin."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from licensehub.audit.anchors.anchor import Anchor
from licensehub.audit.anchors.comparison import compare_anchors
from licensehub.audit.anchors.keys import current_keys, new_keys
from licensehub.audit.anchors.write import send_anchors, write_anchor
from licensehub.audit.findings import Problem, audit_findings
from licensehub.audit.models import AuditEvent, Destination, StoredAnchor
from licensehub.audit.tasks import anchor_hourly, send_outside
from tests.support.anchors import act


def wrong() -> dict[str, str]:
    compare_anchors()
    return {row.name: row.wrong for row in Destination.objects.exclude(wrong="")}


def test_copies_that_agree_are_no_finding(anchoring, bucket):
    for _ in range(3):
        act()
        anchor_hourly()
    assert wrong() == {}
    assert audit_findings() == []
    assert {row.name for row in Destination.objects.exclude(compared_at=None)} == {
        "anchor.file",
        "anchor.bucket",
        "anchor.database",
    }


@pytest.mark.parametrize("how", ["cut", "emptied", "deleted", "replaced"])
def test_the_database_knows_what_the_file_has_taken(anchoring, how):
    for _ in range(3):
        anchoring.anchor()
    lines = anchoring.file.read_text().splitlines(keepends=True)
    if how == "deleted":
        anchoring.file.unlink()
    else:
        anchoring.file.write_text({"cut": "".join(lines[:-1]), "emptied": "", "replaced": lines[0] * 3}[how])
    assert wrong() == {"anchor.file": "cut"}
    (finding,) = audit_findings()
    assert (finding.problem, finding.destination) == (Problem.CUT, "anchor.file")
    anchoring.file.write_text("".join(lines))
    assert wrong() == {}


def test_the_bucket_knows_what_file_and_database_have_lost(anchoring, bucket):
    """Somebody with the database and the disk removes the last anchor from both."""
    for _ in range(3):
        anchoring.anchor()
    lines = anchoring.file.read_text().splitlines(keepends=True)
    anchoring.file.write_text("".join(lines[:-1]))
    StoredAnchor.objects.order_by("-pk")[0].delete()
    assert wrong() == {"anchor.file": "cut"}
    bucket.forbid_reading = True
    assert wrong() == {}, "the control: without the bucket nobody knows"


def test_a_wrong_signature_is_found_in_every_copy(anchoring, bucket):
    anchor = anchoring.anchor()
    forged = Anchor.signed(
        new_keys(), sequence=anchor.sequence, hash=anchor.hash, at=anchor.at, count=anchor.count, instance=""
    )
    with anchoring.file.open("a") as file:
        file.write(forged.text() + "\n")
    (key,) = bucket.objects
    bucket.objects[key].body = forged.text().encode()
    StoredAnchor.objects.update(signature=forged.signature)
    assert wrong() == {"anchor.file": "forged", "anchor.bucket": "forged", "anchor.database": "forged"}
    assert {finding.problem for finding in audit_findings()} == {Problem.FORGED}
    with anchoring.file.open("w") as file:
        file.write("not JSON\n")
    assert wrong()["anchor.file"] == "forged"


def test_an_anchor_of_another_history_is_found(anchoring):
    """The tail was cut, and the chain goes on from an earlier event."""
    act(2)
    anchoring.anchor()
    keys = current_keys()
    past = Anchor.signed(
        keys, sequence=AuditEvent.objects.count(), hash="f" * 64, at=timezone.now(), count=3, instance=""
    )
    with anchoring.file.open("a") as file:
        file.write(past.text() + "\n")
    assert wrong() == {"anchor.file": "other_history"}


def test_what_an_admin_sees_of_missed_anchors(anchoring, settings, receiver, monkeypatch):
    old = timezone.now() - timedelta(hours=3)
    with monkeypatch.context() as earlier:
        earlier.setattr("django.utils.timezone.now", lambda: old)
        act()
    (finding,) = audit_findings()
    assert (finding.problem, finding.since) == (Problem.MISSED, old)
    with monkeypatch.context() as earlier:
        earlier.setattr("django.utils.timezone.now", lambda: old)
        write_anchor()
    (finding,) = audit_findings()
    assert (finding.problem, finding.destination, finding.since) == (Problem.NOT_TAKEN, "anchor.file", old)
    send_anchors()
    assert audit_findings() == []

    receiver.replies[0].status = 503
    settings.ANCHOR_HTTPS_URL = receiver.url
    send_outside()
    (finding,) = audit_findings()
    assert (finding.problem, finding.destination) == (Problem.NOT_TAKEN, "anchor.https")
    assert finding.detail == "The answer was HTTP 503."
    for keys in ("", "nonsense", "public:" + new_keys().words()[0][8:]):
        settings.ANCHOR_KEYS = keys
        assert Problem.NO_KEY in {one.problem for one in audit_findings()}
