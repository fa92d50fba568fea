"""Who may decide a request: found anew at each moment, since accounts, roles and addresses change.

This is `decide.refuse_first_person` for many accounts at once; a test compares the two.
"""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import QuerySet

from subscriptions.accounts.own_seat import Seat, accounts_of, identity_of, seats_of
from subscriptions.models import ReclaimRequest

DECIDE = "subscriptions.decide_reclaimrequest"
BACKEND = "django.contrib.auth.backends.ModelBackend"


def people_with(permission: str) -> QuerySet[User]:
    """Active accounts that can sign in, with this permission, by a role or by themselves. Superusers are among them."""
    return User.objects.with_perm(permission, backend=BACKEND).filter(is_active=True, is_staff=True)


def deciders_of(request: ReclaimRequest) -> QuerySet[User]:
    """The users who may decide this request: neither its requester, nor who raised its cap, nor one of its people.

    An account without an e-mail address cannot be told apart from these, so it is not among them.
    """
    first = {
        pk
        for user in (request.requested_by, request.cap_raised_by)
        if user
        for pk in accounts_of(user, request.profile)
    }
    others = people_with(DECIDE).exclude(email="").exclude(pk__in=first)
    seats = [Seat(*row) for row in seats_of(request.removals.not_dropped())]
    return others.exclude(pk__in=[user.pk for user in others if _is_one_of(seats, user, request)])


def _is_one_of(seats: list[Seat], user: User, request: ReclaimRequest) -> bool:
    """Or may be: nobody knows it without an address."""
    mine = identity_of(user, request.profile)
    return not user.email.strip() or any(map(mine.owns, seats))
