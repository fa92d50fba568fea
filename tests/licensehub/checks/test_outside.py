"""A wrong key or destination of anchors and streams is reported with an id and a hint."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.checks import run_checks
from django.utils import timezone

from licensehub.audit.anchors.keys import new_keys
from licensehub.audit.anchors.write import write_anchor
from tests.support.anchors import act


def found(databases=None) -> set[str]:
    ours = [one for one in run_checks(databases=databases) if str(one.id).startswith("licensehub.")]
    assert all(one.hint for one in ours)
    return {str(one.id).removeprefix("licensehub.") for one in ours} & {
        *(f"E04{number}" for number in range(8)),
        "W010",
    }


@pytest.fixture(autouse=True)
def right(settings):
    settings.ANCHOR_KEYS = ",".join(new_keys().words())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, set()),
        ({"ANCHOR_KEYS": "private:abc"}, {"E040"}),
        ({"ANCHOR_KEYS": "", "REDIS_IS_EMBEDDED": False}, {"E041"}),
        ({"ANCHOR_KEYS": "", "REDIS_IS_EMBEDDED": True}, set()),
        ({"ANCHOR_HTTPS_URL": "http://archive.example"}, {"E044"}),
        ({"ANCHOR_HTTPS_URL": "http://localhost:9/"}, set()),
        ({"AUDIT_STREAM_HTTPS_URL": "https://["}, {"E044", "E045"}),
        ({"AUDIT_STREAM_HTTPS_URL": "https://siem.example", "AUDIT_STREAM_HTTPS_KEY": "k" * 32}, set()),
        ({"ANCHOR_TSA_URL": "http://tsa.example", "ANCHOR_TSA_CA_FILE": "/dev/null"}, {"E046"}),
        ({"AUDIT_STREAM_SYSLOG": "siem.example:514"}, {"E047"}),
        ({"AUDIT_STREAM_SYSLOG": "tls://siem.example"}, set()),
    ],
)
def test_one_wrong_setting(settings, values, expected):
    for name, value in values.items():
        setattr(settings, name, value)
    assert found() == expected


def test_a_finding_is_a_warning_of_the_database(db, settings, tmp_path, monkeypatch):
    settings.ANCHOR_FILE = tmp_path / "anchors.jsonl"
    act()
    assert found(["default"]) == set()
    monkeypatch.setattr(timezone, "now", lambda: datetime.now(UTC) + timedelta(hours=3))
    assert found(["default"]) == {"W010"}
    write_anchor()
    assert found(["default"]) == set()
