"""The settings of an account for its pages: the time zone and the language."""

from __future__ import annotations

from django.contrib.auth.models import User

from licensehub.ui.languages import default_language, known_language
from subscriptions.models import AccountSettings


def time_zone_of(user: User) -> str:
    """The time zone that the owner has chosen; empty for the browser's."""
    try:
        return user.account_settings.time_zone
    except AccountSettings.DoesNotExist:
        return ""


def choose_time_zone(user: User, name: str) -> None:
    """Store the owner's choice: a name of the time zone database, or an empty text for the browser's."""
    AccountSettings.objects.update_or_create(user=user, defaults={"time_zone": name})


def language_of(user: User) -> str:
    """The language that the owner has chosen, e.g. `de`; empty for the browser's."""
    try:
        return user.account_settings.language
    except AccountSettings.DoesNotExist:
        return ""


def mail_language_of(user: User) -> str:
    """The language of mails to the owner: the owner's choice, else `DEFAULT_LANGUAGE`, since a mail has no browser."""
    return known_language(language_of(user)) or default_language()


def choose_language(user: User, code: str) -> None:
    """Store the owner's choice: a code of `LANGUAGES`, or an empty text for the browser's."""
    AccountSettings.objects.update_or_create(user=user, defaults={"language": code})
