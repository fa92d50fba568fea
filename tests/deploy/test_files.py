"""The files of `deploy/`, without starting anything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse

from licensehub import queues
from licensehub.environment import SECRETS
from tests.deploy.support.programs import systemd_analyze
from tests.deploy.support.units import DEPLOY, SYSTEMD, read, read_environment

UNITS = ("licensehub-web.service", "licensehub-worker@download.service", "licensehub-beat.service")
# Of 100, where 100 is a service without any protection; systemd calls up to 4 of 10 "OK".
MAX_EXPOSURE = 20


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_has_few_rights_and_its_own_secrets(name: str) -> None:
    unit = read(name)
    assert unit.one("CapabilityBoundingSet") == ""
    assert unit.one("NoNewPrivileges") == unit.one("PrivateTmp") == unit.one("ProtectHome") == "yes"
    assert unit.one("ProtectSystem") == "strict" and unit.one("UMask") == "0077"
    assert (unit.one("KillMode"), unit.one("Restart")) == ("mixed", "always")
    assert set(unit.credentials()) <= SECRETS and not set(unit.environment()) & SECRETS
    area = dict(zip(UNITS, ("web", "worker", "beat"), strict=True))[name]
    assert unit.credentials()["DATABASE_URL"] == f"/etc/licensehub/secrets/{area}/DATABASE_URL"
    keys = {"SECRET_KEY", "CREDENTIAL_KEYS", "APPROVAL_KEY", "AUDIT_KEY", "ANCHOR_KEYS"}
    assert set(unit.credentials()) & keys == (set() if name == UNITS[2] else keys)


def test_no_link_that_works_without_a_sign_in_stands_in_the_log_of_nginx() -> None:
    """Control: the log `combined` has the referrer of each style sheet, so the link of the page that loads it."""
    site = (DEPLOY / "nginx" / "licensehub.conf").read_text()
    left_out = re.findall(r"map \$uri \$licensehub_logged \{\s*default 1;\s*~(\S+) 0;\s*\}", site)[0]
    links = (reverse("my_license", args=["secret"]), reverse("welcome", args=["MQ", "secret"]))
    assert all(re.search(left_out, link) for link in links) and not re.search(left_out, reverse("admin:index"))
    logged = re.findall(r"log_format licensehub ([^;]+);", site)[0]
    assert not re.search(r"\$(request|request_uri|args|query_string|http_referer|http_cookie|arg_\w+)\b", logged)
    assert set(re.findall(r"access_log ([^;]+);", site)) == {
        "/var/log/nginx/licensehub.log licensehub if=$licensehub_logged",
        "off",
    }
    # The log of errors has whole requests.
    quiet = re.findall(r"location ~ (\S+) \{\s*error_log /dev/null emerg;", site)[0]
    callback = reverse("admin:integrations_connection_callback")
    assert all(re.search(quiet, link) for link in (*links, callback, "/sign-in/oidc/company/callback/"))
    assert not re.search(quiet, reverse("admin:index"))
    assert "access_log off;" in site.partition("return 301")[0].rpartition("server {")[2]


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    analyze = str(systemd_analyze())
    folder = tmp_path / "etc" / "systemd" / "system"
    shutil.copytree(SYSTEMD, folder)
    for program in ("/opt/licensehub/.venv/bin/gunicorn", "/opt/licensehub/.venv/bin/celery", "/bin/kill"):
        path = tmp_path / program.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o755)
    for name in ("sysinit", "basic", "shutdown", "network-online", "multi-user"):
        (folder / f"{name}.target").write_text(f"[Unit]\nDescription={name}\n")
    root = [f"--root={tmp_path}", "--no-pager"]
    command = [analyze, "verify", "--man=no", *root, *UNITS, "licensehub-web.socket"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    for unit in UNITS:
        command = [analyze, "security", "--offline=true", f"--threshold={MAX_EXPOSURE}", *root, unit]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_workers_of_the_page_serve_each_queue_once() -> None:
    short = read_environment(DEPLOY / "etc" / "worker-short.env")["QUEUES"].split(",")
    assert sorted(["download", *short]) == sorted(queues.TASKS)
    environment = {"QUEUES": "reclaim,mail", "CONCURRENCY": "3"}
    command = read("licensehub-worker@short.service").command(environment)
    assert command[command.index("--queues") + 1] == "reclaim,mail" and "short@%h" in command


def test_the_script_gives_the_password_of_the_owner_to_its_commands_only() -> None:
    script = (DEPLOY / "bin" / "licensehub-manage").read_text()
    [named] = re.findall(r"^    ([\w| ]+)\)$", script, re.MULTILINE)
    assert set(named.split(" | ")) == set(settings.OWNER_COMMANDS)


def test_the_page_names_files_that_exist_and_all_secrets() -> None:
    page = (Path(settings.BASE_DIR) / "docs" / "deploy.md").read_text()
    named = set(re.findall(r"\bdeploy/[\w./@-]*\w", page))
    assert len(named) > 5 and all((Path(settings.BASE_DIR) / name).exists() for name in named), named
    given = {
        path.removeprefix("/etc/licensehub/secrets/") for unit in UNITS for path in read(unit).credentials().values()
    }
    assert given | {"owner/DATABASE_OWNER_URL"} == set(re.findall(r"^\| `((?:\w+/)?[A-Z_]+)` \|", page, re.MULTILINE))
    rows = page.partition("| in `/etc/systemd/system` | secrets |")[2].partition("\n\n")[0]
    optional = re.findall(r"`([A-Z][A-Z_]+)`", rows)
    assert sorted(optional) == sorted(SECRETS - {Path(path).name for path in given} - {"DATABASE_OWNER_URL"})
    assert all(os.access(path, os.X_OK) for path in (DEPLOY / "bin").iterdir())
