"""The users who may decide a request. They are found again each time, since accounts, roles and addresses change.

This is `decide.refuse_first_person` for many accounts at once. A test compares the two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from django.contrib.auth.models import User
from django.db.models import QuerySet

from integrations.models import IntegrationProfile
from subscriptions.accounts.origins import Hands, hands, tied_to
from subscriptions.accounts.own_seat import (
    SEAT,
    Identity,
    accounts_with_a_seat,
    identities_in,
    same_person_as,
    seats_of,
)
from subscriptions.accounts.rights import DECIDE, people_with
from subscriptions.approvals.parties import parties_of, rule_changes_of
from subscriptions.models import ReclaimRequest, RequestedRemoval


def deciders_of(request: ReclaimRequest) -> QuerySet[User]:
    """The users who may decide this request.

    Not the requester, the user who raised its cap, one of its people, a user who made a candidate of one of them in a
    review, or who wrote the rule by which the schedule made it; nor an account that one of these made or reset lately.
    An account without an e-mail address may belong to one of these, so it is not among the deciders.
    """
    deciders = people_with(DECIDE, request.profile_id)
    seats = seats_of(request.removals.not_dropped())
    allowed = set(deciders.values_list("pk", flat=True))
    parties = parties_of(request) | reviewers_of(request)
    return deciders.filter(pk__in=_able(identities_in(request.profile), allowed, parties, seats, hands()))


def _able(
    identities: Mapping[int, Identity],
    allowed: set[int],
    parties: set[int],
    seats: Iterable[tuple[str, str, str]],
    made_by: Hands,
) -> set[int]:
    """The accounts among `allowed` that have an address, no part in the request, and no tie to one that has."""
    first = same_person_as([pk for pk in identities if pk in parties], identities)
    others = allowed - set(first) - tied_to(first, made_by)
    able = {pk: mine for pk, mine in identities.items() if pk in others and mine.address.strip()}
    return able.keys() - accounts_with_a_seat(able, seats)


def undecidable(profile: IntegrationProfile, requests: Iterable[ReclaimRequest]) -> list[ReclaimRequest]:
    """The requests among these that nobody may decide. All belong to the profile. Takes at most five queries."""
    rows = list(requests)
    if not rows:
        return []
    people = RequestedRemoval.objects.not_dropped().filter(request__in=rows).order_by()
    seats: dict[int, list[tuple[str, str, str]]] = defaultdict(list)
    reviewers: dict[int, set[int]] = defaultdict(set)
    for pk, reviewer, *seat in people.values_list("request", "evidence__review__by_id", *SEAT):
        seats[pk].append((seat[0], seat[1], seat[2]))
        reviewers[pk].add(reviewer)
    identities, allowed = identities_in(profile), set(people_with(DECIDE, profile.pk).values_list("pk", flat=True))
    by_schedule = any(row.requested_by_id is None for row in rows)
    made_by, changes = hands(), rule_changes_of(profile) if by_schedule else []
    parties = {row.pk: parties_of(row, changes) | reviewers[row.pk] for row in rows}
    return [row for row in rows if not _able(identities, allowed, parties[row.pk], seats[row.pk], made_by)]


def reviewers_of(request: ReclaimRequest) -> set[int]:
    """The ids of the users who made a candidate of somebody in this request who needed review.

    The schedule may have filed the request, and then theirs would be the only decision on this person.
    """
    reviewed = request.removals.not_dropped().filter(evidence__has_key="review")
    return {evidence["review"].get("by_id") for evidence in reviewed.values_list("evidence", flat=True)} - {None}
