"""For every setting that can be wrong there is a check with an id and a hint."""

from __future__ import annotations

import os
import re
from pathlib import Path

import environ
import pytest
from cryptography.fernet import Fernet
from django.conf import settings as project
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from integrations.connectors.registry import connector_class
from licensehub.audit.anchors.keys import new_keys
from licensehub.checks import configuration, sign_in, stored
from licensehub.embedded.errors import CannotRunError
from licensehub.embedded.processes import check_database
from licensehub.environment import NO_DATABASE, PlainEnv, Reader

LONG = "a key that is long enough for every purpose, number {}"


@pytest.fixture(autouse=True)
def right(settings, tmp_path):
    """Settings without a fault, whatever database the run uses; each test breaks one."""
    settings.SECOND_FACTOR_ROLES = ["Approver"]
    settings.ENVIRONMENT_PROBLEMS = {}
    settings.VAR_DIR = tmp_path
    settings.REDIS_IS_EMBEDDED = True
    settings.ALLOWED_HOSTS = ["localhost"]
    settings.PUBLIC_URL = "https://licenses.northwind.example"
    settings.INSTANCE_ID = "production"
    settings.ANCHOR_KEYS = ",".join(new_keys().words())
    return settings


def found() -> set[str]:
    """Ids of our own findings; each must say what to do."""
    ours = [finding for finding in run_checks() if str(finding.id).startswith("licensehub.")]
    assert all(finding.hint for finding in ours)
    return {str(finding.id).removeprefix("licensehub.") for finding in ours}


def test_correct_settings_give_no_finding():
    assert found() == set()


def test_a_folder_for_locks_that_others_can_use_is_named(settings, tmp_path):
    settings.RUNTIME_DIR = tmp_path / "runtime"
    assert found() == set()
    settings.RUNTIME_DIR.mkdir(mode=0o700)
    assert found() == set()
    settings.RUNTIME_DIR.chmod(0o755)
    assert found() == {"E077"}
    settings.RUNTIME_DIR.rmdir()
    settings.RUNTIME_DIR.symlink_to(tmp_path)
    assert found() == {"E077"}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SECRET_KEY", "", "E001"),
        ("SECRET_KEY", "x" * 49, "E002"),
        ("CREDENTIAL_KEYS", [], "E003"),
        ("CREDENTIAL_KEYS", ["no-fernet-key"], "E004"),
        ("CREDENTIAL_KEYS", [Fernet.generate_key().decode(), "é"], "E004"),
        ("APPROVAL_KEY", "", "E005"),
        ("APPROVAL_KEY", "x" * 31, "E005"),
        ("AUDIT_KEY", "", "E006"),
        ("AUDIT_KEY", "x" * 31, "E006"),
        ("AUDIT_KEY_FALLBACKS", [f"{'x' * 31}@12345"], "E075"),
        ("APPROVAL_KEY_FALLBACKS", [LONG.format(1), "x"], "E075"),
        ("BROKER_KEY", "x" * 31, "E051"),
        ("VAR_DIR", Path("/dev/null/var"), "E011"),
        ("ALLOWED_HOSTS", ["*"], "E019"),
        ("PUBLIC_URL", "http://localhost:8000", "W002"),
        ("SSO_OIDC_URL", "https://sign-on.northwind.example", "E062"),
        ("SSO_SAML_URL", "https://sign-on.northwind.example", "E063"),
        ("LOCAL_ACCOUNTS", False, "E064"),
        ("EMAIL_BACKEND", "django.core.mail.backends.console.EmailBackend", "W002"),
    ],
)
def test_one_wrong_setting(settings, name, value, expected):
    setattr(settings, name, value)
    settings.HTTPS = True
    assert found() == {expected}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("MIRO_API_URL", "ftp://api.miro.com", "E009"),
        ("MIRO_AUTHORIZE_URL", "miro.com", "E009"),
        ("MIRO_SCIM_URL", "http://[", "E009"),
        ("MIRO_SCIM_URL", "http://miro.com/scim", "E010"),
        ("MIRO_API_URL", "http://127.0.0.1.example.com", "E010"),
    ],
)
def test_one_wrong_address(monkeypatch, name, value, expected):
    monkeypatch.setenv(name, value)
    assert found() == {expected}


@pytest.mark.parametrize("url", ["http://localhost:9000", "http://127.0.0.1:9000", "http://[::1]:9000", "https://x.eu"])
def test_correct_addresses(monkeypatch, url):
    monkeypatch.setenv("MIRO_API_URL", url)
    assert found() == set()


@pytest.mark.parametrize("pair", [("SECRET_KEY", "APPROVAL_KEY"), ("APPROVAL_KEY", "AUDIT_KEY")])
def test_two_equal_keys(settings, pair):
    for name in pair:
        setattr(settings, name, LONG.format(1))
    assert found() == {"E007"}


def test_a_credential_key_is_different_from_the_other_keys(settings):
    settings.AUDIT_KEY = settings.CREDENTIAL_KEYS[0]
    assert found() == {"E007"}


def test_sqlite_with_a_broker_of_its_own(settings, monkeypatch):
    settings.REDIS_IS_EMBEDDED = False
    monkeypatch.setattr(configuration, "uses_sqlite", lambda: True)
    assert found() == {"W001"}
    settings.INSTANCE_ID = ""
    assert found() == {"W001", "W051"}
    settings.INSTANCE_ID = "production"
    key, settings.BROKER_KEY = settings.BROKER_KEY, ""
    assert found() == {"W001", "E051"}
    settings.BROKER_KEY = key
    monkeypatch.setattr(configuration, "uses_sqlite", lambda: False)
    assert found() == set()


def test_nothing_has_to_be_written_with_database_and_broker_outside(settings, monkeypatch):
    settings.REDIS_IS_EMBEDDED = False
    settings.VAR_DIR = Path("/dev/null/var")
    monkeypatch.setattr(configuration, "uses_sqlite", lambda: False)
    assert found() == set()


def test_debug_and_plain_http_are_for_this_machine(settings):
    settings.ALLOWED_HOSTS = ["licensehub.example.com", "localhost"]
    settings.HTTPS = False
    assert found() == {"E018"}
    settings.HTTPS = True
    settings.DEBUG = True
    assert "E017" in found()


@pytest.mark.parametrize(
    ("name", "value", "kind", "fallback", "expected"),
    [
        ("REDIS_URL", "http://localhost", "redis", "unix:///run/v.sock", "E008"),
        ("REDIS_URL", "redis://", "redis", "unix:///run/v.sock", "E008"),
        ("REDIS_URL", "redis://[", "redis", "unix:///run/v.sock", "E008"),
        ("REDIS_URL", "redis://localhost:port", "redis", "unix:///run/v.sock", "E008"),
        ("TIME_ZONE", "Berlin", "time_zone", "UTC", "E012"),
        ("DATABASE_URL", "nonsense", "database", "sqlite:////tmp/x", "E013"),
        ("DATABASE_URL", "mysql://localhost/x", "database", "sqlite:////tmp/x", "E013"),
        ("DATABASE_URL", "postgres://localhost", "database", "sqlite:////tmp/x", "E013"),
        ("DATABASE_URL", "postgres://localhost:port/x", "database", "sqlite:////tmp/x", "E013"),
        ("DATABASE_URL", "postgres://user@%2Ftmp%2Fpg/x", "database", "sqlite:////tmp/x", "E013"),
        ("DEBUG", "maybe", "switch", False, "E014"),
        ("HTTPS", "maybe", "switch", True, "E014"),
        ("BEHIND_PROXY", "2", "switch", False, "E014"),
        ("CONN_MAX_AGE", "abc", "number", 60, "E015"),
        ("SECURE_HSTS_SECONDS", "-1", "number", 1, "E015"),
        ("WEB_PORT", "80.5", "number", 8000, "E015"),
        ("REQUEST_WINDOW_DAYS", "0", "days", 3, "E015"),
        ("LOG_LEVEL", "LOUD", "log_level", "INFO", "E016"),
    ],
)
def test_an_unreadable_value_is_a_finding_and_no_traceback(
    settings, monkeypatch, name, value, kind, fallback, expected
):
    monkeypatch.setenv(name, value)
    reader = Reader(PlainEnv())
    got = getattr(reader, kind)(name, fallback)
    assert got in (fallback, NO_DATABASE) or kind == "redis"
    settings.ENVIRONMENT_PROBLEMS = reader.problems
    assert found() == {expected}


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("postgres://user:word@db.example.com:5432/name", "db.example.com"),
        ("postgresql://user@/name?host=/run/pg", ""),
        ("postgres:////run/pg/name", "/run/pg"),
    ],
)
def test_correct_databases(monkeypatch, value, host):
    monkeypatch.setenv("DATABASE_URL", value)
    reader = Reader(PlainEnv())
    assert reader.database("DATABASE_URL", "")["HOST"] == host
    assert not reader.problems


def source_of_settings() -> str:
    files = sorted((project.BASE_DIR / "licensehub" / "settings").glob("*.py"))
    return "\n".join(file.read_text() for file in files)


def test_every_variable_is_in_the_example():
    source = source_of_settings()
    read = set(re.findall(r"(?:env\.\w+|reader\.\w+|environ\.get)\(\s*\"([A-Z0-9_]+)\"", source))
    read |= {address.variable for kind in project.CONNECTORS for address in connector_class(kind).addresses.values()}
    example = (project.BASE_DIR / ".env.example").read_text()
    told = set(re.findall(r"^#?([A-Z0-9_]+)=", example, re.MULTILINE))
    assert len(read) > 15
    assert read == told


def test_every_problem_of_reading_has_an_id():
    source = source_of_settings()
    assert set(re.findall(r"reader\.\w+\(\s*\"([A-Z0-9_]+)\"", source)) == set(configuration.ENVIRONMENT)


def test_the_tests_read_nobodys_env_file():
    assert os.environ["LICENSEHUB_ENV_FILE"] == os.devnull


def test_each_id_stands_for_one_check_and_is_in_the_docs():
    source = "".join(path.read_text() for path in (project.BASE_DIR / "licensehub/checks").glob("*.py"))
    code = set(re.findall(r"\b([EW]\d{3})\b", source))
    rows = re.findall(
        r"^\| `licensehub\.([EW]\d{3})` \|", (project.BASE_DIR / "docs/configuration.md").read_text(), re.M
    )
    assert len(rows) == len(set(rows))
    assert code == set(rows)
    uses = re.findall(r"(?:error\(|id=\")(?:\")?(?:licensehub\.)?([EW]\d{3})\"", source)
    assert len(uses) == len(set(uses)), "one id, one check"


def test_a_name_that_is_no_role_is_named(db, settings):
    settings.SECOND_FACTOR_ROLES = ["Aprover", "Company admin"]
    settings.SSO_ROLES = {"deciders": ["Approver", "approver"], "readers": ["Auditor"]}
    found = sign_in.check_role_names(databases=["default"])
    assert [one.id for one in found] == ["licensehub.W021"] * 2
    assert "SECOND_FACTOR_ROLES names Aprover, which" in found[0].msg and "SSO_ROLES names approver, " in found[1].msg
    settings.SECOND_FACTOR_ROLES, settings.SSO_ROLES = ["Approver"], {"deciders": ["Approver"]}
    assert sign_in.check_role_names(databases=["default"]) == sign_in.check_role_names() == []


@pytest.mark.parametrize(
    "old", [("subscriptions", "0002_roles"), ("integrations", "0002_connect"), ("audit", "0002_lists")]
)
def test_a_database_of_a_version_before_the_first_release_is_refused(db, old):
    assert stored.check_old_database(databases=["default"]) == []
    MigrationRecorder(connection).record_applied(*old)
    [found] = stored.check_old_database(databases=["default"])
    assert found.id == "licensehub.E023"
    assert "made by a version before 0.1.0" in found.msg and "manage.py migrate" in found.hint
    for command in ("migrate", "check"):
        with pytest.raises(SystemCheckError, match="made by a version before"):
            options = {"databases": ["default"]} if command == "check" else {"skip_checks": False}
            call_command(command, **options)
    with pytest.raises(CannotRunError, match="made by a version before"):
        check_database()


def test_a_key_that_begins_with_a_dollar_sign_is_read_as_it_stands(monkeypatch):
    """django-environ would look for a variable of that name. The control is its own class."""
    monkeypatch.setenv("APPROVAL_KEY", "$ecret$")
    monkeypatch.setenv("CREDENTIAL_KEYS", "$one,two")
    monkeypatch.setenv("ecret$", "another value")
    assert environ.Env().str("APPROVAL_KEY") == "another value"
    assert PlainEnv().str("APPROVAL_KEY", default="") == "$ecret$"
    assert PlainEnv().list("CREDENTIAL_KEYS", default=[]) == ["$one", "two"]
    assert PlainEnv().str("NOT_SET", default="a default") == "a default"
