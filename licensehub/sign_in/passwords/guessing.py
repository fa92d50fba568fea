"""Wrong passwords: how many tries there are, and what happens after the last one.

django-axes counts them in the database, so all web processes share the count. Tries are counted by account and by
address. A known browser of the account has tries of its own, and is not stopped by the count of others. A try that is
refused is not counted, so nobody keeps a lockout going by trying on.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from allauth.socialaccount.models import SocialAccount
from axes.attempts import get_cool_off_threshold
from axes.backends import AxesStandaloneBackend
from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from axes.signals import user_locked_out
from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.translation import gettext as _

from licensehub.sign_in.pages import page
from licensehub.sign_in.passwords.unlocking import BROWSER, is_unlocked
from licensehub.sign_in.sessions.devices import known_browser


def counted_name(request: HttpRequest, credentials: dict[str, Any] | None) -> str | None:
    """The name under which axes counts this try."""
    name = (credentials or {}).get("username")
    if name is None:
        return None
    browser = known_browser(request, str(name))
    return f"{name}{BROWSER}{browser}" if browser else str(name)


class Guessing(AxesDatabaseHandler):
    """Counts by account and by address with a limit for each; axes has one limit for both."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        """One question for each count. Those of others do not stop a known browser."""
        name, typed = counted_name(request, credentials), (credentials or {}).get("username")
        if self._failures(request, username=name) >= settings.SIGN_IN_TRIES and not is_unlocked(str(typed)):
            return True
        if typed is not None and known_browser(request, str(typed)):
            return False
        address = request.axes_ip_address  # type: ignore[attr-defined]  # axes sets it
        return self._failures(request, ip_address=address) >= settings.SIGN_IN_TRIES_PER_ADDRESS

    def _failures(self, request: HttpRequest, **who: str | None) -> int:
        if None in who.values():
            return 0
        rows = AccessAttempt.objects.filter(**who, attempt_time__gte=get_cool_off_threshold(request))
        return int(rows.aggregate(total=Sum("failures_since_start"))["total"] or 0)

    def user_login_failed(self, sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
        """Count a wrong password. A try that was refused writes nothing."""
        if request is None or request.axes_locked_out:
            return
        # axes keeps the fields of the request beside the count, and other forms than the sign-in have secrets in them.
        bare = copy(request)
        bare.GET, bare.POST = QueryDict(), QueryDict()
        super().user_login_failed(sender, credentials, bare, **kwargs)
        request.__dict__.update({name: value for name, value in vars(bare).items() if name.startswith("axes_")})
        if not request.axes_locked_out and self.is_locked(request, credentials):
            request.axes_locked_out = True
            user_locked_out.send(
                "axes",
                request=request,
                username=credentials.get("username"),
                ip_address=request.axes_ip_address,
            )

    def reset_user_attempts(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Forget the wrong passwords of this account, and not those of its address.

        Somebody with an account would else sign in between the guesses at another one.
        """
        rows = AccessAttempt.objects.filter(username=counted_name(request, credentials))
        return int(rows.delete()[0])


def may_sign_in_locally(username: str | None) -> bool:
    """Without local accounts, only the emergency accounts have a way in beside single sign-on."""
    return settings.LOCAL_ACCOUNTS or username in settings.BREAK_GLASS_ACCOUNTS


def needs_sign_on(user: User) -> bool:
    """Whether this account comes in by single sign-on only.

    For an account from the provider without a password here, the provider decides at each sign-in: it says whether the
    person still works here, and with which roles. A passkey of such an account is a second factor.
    """
    name = user.get_username()
    if not may_sign_in_locally(name):
        return True
    if name in settings.BREAK_GLASS_ACCOUNTS or user.has_usable_password():
        return False
    return SocialAccount.objects.filter(user=user).exists()


class PasswordBackend(AxesStandaloneBackend, ModelBackend):
    """Refuses before the hash of a password is computed."""

    def authenticate(  # type: ignore[override]  # as Django's ModelBackend
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> AbstractBaseUser | None:
        AxesStandaloneBackend.authenticate(self, request, username, password, **kwargs)
        if not may_sign_in_locally(username):
            # Django does the same for names that are no account, so the time of the answer shows no accounts.
            User(username=username or "").set_password(password)
            return None
        return ModelBackend.authenticate(self, request, username, password, **kwargs)


def lockout_page(request: HttpRequest, response: HttpResponse, credentials: dict[str, Any] | None) -> HttpResponse:
    """The answer to a try that was refused. The same for a name that is no account, and for the right password."""
    context = {"minutes": settings.SIGN_IN_PAUSE_MINUTES, "title": _("Too many wrong passwords")}
    return page(request, "sign_in/locked_out.html", context, status=429)
