"""The accounts that need a second factor, and the check that a session has used one.

An account that needs one and has none sets it up first: after the sign-in there is no other page. An account that has
one uses it in each kind of sign-in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from licensehub.sign_in.factors.fernet import fernet

# The key of the session, and its values.
STATE: Final = "second_factor"
USED: Final = "used"
NOT_NEEDED: Final = "not needed"
SET_UP: Final = "set up"
MISSING: Final = "missing"

# Recovery codes alone are no factor: they stand in for one that is lost.
FACTORS: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
# What can be reached before a factor is set up.
OPEN: Final = frozenset(
    {
        "factors",
        "mfa_activate_totp",
        "mfa_add_webauthn",
        "mfa_view_recovery_codes",
        "mfa_download_recovery_codes",
        "admin:login",
        "admin:logout",
        "admin:jsi18n",
    }
)


def is_needed(user: User) -> bool:
    """Whether a role of this account asks for a second factor, or what it may do. Superusers may do everything.

    The name of a role alone says little: admins make others, and give single permissions.
    """
    roles = settings.SECOND_FACTOR_ROLES
    if not roles:
        return False
    if user.is_superuser or user.groups.filter(name__in=roles).exists():
        return True
    return any(user.has_perm(permission) for permission in settings.SECOND_FACTOR_PERMISSIONS)


def has_one(user: User) -> bool:
    return Authenticator.objects.filter(user=user, type__in=FACTORS).exists()


def may_remove(authenticator: Authenticator) -> bool:
    """The last factor of an account that needs one stays."""
    if authenticator.type not in FACTORS or not is_needed(authenticator.user):
        return True
    return Authenticator.objects.filter(user=authenticator.user, type__in=FACTORS).exclude(pk=authenticator.pk).exists()


def note(request: HttpRequest, user: User, *, used: bool) -> None:
    """Write into the session what its sign-in proved. `used`: a factor was, or one that the provider asked for."""
    if used:
        state = USED
    elif has_one(user):
        state = MISSING
    else:
        state = SET_UP if is_needed(user) else NOT_NEEDED
    request.session[STATE] = state


class SecondFactorMiddleware:
    """Put it after the limits of the session."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        user, match = request.user, request.resolver_match
        if not isinstance(user, User):
            return None
        if STATE not in request.session:
            note(request, user, used=False)
        state = request.session[STATE]
        if state in (USED, NOT_NEEDED) or (match is not None and match.view_name in OPEN and state == SET_UP):
            return None
        if state == SET_UP:
            return HttpResponseRedirect(reverse("factors"))
        # The account has a factor, and this sign-in did not ask for it.
        logout(request)
        return HttpResponseRedirect(reverse("admin:login"))


def may_read() -> bool:
    """Whether the database lets this process read factors. The user of the workers may not."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege(%s, 'SELECT')", [Authenticator._meta.db_table])
        return bool(cursor.fetchone()[0])


def stored_secrets() -> list[str]:
    """The encrypted secrets of all factors; none where this process may not read them."""
    if not may_read():
        return []
    return [str(row.data[name]) for row in Authenticator.objects.all() for name in _secrets_of(row)]


def encrypt_again() -> int:
    """Encrypt the secrets that are not encrypted with the newest of CREDENTIAL_KEYS. Returns how many rows."""
    newest, done = Fernet(settings.CREDENTIAL_KEYS[0]), 0
    for row in Authenticator.objects.all():
        old = [name for name in _secrets_of(row) if not _is_of(newest, str(row.data[name]))]
        fresh = {name: fernet().rotate(str(row.data[name]).encode()).decode() for name in old}
        if fresh:
            done += Authenticator.objects.filter(pk=row.pk, data=row.data).update(data={**row.data, **fresh})
    return done


def _secrets_of(row: Authenticator) -> list[str]:
    """`secret` of an app, `seed` of recovery codes. A passkey has none."""
    return [name for name in ("secret", "seed") if isinstance(row.data.get(name), str)]


def _is_of(key: Fernet, text: str) -> bool:
    try:
        key.decrypt(text.encode())
    except InvalidToken:
        return False
    return True


def method_name(kind: str) -> str:
    """`totp` -> `App with codes`, in the language of the reader."""
    names: dict[str, str] = {
        Authenticator.Type.TOTP: _("App with codes"),
        Authenticator.Type.WEBAUTHN: _("Passkey or security key"),
        Authenticator.Type.RECOVERY_CODES: _("Recovery codes"),
    }
    return names.get(kind, kind)
