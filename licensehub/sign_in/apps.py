"""The sign-in: passwords, guessing, sessions, second factors and single sign-on."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SignInConfig(AppConfig):
    """Comes before axes in INSTALLED_APPS: its receivers see a wrong password before axes counts it."""

    name = "licensehub.sign_in"
    label = "sign_in"
    verbose_name = _("Sign-in")

    def ready(self) -> None:
        """Importing connects the receivers of the signals of Django and axes."""
        from licensehub.sign_in import receivers  # noqa: F401 - importing connects them
