"""The first command after `make install` makes its folder and database."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.conf import settings

# Large packages that few processes use: each is imported where it is used, or by the pages of web.
NOT_NEEDED = {
    "PIL",
    "boto3",
    "cryptography.x509",
    "fido2",
    "hvac",
    "lxml",
    "ninja",
    "pydantic",
    "prometheus_client",
    "reportlab",
    "rfc3161_client",
    "sentry_sdk",
    "xlsxwriter",
    "xmlsec",
    "zxcvbn",
}


@pytest.mark.parametrize(
    ("start", "not_needed"),
    [
        ("import django; django.setup()", NOT_NEEDED),
        ("import licensehub.command_line.main", NOT_NEEDED | {"celery", "django.db", "redis", "requests"}),
    ],
)
def test_a_process_starts_with_few_modules(tmp_path, start, not_needed):
    asked = (
        f"import gc, sys; {start}; print(*sys.modules); assert gc.get_stats()[2]['collections'] == 0, gc.get_stats()"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked],
        check=True,
        capture_output=True,
        text=True,
        cwd=settings.BASE_DIR,
        env={**os.environ, "LICENSEHUB_VAR": str(tmp_path)},
    )
    assert not_needed.isdisjoint(done.stdout.split()), not_needed & set(done.stdout.split())


def test_migrate_in_a_folder_that_is_not_there_yet(tmp_path):
    var = tmp_path / "not" / "there" / "yet"
    environment = {**os.environ, "LICENSEHUB_VAR": str(var), "DJANGO_SETTINGS_MODULE": "licensehub.settings"}
    environment.pop("DATABASE_URL", None)

    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert (var / "licensehub.sqlite3").exists()


def test_a_command_before_the_migrations_says_the_next_step(tmp_path):
    environment = {**os.environ, "LICENSEHUB_VAR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "licensehub.settings"}
    environment.pop("DATABASE_URL", None)
    for command in (
        ["createsuperuser", "--noinput", "--username", "ada", "--email", "ada@x.example"],
        ["download_subscriptions", "Labs"],
    ):
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=settings.BASE_DIR,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
        assert f"{tmp_path}/licensehub.sqlite3 has not all its tables yet. Run `make run` once" in done.stderr


def test_what_a_web_process_has_loaded_is_left_out_of_collections(tmp_path):
    asked = "import gc, licensehub.wsgi; assert gc.get_freeze_count() > 50_000, gc.get_freeze_count()"
    subprocess.run(
        [sys.executable, "-c", asked],
        check=True,
        cwd=settings.BASE_DIR,
        env={**os.environ, "LICENSEHUB_VAR": str(tmp_path)},
    )
