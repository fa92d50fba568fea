"""Each destination takes anchors from a real server on the loopback, and a failing one stops no other."""

from __future__ import annotations

import base64
import json
import re
import ssl
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection
from django.db.models import F
from django.utils import timezone

from licensehub.audit.anchors.anchor import Anchor
from licensehub.audit.anchors.bucket import Bucket
from licensehub.audit.anchors.keys import current_keys
from licensehub.audit.anchors.time_stamp import stamped_at
from licensehub.audit.anchors.write import anchors_read_back, send_anchors, this_host, write_anchor
from licensehub.audit.findings import Problem, audit_findings
from licensehub.audit.models import AuditEvent, Destination, StoredAnchor
from licensehub.audit.outside import NotTaken
from licensehub.audit.triggers import create, drop
from tests.support.anchors import act
from tests.support.servers.object_store import ObjectStore
from tests.support.servers.scripted_server import Reply, ScriptedServer
from tests.support.servers.time_stamp_authority import Authority
from tests.support.servers.webhooks import write_certificate


def test_a_mail_holds_the_anchor(anchoring, settings):
    settings.ANCHOR_MAIL_TO = ["archive@northwind.example"]
    anchor = anchoring.anchor()
    (message,) = mail.outbox
    assert message.to == ["archive@northwind.example"]
    assert str(anchor.sequence) in message.subject
    assert Anchor.from_text(message.body.strip().splitlines()[-1], where="") == anchor


def test_one_mail_a_day_and_one_in_each_case(anchoring, settings, receiver):
    settings.ANCHOR_MAIL_TO = ["archive@northwind.example"]

    def later(**passed: float) -> None:
        """So much time passes: all that is there is older now."""
        drop(connection)
        for model in (StoredAnchor, AuditEvent):
            model.objects.update(at=F("at") - timedelta(**passed))
        create(connection)
        names = ("sequence", "hash", "at", "count", "instance")
        for row in StoredAnchor.objects.exclude(signature="x"):
            signed = Anchor.signed(current_keys(), **{name: getattr(row, name) for name in names})
            StoredAnchor.objects.filter(pk=row.pk).update(signature=signed.signature)
        began = F("failing_since") - timedelta(**passed)
        for place in Destination.objects.all():
            mark = StoredAnchor.objects.filter(pk=place.position).values_list("signature", flat=True).first() or ""
            Destination.objects.filter(pk=place.pk).update(mark=mark, failing_since=began)

    def mails() -> int:
        send_anchors()
        return len(mail.outbox)

    anchoring.anchor()
    for _ in range(23):
        later(minutes=59)
        anchoring.anchor()
    assert mails() == 1 and audit_findings() == []
    later(hours=1, minutes=30)
    newest = anchoring.anchor()
    assert mails() == 2 and f'"sequence":{newest.sequence}' in mail.outbox[1].body
    # Another destination begins to refuse: one mail, however long it goes on.
    settings.ANCHOR_HTTPS_URL = f"{receiver.url}/anchors"
    receiver.replies = [Reply(500, {})]
    for _ in range(3):
        anchoring.anchor()
        send_anchors()
    assert mails() == 3
    settings.ANCHOR_HTTPS_URL = ""
    # An anchor is missed: events had waited for more than two hours.
    act()
    later(hours=2, minutes=1)
    assert write_anchor() and mails() == 4
    # A row that somebody forged, and that looks newer, holds no mail back.
    forged = StoredAnchor.objects.latest("pk")
    forged.pk, forged.at, forged.signature = None, timezone.now() + timedelta(days=900), "x"
    forged.save()
    later(hours=25)
    anchoring.anchor()
    assert mails() == 5
    later(hours=23)
    anchoring.anchor()
    assert mails() == 5 and Problem.NOT_TAKEN not in {one.problem for one in audit_findings()}
    settings.ANCHOR_MAIL_HOURS = 0
    assert mails() == 6, "each anchor"


def test_an_endpoint_gets_a_signed_body_and_no_redirect_is_followed(anchoring, settings, receiver):
    settings.ANCHOR_HTTPS_URL, settings.ANCHOR_HTTPS_TOKEN = f"{receiver.url}/anchors", "token-of-the-archive"
    anchor = anchoring.anchor()
    (seen,) = receiver.seen
    assert (seen.method, seen.path, seen.headers["Authorization"]) == (
        "POST",
        "/anchors",
        "Bearer token-of-the-archive",
    )
    assert Anchor.from_text(seen.body.decode(), where="") == anchor
    key_id, signature = re.fullmatch(
        'keyid="(.+)", alg="ed25519", signature="(.+)"', seen.headers["LicenseHub-Signature"]
    ).groups()
    current_keys().public[key_id].verify(base64.b64decode(signature), seen.body)

    receiver.replies = [Reply(302, headers={"Location": f"{receiver.url}/elsewhere"})]
    anchoring.anchor()
    assert len(receiver.seen) == 2, "the redirect was not followed"
    row = Destination.objects.get(name="anchor.https")
    assert (row.error, row.failures) == ("The answer was HTTP 302.", 1)
    assert row.next_try_at > timezone.now()

    receiver.replies = [Reply(200)]
    send_anchors()
    assert len(receiver.seen) == 2, "it waits after a failure"
    Destination.objects.update(next_try_at=timezone.now() - timedelta(seconds=1))
    settings.ANCHOR_HTTPS_URL = "http://archive.example/anchors"
    send_anchors()
    row.refresh_from_db()
    assert row.error == "The address is not https."
    assert row.failures == 2
    assert len(anchoring.in_file()) == 2, "the file took both meanwhile"


def test_a_bucket_takes_the_same_over_tls(anchoring, bucket, settings, tmp_path, allow_http):
    """botocore sends the checksum behind the body there."""
    certificate = tmp_path / "bucket.pem"
    write_certificate(certificate, "localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    store = ObjectStore(ScriptedServer(tls=context))
    allow_http(store.server.url)
    settings.ANCHOR_S3_ENDPOINT = store.server.url.replace("127.0.0.1", "localhost")
    settings.AUDIT_CA_BUNDLE = str(certificate)
    anchor = anchoring.anchor()
    [stored] = store.objects.values()
    assert anchor.text().encode() in stored.body and stored.headers["x-amz-object-lock-mode"] == "COMPLIANCE"
    store.server.stop()


def test_a_bucket_keeps_locked_objects_and_is_read_back(anchoring, bucket):
    written = [anchoring.anchor() for _ in range(5)]
    assert len(bucket.objects) == 5, "one object for each, and none is written twice"
    (name, first), *_ = bucket.objects.items()
    assert name.startswith(f"licensehub/{written[0].sequence:015d}_")
    assert first.headers["x-amz-object-lock-mode"] == "COMPLIANCE"
    assert first.headers["x-amz-object-lock-retain-until-date"] > (timezone.now() + timedelta(days=399)).isoformat()
    assert Anchor.from_text(first.body.decode(), where="") == written[0]
    bucket.objects["licensehub/notes.txt"] = first.__class__(b"no anchor", {})
    stored = list(Bucket(this_host()).read())
    assert [one.anchor.signature for one in stored] == [anchor.signature for anchor in written]
    assert all(Bucket(this_host()).is_of_this_host(one) for one in stored)
    assert not Bucket("another-host").is_of_this_host(stored[0])
    assert len(list(anchors_read_back())) == 15
    bucket.forbid_reading = True
    with pytest.raises(NotTaken, match="AccessDenied"):
        list(Bucket(this_host()).read())
    assert len(list(anchors_read_back())) == 10, "without the bucket"


def test_a_time_stamp_is_checked_and_kept_with_the_anchor(anchoring, settings, receiver, tmp_path):
    authority, stranger = Authority(), Authority()
    roots = tmp_path / "roots.pem"
    roots.write_bytes(authority.root_pem)
    settings.ANCHOR_TSA_URL, settings.ANCHOR_TSA_CA_FILE = receiver.url, str(roots)
    receiver.respond = lambda seen: Reply(raw=authority.answer(seen.body))
    anchor = anchoring.anchor()
    answer = base64.b64decode(StoredAnchor.objects.get().time_stamp)
    assert abs(stamped_at(anchor, answer) - timezone.now()) < timedelta(minutes=1)
    line = json.loads(anchoring.file.with_suffix(".time-stamps.jsonl").read_text())
    assert line == {"signature": anchor.signature, "time_stamp": base64.b64encode(answer).decode()}

    receiver.respond = lambda seen: Reply(raw=stranger.answer(seen.body))
    other = anchoring.anchor()
    row = Destination.objects.get(name="anchor.time_stamp")
    assert row.error.startswith("The time stamp is not valid")
    receiver.respond = lambda seen: Reply(raw=answer)
    Destination.objects.update(next_try_at=None)
    send_anchors()
    row.refresh_from_db()
    assert row.failures == 2, "the stamp of another anchor is refused as well"
    with pytest.raises(NotTaken):
        stamped_at(other, answer)
