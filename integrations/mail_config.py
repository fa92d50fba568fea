"""Tells whether mails, and the links in them, reach their readers."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings

from integrations.connectors.contract import english

NOWHERE = tuple(f"django.core.mail.backends.{name}.EmailBackend" for name in ("console", "dummy"))
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def mail_problem() -> str:
    """The reason that mails reach nobody, with the next step; "" when they reach people.

    Plain HTTP means one person on one machine, who reads the mails in the log.
    """
    if not settings.HTTPS:
        return ""
    if settings.EMAIL_BACKEND in NOWHERE:
        return english("Mails go to the log and reach nobody. Set EMAIL_URL.")
    if urlsplit(settings.PUBLIC_URL).hostname in THIS_MACHINE:
        return english("The links in mails lead to this machine, where nobody can follow them. Set PUBLIC_URL.")
    return ""
