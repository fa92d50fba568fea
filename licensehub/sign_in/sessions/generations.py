"""End the sessions of an account from any process, also from one that may not read them.

A worker lets a new password or the superuser status of an account take effect, and has no right on the sessions.
"""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import F

from licensehub.sign_in.models import SessionGeneration


def end_sessions(user: User) -> None:
    """End all sessions of this account: each at its next request. Call it in the transaction of the change."""
    SessionGeneration.objects.get_or_create(user=user)
    SessionGeneration.objects.filter(user=user).update(number=F("number") + 1)


def generation_of(user: User) -> int:
    """The number as it was loaded with the account."""
    try:
        return user.session_generation.number
    except SessionGeneration.DoesNotExist:
        return 0


def stored_generation(user: User) -> int:
    """The number as it is now."""
    return SessionGeneration.objects.filter(user=user).values_list("number", flat=True).first() or 0
