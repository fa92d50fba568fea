"""The project as an app: its commands, its templates and its system checks."""

from __future__ import annotations

import contextlib
import gc

from django.apps import AppConfig
from django.conf import settings


class LicenseHubConfig(AppConfig):
    """Registers the system checks and makes the folder for files."""

    name = "licensehub"
    label = "licensehub"
    verbose_name = "LicenseHub"

    def ready(self) -> None:
        """Importing makes the Celery application, and registers the checks.

        `check_var_dir` reports a folder that cannot be made.
        """
        from licensehub import celery  # noqa: F401 - importing makes it
        from licensehub.checks import configuration, database, folders, outside, sign_in, stored  # noqa: F401 - importing registers them

        with contextlib.suppress(OSError):
            settings.VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        # What is loaded by now stays in memory, so later collections leave it out.
        gc.freeze()
