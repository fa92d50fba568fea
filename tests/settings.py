"""The settings of the tests: made-up keys, folders of their own, and nothing from anybody's .env.

Processes that a test starts use `licensehub.settings` with the same environment.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def _root() -> Path:
    """One temporary folder per run; the process that made it removes it, after its pytest-xdist workers."""
    if "LICENSEHUB_TEST_ROOT" not in os.environ:
        os.environ["LICENSEHUB_TEST_ROOT"] = tempfile.mkdtemp(prefix="licensehub-test-")
        atexit.register(shutil.rmtree, os.environ["LICENSEHUB_TEST_ROOT"], ignore_errors=True)
    return Path(os.environ["LICENSEHUB_TEST_ROOT"])


ENVIRONMENT = {
    "LICENSEHUB_ENV_FILE": os.devnull,
    "SECRET_KEY": "secret-key-of-the-tests-secret-key-of-the-tests-0001",
    "CREDENTIAL_KEYS": "dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtMDE=",
    "APPROVAL_KEY": "approval-key-of-the-tests-approval-key-of-the-tests",
    "AUDIT_KEY": "audit-key-of-the-tests-audit-key-of-the-tests-audit",
    "BROKER_KEY": "broker-key-of-the-tests-broker-key-of-the-tests-brok",
    # A statement that hangs fails, also in the processes that a test starts.
    "DATABASE_OPTIONS": "-c jit=off -c statement_timeout=60s",
    "DEBUG": "off",
    "HTTPS": "off",
    # A test gives the same result on each day of the week.
    "WORKING_DAYS": "mon,tue,wed,thu,fri,sat,sun",
    # One folder for each process of pytest-xdist: each has its own broker and its own database.
    "LICENSEHUB_VAR": str(_root() / os.environ.get("PYTEST_XDIST_WORKER", "main")),
}
for _name in ("REDIS_URL", "MIRO_API_URL", "MIRO_AUTHORIZE_URL", "MIRO_SCIM_URL", "ALLOWED_HOSTS", "TIME_ZONE"):
    os.environ.pop(_name, None)
os.environ.update(ENVIRONMENT)
(Path(ENVIRONMENT["LICENSEHUB_VAR"]) / "static").mkdir(parents=True, exist_ok=True)

from licensehub.settings import *  # noqa: E402, F403 - the environment comes first
from licensehub.settings import DATABASES, STORAGES  # noqa: E402 - likewise

STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# A connection that is kept would keep the test database from being dropped.
DATABASES["default"]["CONN_MAX_AGE"] = 0
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file: a worker process must see what the test wrote.
    DATABASES["default"]["TEST"] = {"NAME": str(_root() / "test.sqlite3")}
# Tests of the sign-in switch it on: else every sign-in of a test would ask its tables.
AXES_ENABLED = False
# The same for the second factor.
SECOND_FACTOR_ROLES = []
