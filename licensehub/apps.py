"""The project as an app: its commands, its templates and its system checks."""

from __future__ import annotations

from django.apps import AppConfig


class LicenseHubConfig(AppConfig):
    """Registers the checks of the settings."""

    name = "licensehub"
    label = "licensehub"
    verbose_name = "LicenseHub"

    def ready(self) -> None:
        """Importing registers."""
        from licensehub import checks  # noqa: F401
