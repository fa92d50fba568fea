"""An event of a command says which command it was, and which account of the host ran it."""

from __future__ import annotations

import json
import os
import pwd
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from licensehub.audit.log import by_means_of
from licensehub.audit.models import AuditEvent
from licensehub.logs import console


def events(var: Path, *commands: list[str], **variables: str) -> dict[str, dict[str, str]]:
    """Run these commands on a new database. Returns the details of its events by action."""
    environment = {**os.environ, "LICENSEHUB_VAR": str(var), "DJANGO_SETTINGS_MODULE": "licensehub.settings"}
    environment.pop("DATABASE_URL", None)
    for command in (["migrate", "--verbosity", "0"], *commands):
        subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=settings.BASE_DIR,
            env=environment | variables,
            check=True,
            capture_output=True,
            timeout=120,
        )
    with sqlite3.connect(var / "licensehub.sqlite3") as database:
        rows = database.execute("SELECT action, data FROM audit_auditevent")
        return {action: json.loads(data) for action, data in rows}


def test_a_command_says_its_name_and_its_account(tmp_path):
    found = events(tmp_path, ["stop_sending", "test"], ["stop_sending", "--allow"])
    origin = {"command": "stop_sending", "operator": console.operator()}
    assert found["sending.stopped"] == {"reason": "test", **origin}
    assert found["sending.allowed"].items() >= origin.items()


@pytest.mark.parametrize(
    ("login_id", "sudo_user", "expected"),
    [
        (str(pwd.getpwnam("daemon").pw_uid), "eve", "{me} (signed in as daemon)"),
        (str(os.getuid()), "eve", "{me}"),
        ("987654", "", "{me} (signed in as 987654)"),
        (str(console.NO_LOGIN), "ada", "{me} (signed in as ada)"),
        (str(console.NO_LOGIN), "", "{me}"),
        (None, "ada", "{me} (signed in as ada)"),
    ],
)
def test_the_kernel_is_believed_before_a_variable(tmp_path, monkeypatch, login_id, sudo_user, expected):
    if login_id is not None:
        (tmp_path / "loginuid").write_text(login_id)
    monkeypatch.setattr(console, "LOGIN_ID", tmp_path / "loginuid")
    monkeypatch.setenv("SUDO_USER", sudo_user)
    assert console.operator() == expected.format(me=pwd.getpwuid(os.getuid()).pw_name)


def test_an_event_of_a_person_in_a_command_names_both(organization, alice, monkeypatch):
    """E.g. `apply` acts for the owner of a token, and somebody else may be at the terminal."""
    monkeypatch.setattr(console, "origin", lambda: {"command": "apply", "operator": "root"})
    with by_means_of(token=7):
        organization.ask(alice, count=1)
    data = AuditEvent.objects.get(action="request.opened").data
    assert (data["command"], data["operator"], data["token"]) == ("apply", "root", 7)


def test_any_other_process_says_nothing(monkeypatch):
    console.origin.cache_clear()
    monkeypatch.setattr(sys, "argv", ["/opt/licensehub/.venv/bin/gunicorn", "licensehub.wsgi"])
    assert console.origin() == {}
