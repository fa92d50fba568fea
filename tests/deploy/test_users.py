"""The users of the host path: one for each unit, with the secrets that it needs, and no way to what another one runs.

`test_host` runs the processes as these users, and tries what each can reach.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath

import pytest
from django.conf import settings
from django.test import override_settings

from licensehub.audit.anchors.keys import new_keys
from licensehub.checks.start import CannotStartError, Process, refuse_wrong_settings
from licensehub.environment import SECRETS
from tests.deploy.support.units import DEPLOY, SYSTEMD, Unit, folders, read

UNITS = [read(path.name.replace("@", "@short")) for path in sorted(SYSTEMD.glob("*.service"))]
GROUP = "licensehub"
SECRET_FILES = "/etc/licensehub/secrets/"
# All processes reach the database and the broker. Pages and tasks send mails; beat does not.
SERVERS, MAIL = {"DATABASE_URL", "REDIS_URL"}, {"EMAIL_URL"}


def process_of(unit: Unit) -> Process:
    return Process(unit.name.removeprefix("licensehub-").partition(".")[0].partition("@")[0])


def changed(unit: Unit, **values: str) -> Unit:
    """The unit with other values, for a control."""
    return replace(unit, values={**unit.values, **{key: [value] for key, value in values.items()}})


# --- Users ------------------------------------------------------------------------------------------------------------


def declared() -> dict[str, str]:
    """User -> group, of `deploy/sysusers.d`."""
    lines = (DEPLOY / "sysusers.d" / "licensehub.conf").read_text().splitlines()
    found = [line.split()[:3] for line in lines if not line.startswith("#")]
    assert {kind for kind, *_ in found} == {"g", "u"}, "no user is a member of another group"
    return {name: number.removeprefix("-:") for kind, name, number in found if kind == "u"}


def wrong_users(units: list[Unit], script: str) -> list[str]:
    users = [script, *(unit.one("User") for unit in units)]
    shared = [f"{user} runs two of them" for user in set(users) if users.count(user) > 1]
    return shared + [f"{user} is not declared" for user in users if declared().get(user) != GROUP]


def script() -> dict[str, str]:
    """The variables that licensehub-manage sets to fixed values."""
    text = (DEPLOY / "bin" / "licensehub-manage").read_text()
    return dict(re.findall(r"^(\w+)='?(/?[\w./*-]+)'?$", text, re.MULTILINE))


def test_each_unit_and_the_commands_have_a_user_of_their_own() -> None:
    assert [process_of(unit) for unit in UNITS] == [Process.BEAT, Process.WEB, Process.WORKER]
    assert wrong_users(UNITS, script()["user"]) == []
    assert {unit.one("Group") for unit in UNITS} == {GROUP}
    beat, web, worker = UNITS
    assert wrong_users([beat, web, changed(worker, User=web.one("User"))], script()["user"])
    assert wrong_users(UNITS, web.one("User"))
    assert wrong_users([changed(beat, User="nobody"), web, worker], script()["user"])


def test_the_script_and_the_units_agree_about_places() -> None:
    given = script()
    for unit in UNITS:
        places = {key: path for key, path in unit.environment().items() if path.startswith("/") and key in given}
        own = {"LICENSEHUB_VAR"}
        assert places.keys() | own == {"LICENSEHUB_ENV_FILE", "STATIC_ROOT", "ANCHOR_FILE", "AUDIT_HEAD_FILES"} | own
        assert {key: given[key] for key in places.keys() - own} == {key: places[key] for key in places.keys() - own}
    states = [given["LICENSEHUB_VAR"], *(unit.environment().get("LICENSEHUB_VAR", unit.name) for unit in UNITS)]
    assert len(set(states)) == len(states), "each writes the checkpoint into a folder of its own"
    checkpoints = [f"{state}/audit-head.json" for state in states if state.startswith("/")]
    pattern = given["AUDIT_HEAD_FILES"]
    assert len(checkpoints) == 3 and all(PurePosixPath(path).match(pattern) for path in checkpoints)


# --- Secrets ----------------------------------------------------------------------------------------------------------


def keys_of(process: Process) -> set[str]:
    """The secrets without which the process does not start, as its checks of the settings say."""
    # A host for others, with all optional destinations that need a key.
    host = {
        "ALLOWED_HOSTS": ["localhost"],
        "REDIS_IS_EMBEDDED": False,
        "ANCHOR_KEYS": ",".join(new_keys().words()),
        "AUDIT_STREAM_HTTPS_URL": "https://siem.example.com",
        "AUDIT_STREAM_HTTPS_KEY": "a key of the test that is long enough",
    }
    found = set()
    with override_settings(**host):
        assert errors(process) == ""
        for name in filter(partial(hasattr, settings), SECRETS):
            with override_settings(**{name: type(getattr(settings, name))()}):
                found |= {name} if errors(process) else set()
    return found


def errors(process: Process) -> str:
    try:
        refuse_wrong_settings(process)
    except CannotStartError as problem:
        return str(problem)
    return ""


def needless(unit: Unit) -> set[str]:
    """The credentials of the unit that its process does not need, or that belong to another process."""
    process = process_of(unit)
    needed = keys_of(process) | SERVERS | (MAIL if process is not Process.BEAT else set())
    paths = {name: f"{SECRET_FILES}{name}" for name in needed}
    paths["DATABASE_URL"] = f"{SECRET_FILES}{process}/DATABASE_URL"
    return {name for name, path in unit.credentials().items() if paths.get(name) != path}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_gets_no_secret_that_it_does_not_need(unit: Unit) -> None:
    assert needless(unit) == set()
    other = "web" if process_of(unit) is not Process.WEB else "worker"
    for name, path in (("DATABASE_OWNER_URL", "owner/DATABASE_OWNER_URL"), ("DATABASE_URL", f"{other}/DATABASE_URL")):
        assert needless(changed(unit, LoadCredential=f"{name}:{SECRET_FILES}{path}")) == {name}
    for name, process in (("AUDIT_KEY", Process.BEAT), ("AUDIT_STREAM_HTTPS_KEY", Process.WEB)):
        more = changed(unit, LoadCredential=f"{name}:{SECRET_FILES}{name}")
        assert needless(more) == ({name} if process_of(unit) in (process, Process.BEAT) else set())


# --- Files ------------------------------------------------------------------------------------------------------------


def may_write(unit: Unit) -> set[str]:
    """The folders in which the user may make files, and those that systemd leaves writable for the unit."""
    user, group = unit.one("User"), unit.one("Group")
    by_mode = {
        path
        for path, (mode, owner, of_group) in folders().items()
        if owner == user or (of_group == group and int(mode, 8) & 0o020) or int(mode, 8) & 0o002
    }
    return by_mode | set(unit.writable())


def runs(unit: Unit) -> set[str]:
    """The program with its settings and its unit, and what browsers run."""
    given = unit.environment()
    found = {unit.one("ExecStart").split()[0], unit.one("WorkingDirectory"), "/etc/systemd/system", SECRET_FILES}
    found |= {path.removeprefix("-") for path in unit.values.get("EnvironmentFile", [])}
    return found | {given["LICENSEHUB_ENV_FILE"], given["STATIC_ROOT"]}


def writes_what_it_runs(unit: Unit) -> set[str]:
    places = {PurePosixPath(path) for path in may_write(unit)}
    return {path for path in runs(unit) if places & {PurePosixPath(path), *PurePosixPath(path).parents}}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_cannot_write_what_it_runs(unit: Unit) -> None:
    assert writes_what_it_runs(unit) == set()
    assert writes_what_it_runs(changed(unit, ReadWritePaths="/opt")) >= {"/opt/licensehub"}
    assert writes_what_it_runs(changed(unit, User="licensehub-manage")) == {"/var/lib/licensehub/static"}


def test_what_two_users_write_is_a_file_that_can_only_grow() -> None:
    lines = (DEPLOY / "tmpfiles.d" / "licensehub.conf").read_text().splitlines()
    appended = {line.split()[1] for line in lines if line.startswith("h ") and line.endswith(" +a")}
    assert {line.split()[1] for line in lines if line.startswith("f ")} == appended
    shared = {str(PurePosixPath(path).parent) for path in appended}
    for unit in UNITS:
        owned = {path for path, (_, owner, _) in folders().items() if owner == unit.one("User")}
        assert set(unit.writable()) - owned == (shared if unit.writable() else set())
        assert owned <= set(unit.writable())
    # No folder lets the group make files beside those that exist.
    assert not [path for path, (mode, *_) in folders().items() if int(mode, 8) & 0o022]
