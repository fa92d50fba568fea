"""The users who may decide a request. They are found again each time, since accounts, roles and addresses change.

This is `decide.refuse_first_person` for many accounts at once. A test compares the two.
"""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import QuerySet

from subscriptions.accounts.own_seat import accounts_with_a_seat, identities_in, same_person_as, seats_of
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
    deciders = people_with(DECIDE)
    identities = identities_in(request.profile)
    known = {request.requested_by_id, request.cap_raised_by_id, *reviewers_of(request)}
    first = [pk for pk in identities if pk in known]
    others = set(deciders.exclude(pk__in=same_person_as(first, identities)).values_list("pk", flat=True))
    able = {pk: mine for pk, mine in identities.items() if pk in others and mine.address.strip()}
    concerned = accounts_with_a_seat(able, seats_of(request.removals.not_dropped()))
    return deciders.filter(pk__in=able.keys() - concerned)


def reviewers_of(request: ReclaimRequest) -> set[int]:
    """The ids of the users who made a candidate of somebody in this request who needed review.

    The schedule may have filed the request, and then theirs would be the only decision on this person.
    """
    reviewed = request.removals.not_dropped().filter(evidence__has_key="review")
    return {evidence["review"].get("by_id") for evidence in reviewed.values_list("evidence", flat=True)} - {None}
