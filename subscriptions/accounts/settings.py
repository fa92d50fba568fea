"""How the owner of an account reads the pages: the time zone."""

from __future__ import annotations

from django.contrib.auth.models import User

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
