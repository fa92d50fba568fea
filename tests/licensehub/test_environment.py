from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings as project

from licensehub.checks import configuration
from licensehub.environment import NO_DATABASE, SECRETS, PlainEnv, Reader

KEY = "$a key with a dollar sign and an é, which is long"


def test_a_secret_is_read_from_its_file(monkeypatch, tmp_path):
    for name in ("APPROVAL_KEY", "CREDENTIAL_KEYS", "DATABASE_URL"):
        # An empty line of `.env` is no value.
        monkeypatch.setenv(name, "")
    (tmp_path / "APPROVAL_KEY").write_text(f"{KEY}\n", encoding="utf-8")
    (tmp_path / "keys").write_text("one,$two\n")
    (tmp_path / "DATABASE_URL").write_text("postgres://web:word@db.example.com/hub\n")
    # Only secrets are read from files.
    (tmp_path / "ALLOWED_HOSTS").write_text("elsewhere.example.com")
    (tmp_path / "host").write_text("elsewhere.example.com")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("CREDENTIAL_KEYS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("DEFAULT_FROM_EMAIL_FILE", str(tmp_path / "host"))
    env = PlainEnv()
    assert env.str("APPROVAL_KEY", default="") == KEY
    assert env.list("CREDENTIAL_KEYS", default=[]) == ["one", "$two"]
    assert Reader(env).database("DATABASE_URL", "sqlite:///x")["HOST"] == "db.example.com"
    assert env.str("ALLOWED_HOSTS", default="none") == env.str("DEFAULT_FROM_EMAIL", default="none") == "none"
    # One that has neither variable nor file.
    assert env.str("SSO_OIDC_SECRET", default="none") == "none"
    assert not env.problems


def test_a_secret_that_cannot_be_read_is_never_replaced_by_a_default(monkeypatch, tmp_path, settings):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "twice").write_text("postgres://other@db.example.com/hub")
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "missing"))
    monkeypatch.setenv("DATABASE_OWNER_URL", "postgres://owner@db.example.com/hub")
    monkeypatch.setenv("DATABASE_OWNER_URL_FILE", str(tmp_path / "twice"))
    monkeypatch.setenv("AUDIT_KEY", "")
    monkeypatch.setenv("AUDIT_KEY_FILE", str(tmp_path / "bytes"))
    env = PlainEnv()
    reader = Reader(env)
    assert reader.database("DATABASE_URL", "sqlite:///x") == NO_DATABASE
    assert reader.database("DATABASE_OWNER_URL", "sqlite:///x") == NO_DATABASE
    assert env.str("AUDIT_KEY", default="") == ""
    settings.SECRET_PROBLEMS = env.problems
    found = configuration.check_secret_files()
    assert [(one.id, one.msg.split()[0]) for one in found] == [
        ("licensehub.E066", name) for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "AUDIT_KEY")
    ]
    assert "cannot be read" in found[0].msg and "is set, and also stands in the file" in found[1].msg
    assert not any("db.example.com" in one.msg for one in found)


def test_each_secret_is_a_setting_and_is_in_the_docs():
    folder = Path(project.BASE_DIR)
    source = "".join(file.read_text() for file in (folder / "licensehub" / "settings").glob("*.py"))
    assert not {name for name in SECRETS if f'("{name}"' not in source}
    names = set(re.findall(r"env\.\w+\(\"(\w+(?:KEYS?|TOKEN|SECRET|FALLBACKS|DSN))\"", source))
    assert len(names) > 9 and names <= SECRETS
    docs = (folder / "docs" / "configuration.md").read_text()
    [paragraph] = [part for part in docs.split("\n\n") if part.startswith("This holds for `SECRET_KEY`")]
    assert set(paragraph.replace("`", " ").replace(",", " ").replace(".", " ").split()) >= SECRETS
