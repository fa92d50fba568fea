"""Four eyes: find out whether a seat, or another account, belongs to the owner of the account that acts.

An address alone is not enough: people are renamed, and one mailbox has several forms. So these are compared: the
vendor's id of the owner (see `persons`), and the address of the evidence and that of today, both without the part after
a plus sign. The same name at another domain counts as the same person until a company admin says who the owner is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.fields.json import KT

from integrations.models import IntegrationProfile
from licensehub.audit.log import Actor
from subscriptions.bulk_sql import planned_for
from subscriptions.errors import ConcernsYou, OwnRequest, Refused
from subscriptions.models import AccountPerson, RemovalCandidate, RequestedRemoval
from subscriptions.models.address import mailbox

OWN_SEAT = "Your own seat is among these people, so you can neither request nor decide this. Ask a colleague."
NO_ADDRESS = (
    "Your account has no e-mail address, so LicenseHub cannot tell which seat is your own, or which other account. Ask "
    "a company admin to enter your address."
)
SAME_NAME = (
    "{address} has the same name before the @ as your account, so this may be your own seat. Ask a colleague. "
    "If it is somebody else, a company admin can say so on the page of your account."
)


class Seat(NamedTuple):
    """The person of a request: the vendor's id, the address in the evidence, and the address of today."""

    external_id: str
    frozen_email: str
    email: str

    @property
    def addresses(self) -> tuple[str, str]:
        return (self.frozen_email, self.email)


@dataclass(frozen=True, slots=True)
class Identity:
    """The known address and ids of the owner of an account, in one organization.

    `confirmed`: a company admin said who the owner is, so the same name at another domain is somebody else.
    """

    address: str
    ids: frozenset[str]
    confirmed: bool

    def owns(self, seat: Seat) -> bool:
        return seat.external_id in self.ids or any(map(self.has_address, seat.addresses))

    def has_address(self, address: str) -> bool:
        """Whether mail for this address may reach the owner."""
        (local, domain), (mine, my_domain) = mailbox(address), mailbox(self.address)
        return bool(local) and local == mine and (domain == my_domain or not self.confirmed)

    def address_is_own(self, column: str) -> Q:
        """`has_address` in SQL. A database that knows only ASCII capitals finds fewer; Python checks first."""
        local, domain = mailbox(self.address)
        if not local:
            return Q(pk__in=[])
        same_name = Q(**{f"{column}__istartswith": f"{local}@"}) | Q(**{f"{column}__istartswith": f"{local}+"})
        return same_name & Q(**{f"{column}__iendswith": f"@{domain}"}) if self.confirmed else same_name


def identity_of(user: User, profile: IntegrationProfile) -> Identity:
    persons = list(_persons(profile).filter(user=user).values_list("external_id", "linked_by"))
    return Identity(
        address=user.email or "",
        ids=frozenset(external_id for external_id, _ in persons if external_id),
        confirmed=any(linked_by for _, linked_by in persons),
    )


def _persons(profile: IntegrationProfile) -> QuerySet[AccountPerson]:
    return AccountPerson.objects.filter(kind=profile.kind, organization_id=profile.organization_id)


# --- Seats ------------------------------------------------------------------------------------------------------------


def seats_of(people: QuerySet[RequestedRemoval]) -> list[tuple[str, str, str]]:
    today = ("candidate__subscription__external_id", KT("evidence__email"), "candidate__subscription__email")
    with planned_for(people.count()):
        return list(people.order_by().values_list(*today))


def seats_of_candidates(candidates: QuerySet[RemovalCandidate]) -> QuerySet[RemovalCandidate, tuple[str, str, str]]:
    return candidates.order_by().values_list("subscription__external_id", KT("evidence__email"), "subscription__email")


def refuse_own_seat(seats: Iterable[tuple[str, str, str]], *, actor: Actor, profile: IntegrationProfile) -> None:
    """Raise ConcernsYou when one of these people is the actor, and Refused for an account without an address."""
    if actor is None:
        return
    if not actor.email.strip():
        raise Refused(NO_ADDRESS)
    mine = identity_of(actor, profile)
    for seat in (Seat(*seat) for seat in seats):
        if mine.owns(seat):
            raise ConcernsYou(_why_own(mine, seat))


def own_among(
    seats: Iterable[tuple[int, str, str, str]], *, actor: User, profile: IntegrationProfile
) -> dict[int, str]:
    """Id -> why this may be the actor's own seat, for those of these seats where it may. Each has its id before it."""
    mine = identity_of(actor, profile)
    found = ((pk, Seat(*seat)) for pk, *seat in seats)
    return {pk: _why_own(mine, seat) for pk, seat in found if mine.owns(seat)}


def _why_own(mine: Identity, seat: Seat) -> str:
    certain = Identity(mine.address, mine.ids, confirmed=True)
    if certain.owns(seat):
        return OWN_SEAT
    return SAME_NAME.format(address=next(filter(mine.has_address, seat.addresses)))


def own_candidates(actor: User, profile: IntegrationProfile) -> QuerySet[RemovalCandidate]:
    """The actor's own candidates, for the guard of an UPDATE."""
    mine = identity_of(actor, profile)
    linked = _persons(profile).filter(user=actor).exclude(external_id="").values("external_id")
    return RemovalCandidate.objects.annotate(frozen_email=KT("evidence__email")).filter(
        Q(subscription__external_id__in=linked)
        | mine.address_is_own("subscription__email")
        | mine.address_is_own("frozen_email")
    )


def is_own(actor: Actor, profile: IntegrationProfile) -> Q:
    """A condition on rows of RequestedRemoval: the person is the actor. It is never true for LicenseHub itself."""
    if actor is None:
        return Q(pk__in=[])
    return Q(Exists(own_candidates(actor, profile).filter(pk=OuterRef("candidate"))))


def has_own_seat(actor: User, profile: IntegrationProfile) -> Exists:
    """A condition on rows of ReclaimRequest: the actor is one of the people who were not dropped."""
    mine = RequestedRemoval.objects.not_dropped().filter(is_own(actor, profile), request=OuterRef("pk"))
    return Exists(mine)


# --- Accounts ---------------------------------------------------------------------------------------------------------


def accounts_of(actor: User, profile: IntegrationProfile) -> list[int]:
    """The ids of all accounts that belong to the same person as this one, itself included."""
    mine = identity_of(actor, profile)
    ids: dict[int, set[str]] = {}
    confirmed = set()
    for user_id, external_id, linked_by in _persons(profile).values_list("user", "external_id", "linked_by"):
        ids.setdefault(user_id, set()).add(external_id)
        if linked_by:
            confirmed.add(user_id)
    same = {actor.pk}
    for pk, email in User.objects.exclude(email="").values_list("pk", "email"):
        other = Identity(mine.address, mine.ids, mine.confirmed or pk in confirmed)
        if other.has_address(email) or mine.ids & ids.get(pk, set()):
            same.add(pk)
    return sorted(same)


def refuse_same_person(other: User | None, accounts: Iterable[int], *, sentence: str) -> None:
    """Raise OwnRequest, with the sentence, when the other account is one of the actor's `accounts`."""
    if other is not None and other.pk in accounts:
        raise OwnRequest(sentence)
