"""An event in a stream has the fields of OCSF, nothing that the event does not have, and its row in the catalog."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from django.conf import settings as project
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import translation

from integrations import sending
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.chain.offline_verifier import canonical, text_digest
from licensehub.audit.log import record
from licensehub.audit.models import AuditEvent
from licensehub.audit.stream import events
from licensehub.audit.stream.events import as_ocsf, line_of
from subscriptions.profiles import lifecycle
from tests.support.guards.event_catalog import catalog, unknown_fields


def test_each_action_is_in_the_catalog_once_and_with_its_label():
    with translation.override("en"):
        assert {action: row.label for action, row in catalog().items()} == {
            action.value: str(action.label) for action in Action
        }
    text = (project.BASE_DIR / "docs" / "audit-events.md").read_text()
    assert len(re.findall(r"^\| `[a-z_.]+` \|", text, re.MULTILINE)) == len(Action)


def test_each_field_of_the_catalog_is_in_the_code():
    """A field that nobody writes any more must leave the page. `guards.event_catalog` holds the other way."""
    folders = ["licensehub", "integrations", "subscriptions"]
    found = subprocess.run(
        ["git", "ls-files", "--", *[f"{folder}/*.py" for folder in folders]],
        cwd=project.BASE_DIR, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    source = "\n".join((project.BASE_DIR / name).read_text() for name in found)
    words = set(re.findall(r"[\"']([a-z_0-9]+)[\"']", source)) | set(re.findall(r"\b([a-z_0-9]+)\s*[=:]", source))
    gone = {field for row in catalog().values() for field in row.fields} - words - {"*"}
    assert gone == set()


def test_a_field_that_is_not_in_the_catalog_fails_the_test_that_records_it(db, monkeypatch):
    """The control of `tests.support.guards.event_catalog`."""
    assert unknown_fields("request.approved", {"comment": "", "people": 3}) == set()
    assert unknown_fields("request.approved", {"secret": ""}) == {"secret"}
    profile = IntegrationProfile.objects.create(name="Northwind", organization_id="1", kind="miro_enterprise")
    lifecycle.rename(profile, "Renamed", actor=None)
    monkeypatch.setattr("tests.support.guards.event_catalog.unknown_fields", lambda action, data: {"name"})
    with pytest.raises(pytest.fail.Exception, match="lacks the fields"):
        lifecycle.rename(profile, "Renamed again", actor=None)


@pytest.fixture
def user(db) -> User:
    return User.objects.create(username="zoë")


def one_event(action: Action, user: User, **data) -> dict:
    with transaction.atomic():
        record(action, actor=user, target=user, data=data)
    return as_ocsf(AuditEvent.objects.order_by("-sequence")[0])


def test_the_fields_of_an_event(user):
    with transaction.atomic():
        record(Action.REQUEST_APPROVED, actor=user, target=sending.control(), data={"comment": "Grün"})
    event = AuditEvent.objects.get()
    found = json.loads(line_of(event))
    assert line_of(event).isascii() and "\n" not in line_of(event)
    assert (found["class_uid"], found["category_uid"], found["activity_id"], found["type_uid"]) == (3004, 3, 3, 300403)
    assert found["time"] == int(event.at.timestamp() * 1000)
    assert found["actor"] == {"user": {"uid": str(user.pk), "name": "zoë"}}
    assert found["entity"] == {"uid": "1", "name": "All sending", "type": "integrations.sendingcontrol"}
    assert found["comment"] == "Grün"
    assert found["message"] == "Request approved: All sending"
    assert found["metadata"]["event_code"] == "request.approved"
    assert found["metadata"]["sequence"] == 1
    more = found["unmapped"]
    assert more["data"] == {"comment": "Grün"}
    assert text_digest(more["salt"], "All sending", canonical(more["data"])) == more["text_digest"], (
        "a receiver can check it"
    )
    assert (more["hash"], more["previous_hash"]) == (event.hash, "0" * 64)
    assert as_ocsf(event) == found
    sending.stop_all(actor=None, reason="We look at it.")
    assert as_ocsf(AuditEvent.objects.order_by("-sequence")[0])["actor"] == {"app_name": "LicenseHub"}


@pytest.mark.parametrize(
    ("action", "expected", "status"),
    [
        (Action.SIGNED_IN, (3002, 1), 1),
        (Action.SIGN_IN_FAILED, (3002, 1), 2),
        (Action.SIGNED_OUT, (3002, 2), 1),
        (Action.PASSWORD_CHANGED, (3001, 3), 1),
        (Action.SIGN_IN_LOCKED, (3001, 9), 2),
        (Action.USER_CREATED, (3001, 1), 1),
        (Action.USER_CHANGED, (3001, 99), 1),
        (Action.VIEW_DELETED, (3004, 4), 1),
        (Action.RULE_CREATED, (3004, 1), 1),
        (Action.RECLAIM_FAILED, (3004, 3), 2),
    ],
)
def test_the_class_of_an_action(user, action, expected, status):
    found = one_event(action, user, address="203.0.113.9")
    assert (found["class_uid"], found["activity_id"]) == expected
    assert found["status_id"] == status
    if expected[0] == 3004:
        assert "user" not in found and "src_endpoint" not in found
    else:
        assert found["user"] == {"uid": str(user.pk), "name": "zoë"}
        assert found["src_endpoint"] == {"ip": "203.0.113.9"}
    assert ("service" in found) == (expected[0] == 3002), "OCSF asks for it in this class"


def test_an_action_of_another_version_is_sent_all_the_same(user):
    one_event(Action.USER_CHANGED, user)
    event = AuditEvent.objects.get()
    event.action = "something.newer"
    assert as_ocsf(event)["message"] == "something.newer: zoë"


def test_the_tables_name_actions_that_exist():
    tables = (events.ACTIVITIES, events.FAILURES, events.SEVERITIES)
    assert {name for table in tables for name in table} <= {action.value for action in Action}
