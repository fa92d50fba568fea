"""The table of switches: each cell is what it was designed to be, and Python and SQL read it alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from django.db.models import Q
from django.utils import timezone

from integrations.models import Connection, ConnectionState, IntegrationProfile, ProfileState, SendingControl
from subscriptions.errors import Refused
from subscriptions.reclaims import backup_guard, switches
from subscriptions.reclaims.switches import Operation, control_allowing, profiles_allowing

DOCUMENT = Path(__file__).parents[4] / "docs" / "switches.md"

PUBLISHED = {"state": "published"}
# For each switch: how it is switched on, and what it refuses (R) or holds (H: hold reason) by the column.
CELLS = {
    "nothing": ({}, {}, {}),
    "Sending is stopped for the profile": ({"sending_stopped": True}, {}, {"send": "sending_stopped"}),
    "All sending is stopped": ({}, {"stopped": True}, {"send": "sending_stopped"}),
    "Profile is Draft": (
        {"state": "draft"},
        {},
        {
            "download by schedule": "“Northwind” is draft, so nothing is downloaded. Publish it first.",
            "download by hand": "“Northwind” is draft, so nothing is downloaded. Publish it first.",
            "propose": "The profile is draft.",
            "ask by mail": None,
            "request": "“Northwind” is draft. Publish it before you request or approve.",
            "approve": "“Northwind” is draft. Publish it before you request or approve.",
            "send": "paused",
            "restore": ("“Northwind” is draft, so LicenseHub sends nothing for it, restores included.", "paused"),
        },
    ),
    "Profile is Paused": (
        {"state": "paused"},
        {},
        {
            "download by schedule": "“Northwind” is paused, so nothing is downloaded. Publish it first.",
            "download by hand": "“Northwind” is paused, so nothing is downloaded. Publish it first.",
            "propose": "The profile is paused.",
            "ask by mail": None,
            "request": "“Northwind” is paused. Publish it before you request or approve.",
            "approve": "“Northwind” is paused. Publish it before you request or approve.",
            "send": "paused",
        },
    ),
    "Profile is Archived": (
        {"state": "archived"},
        {},
        {
            "download by schedule": "“Northwind” is archived, so nothing is downloaded. Publish it first.",
            "download by hand": "“Northwind” is archived, so nothing is downloaded. Publish it first.",
            "propose": "The profile is archived.",
            "ask by mail": None,
            "request": "“Northwind” is archived. Publish it before you request or approve.",
            "approve": "“Northwind” is archived. Publish it before you request or approve.",
            "send": "paused",
            "restore": ("“Northwind” is archived, so LicenseHub sends nothing for it, restores included.", "paused"),
        },
    ),
    "Reclaim subscriptions is off": (
        {"reclaim_enabled": False},
        {},
        {
            "request": "Reclaim subscriptions is switched off for “Northwind”. Switch it on in the profile first.",
            "approve": "Reclaim subscriptions is switched off for “Northwind”. Switch it on in the profile first.",
            "send": "reclaim_off",
        },
    ),
    "Held: this may be a restored backup": (
        {},
        {"held_at": timezone.now()},
        {"ask by mail": None, "send": "backup", "restore": "backup"},
    ),
    "Held: something was changed outside of LicenseHub": (
        {"held_at": timezone.now()},
        {},
        {"ask by mail": None, "send": "tampered"},
    ),
    "The activity dates of the newest download are in doubt": (
        {"activity_doubted_at": timezone.now()},
        {},
        {"ask by mail": None, "send": "activity"},
    ),
    "Held: the answers to the last reclaims were lost": (
        {"lost_answers_held_until": timezone.now() + timedelta(days=365)},
        {},
        {"send": "lost_answers"},
    ),
}
QUEUED = {Operation.SEND, Operation.RESTORE, Operation.ASK}


@pytest.fixture
def profile(db) -> IntegrationProfile:
    profile = IntegrationProfile.objects.create(
        name="Northwind", organization_id="1", kind="miro_enterprise", state=ProfileState.PUBLISHED
    )
    for slot in profile.connector.slots:
        Connection.objects.create(profile=profile, slot=slot.name, state=ConnectionState.WORKING)
    return profile


def switch_on(profile: IntegrationProfile, profile_values: dict, control_values: dict) -> IntegrationProfile:
    IntegrationProfile.objects.filter(pk=profile.pk).update(**{**PUBLISHED, **profile_values})
    SendingControl.objects.filter(pk=1).update(**{"stopped": False, "held_at": None, **control_values})
    return IntegrationProfile.objects.get(pk=profile.pk)


def allowed_by_sql(profile: IntegrationProfile, operation: Operation) -> bool:
    return profiles_allowing(operation).filter(pk=profile.pk).exists() and control_allowing(operation).exists()


def allowed_by_python(profile: IntegrationProfile, operation: Operation) -> bool:
    """The switches that the UPDATE does not check are left out; all connections work here."""
    return not list(switches.stopping(profile, operation))


@pytest.mark.parametrize("name", CELLS)
def test_each_cell(profile, name):
    profile_values, control_values, expected = CELLS[name]
    now = switch_on(profile, profile_values, control_values)

    for operation in Operation:
        refused, held = switches.refusal(now, operation), switches.hold(now, operation)
        cell = expected.get(operation.value, "")
        sentence, reason = cell if isinstance(cell, tuple) else (cell, cell) if cell else ("", None)
        if operation not in QUEUED:
            assert (refused, held) == (sentence, None), operation
            continue
        assert refused == "" if isinstance(cell, (str, type(None))) else refused.startswith(sentence), operation
        assert not refused or refused.endswith(f"A company admin can activate this person in {now.vendor}."), operation
        assert held == reason, operation
        assert bool(list(switches.stopping(now, operation))) == (operation.value in expected), operation


def test_the_cells_above_are_all_rows_that_a_row_in_the_database_switches():
    elsewhere = {switch.name for switch in switches.TABLE if "in Error" in switch.name or "clock" in switch.name}
    assert len(elsewhere) == 3
    assert {switch.name for switch in switches.TABLE} == (set(CELLS) - {"nothing"}) | elsewhere


def differences(profile: IntegrationProfile) -> list[str]:
    """Return where Python and SQL disagree, over all combinations of the switches."""
    found = []
    later, earlier = (timezone.now() + timedelta(days=days) for days in (1, -1))
    lost = (later, earlier, None)
    for state, stopped, enabled, all_stopped, held, until in product(ProfileState, *[(True, False)] * 4, lost):
        now = switch_on(
            profile,
            {
                "state": state,
                "sending_stopped": stopped,
                "reclaim_enabled": enabled,
                "lost_answers_held_until": until,
            },
            {"stopped": all_stopped, "held_at": timezone.now() if held else None},
        )
        found += [
            f"{operation} {state} {stopped=} {enabled=} {all_stopped=} {held=} {until=}"
            for operation in Operation
            if allowed_by_python(now, operation) != allowed_by_sql(now, operation)
        ]
    return found


def test_python_and_sql_agree_in_every_combination(profile):
    assert differences(profile) == []


@pytest.mark.parametrize("name", [*list(CELLS)[1:3], "Profile is Paused", *list(CELLS)[-1:]])
def test_the_control_of_it_finds_a_row_that_sql_does_not_read(profile, monkeypatch, name):
    blind = [
        replace(row, profile_off=Q, control_off=Q, state=None) if row.name == name else row for row in switches.TABLE
    ]
    monkeypatch.setattr(switches, "TABLE", blind)
    assert differences(profile)


def test_downloading_profiles_are_those_that_the_table_allows(profile):
    """Schedules are below the table in the order of the packages, so they ask the model."""
    for state in ProfileState:
        now = switch_on(profile, {"state": state}, {})
        by_model = IntegrationProfile.objects.downloading().filter(pk=profile.pk).exists()
        assert by_model == allowed_by_sql(now, Operation.DOWNLOAD) == allowed_by_sql(now, Operation.DOWNLOAD_BY_HAND)


@pytest.mark.parametrize("slot", ["download_slot", "reclaim_slot"])
def test_a_connection_in_error(profile, slot):
    name = getattr(profile.connector, slot)
    Connection.objects.filter(profile=profile, slot=name).update(state=ConnectionState.ERROR, error="It is broken.")

    held = {operation: switches.hold(profile, operation) for operation in Operation}
    assert {operation for operation, reason in held.items() if reason} == {Operation.SEND, Operation.RESTORE}
    assert set(held.values()) == {None, "connection"}
    refused = {operation for operation in Operation if switches.refusal(profile, operation)}
    assert refused == ({Operation.DOWNLOAD} if slot == "download_slot" else set())
    assert all(allowed_by_sql(profile, operation) for operation in Operation)


def test_a_backup_that_is_found_only_now_holds_as_well(profile, monkeypatch):
    monkeypatch.setattr(backup_guard, "is_held", lambda: True)
    assert switches.hold(profile, Operation.SEND) == switches.hold(profile, Operation.RESTORE) == "backup"
    assert switches.refusal(profile, Operation.REQUEST) == ""


def test_the_first_row_that_is_on_gives_the_reason(profile):
    now = switch_on(profile, {"state": "paused", "sending_stopped": True, "reclaim_enabled": False}, {"stopped": True})
    assert switches.hold(now, Operation.SEND) == "sending_stopped"
    assert switches.refusal(now, Operation.REQUEST).startswith("“Northwind” is paused.")
    assert switches.note(now, Operation.SEND) == "The profile is paused."
    with pytest.raises(Refused, match="is paused"):
        switches.refuse(now, Operation.APPROVE)


def test_an_unknown_state_allows_nothing(profile):
    now = switch_on(profile, {"state": "other"}, {})
    for operation in Operation:
        assert not allowed_by_sql(now, operation)
        with pytest.raises(ValueError, match="other"):
            list(switches.stopping(now, operation))


def test_the_page_in_docs_is_made_of_the_table():
    assert DOCUMENT.read_text() == switches.as_markdown(), (
        "Write it again: python manage.py shell -c 'from subscriptions.reclaims import switches; "
        'open("docs/switches.md", "w").write(switches.as_markdown())\''
    )
