"""The users who may decide a request. They are found again each time, since accounts, roles and addresses change.

This is `decide.refuse_first_person` for many accounts at once. A test compares the two.
"""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import QuerySet

from subscriptions.accounts.own_seat import Seat, accounts_of, identity_of, seats_of
from subscriptions.models import ReclaimRequest

DECIDE = "subscriptions.decide_reclaimrequest"
BACKEND = "django.contrib.auth.backends.ModelBackend"


def people_with(permission: str) -> QuerySet[User]:
    """Active accounts that can sign in and have this permission, by a role or directly. Superusers are among them."""
    return User.objects.with_perm(permission, backend=BACKEND).filter(is_active=True, is_staff=True)


def deciders_of(request: ReclaimRequest) -> QuerySet[User]:
    """The users who may decide this request.

    Not the requester, the user who raised its cap, one of its people, or a user who made a candidate of one of them in
    a review. An account without an e-mail address may belong to one of these, so it is not among the deciders.
    """
    first = {
        pk
        for user in (request.requested_by, request.cap_raised_by, *User.objects.filter(pk__in=reviewers_of(request)))
        if user
        for pk in accounts_of(user, request.profile)
    }
    others = people_with(DECIDE).exclude(email="").exclude(pk__in=first)
    seats = [Seat(*row) for row in seats_of(request.removals.not_dropped())]
    return others.exclude(pk__in=[user.pk for user in others if _is_one_of(seats, user, request)])


def reviewers_of(request: ReclaimRequest) -> set[int]:
    """The ids of the users who made a candidate of somebody in this request who needed review.

    The schedule may have filed the request, and then theirs would be the only decision on this person.
    """
    reviewed = request.removals.not_dropped().filter(evidence__has_key="review")
    return {evidence["review"].get("by_id") for evidence in reviewed.values_list("evidence", flat=True)} - {None}


def _is_one_of(seats: list[Seat], user: User, request: ReclaimRequest) -> bool:
    """Whether the user is one of these people, or may be: an account without an address may be anybody."""
    mine = identity_of(user, request.profile)
    return not user.email.strip() or any(map(mine.owns, seats))
