"""Times in the time zone of the person who reads them.

The choice of the account counts, else the browser's time zone, which a script writes into a cookie, else `TIME_ZONE`.
Mails, tasks and pages for people without an account keep `TIME_ZONE`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from integrations.scopes.account_scopes import within_scope
from licensehub.sign_in.passwords.guessing import PasswordBackend
from licensehub.ui.time_zones import known_zone, zone_of_browser
from subscriptions.accounts.settings import time_zone_of


class AccountBackend(PasswordBackend):
    """Loads an account with its settings, its scope and the number of its sessions, since every page needs them."""

    def get_user(self, user_id: int) -> User | None:
        of_pages = ("account_settings", "profile_scope", "session_generation", "service_account")
        user = User.objects.select_related(*of_pages).filter(pk=user_id).first()
        return user if user and self.user_can_authenticate(user) else None

    def user_can_authenticate(self, user: Any) -> bool:
        """An account of a program signs in nowhere, whatever an admin made of it: four eyes knows nobody who did."""
        return bool(super().user_can_authenticate(user)) and getattr(user, "service_account", None) is None

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Leave out rights on the whole company for an account whose roles hold for some profiles only."""
        return within_scope(user_obj, super().get_all_permissions(user_obj, obj))


class TimeZoneMiddleware:
    """Put it after the authentication."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with timezone.override(zone_of(request) or timezone.get_default_timezone()):
            return self.get_response(request)


def zone_of(request: HttpRequest) -> ZoneInfo | None:
    """The time zone of the person who reads this page; None for `TIME_ZONE`."""
    if not request.user.is_authenticated:
        return None
    return known_zone(time_zone_of(request.user)) or zone_of_browser(request)
