"""A database that was made by an earlier edition of the initial migrations is named, and not found out at work."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks

from licensehub.database import schema_edition
from tests.support.attacks import attack

pytestmark = pytest.mark.django_db


def found() -> list[str]:
    return [check.msg for check in run_checks(databases=["default"]) if check.id == "licensehub.E076"]


def test_the_tables_of_this_edition_are_no_finding():
    assert schema_edition.differences() == [] and found() == []


def test_each_difference_of_an_earlier_edition_is_named():
    for statement in (
        "ALTER TABLE subscriptions_rightschange DROP COLUMN comment",
        "ALTER TABLE subscriptions_rightschange ADD COLUMN reason varchar(9) NOT NULL DEFAULT ''",
        "DROP INDEX rights_change_waits_once",
        "DROP INDEX audit_target",
        "DROP TABLE audit_storedanchor",
        "ALTER TABLE audit_chainhead RENAME COLUMN hash TO former",
        "ALTER TABLE audit_chainhead ADD COLUMN hash varchar(64)",
        "DROP TABLE api_idempotentcall",
    ):
        attack(statement)
    [sentence] = found()
    assert "made by another edition of this version" in sentence and "(3 more)" in sentence
    assert schema_edition.differences() == [
        "audit_auditevent has no audit_target",
        "audit_chainhead has a column former that is unknown",
        "audit_chainhead.hash may be empty",
        "there is no table audit_storedanchor",
        "subscriptions_rightschange has no column comment",
        "subscriptions_rightschange has a column reason that is unknown",
        "subscriptions_rightschange has no rights_change_waits_once",
        "there is no table api_idempotentcall",
    ]
    # Tables that `migrate` will still change are no finding.
    attack("DELETE FROM django_migrations WHERE app IN ('api', 'audit', 'subscriptions')")
    assert schema_edition.differences() == []
