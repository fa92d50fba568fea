"""Four eyes: find out whether a seat, or another account, belongs to the owner of the account that acts.

An address alone is not enough: people are renamed, and one mailbox has several forms. So these are compared: the
vendor's id of the owner (see `persons`), and the address of the evidence and that of today, both without the part after
a plus sign. The same name at another domain counts as the same person until a company admin says who the owner is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from django.contrib.auth.models import User
from django.db.models import Exists, FilteredRelation, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from integrations.models import IntegrationProfile
from licensehub.audit.log import Actor
from subscriptions.accounts.mailbox import mailbox
from subscriptions.bulk_sql import planned_for
from subscriptions.errors import ConcernsYou, OwnRequest, Refused
from subscriptions.models import AccountPerson, RemovalCandidate, RequestedRemoval

OWN_SEAT = _("Your own seat is among these people, so you can neither request nor decide this. Ask a colleague.")
NO_ADDRESS = _(
    "Your account has no e-mail address, so LicenseHub does not know which seat and which other account are yours. "
    "Ask a company admin to enter your address."
)
SAME_NAME = _(
    "{address} has the same name before the @ as your account, so this may be your own seat. "
    "Ask a colleague. If it is somebody else, a company admin can say so on the page of your "
    "account."
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
    `holders`: of a service account, the accounts that can act as it, since they made it or a token, or got one.
    """

    address: str
    ids: frozenset[str]
    confirmed: bool
    holders: frozenset[int] = frozenset()

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

    def is_same_person(self, other: Identity) -> bool:
        """Whether the owner of one account is that of the other. Both have the same organization."""
        certain = Identity(self.address, self.ids, self.confirmed or other.confirmed)
        return certain.has_address(other.address) or bool(self.ids & other.ids)


def identities_in(profile: IntegrationProfile, accounts: QuerySet[User] | None = None) -> dict[int, Identity]:
    """Account id -> its identity in the profile's organization, of all accounts or of these. One query."""
    here = Q(persons__kind=profile.kind, persons__organization_id=profile.organization_id)
    rows = (User.objects.all() if accounts is None else accounts).alias(
        here=FilteredRelation("persons", condition=here)
    )
    found: dict[int, Identity] = {}
    columns = ("pk", "email", "here__external_id", "here__linked_by", "service_account__holders")
    for pk, email, external_id, linked_by, holders in rows.values_list(*columns):
        known = found.get(pk, Identity(email, frozenset(), confirmed=False, holders=frozenset(holders or ())))
        ids = known.ids | {external_id} if external_id else known.ids
        found[pk] = replace(known, ids=ids, confirmed=known.confirmed or linked_by is not None)
    return found


def identity_of(user: User, profile: IntegrationProfile) -> Identity:
    return identities_in(profile, User.objects.filter(pk=user.pk))[user.pk]


# --- Seats ------------------------------------------------------------------------------------------------------------


# Empty where somebody has changed the evidence outside of LicenseHub.
FROZEN_EMAIL = Coalesce(KT("evidence__email"), Value(""), output_field=TextField())
# The columns of `Seat`, for rows of RequestedRemoval.
SEAT = ("candidate__subscription__external_id", FROZEN_EMAIL, "candidate__subscription__email")


def seats_of(people: QuerySet[RequestedRemoval]) -> list[tuple[str, str, str]]:
    with planned_for(people.count()):
        return list(people.order_by().values_list(*SEAT))


def seats_of_candidates(candidates: QuerySet[RemovalCandidate]) -> QuerySet[RemovalCandidate, tuple[str, str, str]]:
    return candidates.order_by().values_list("subscription__external_id", FROZEN_EMAIL, "subscription__email")


def refuse_own_seat(
    seats: Iterable[tuple[str, str, str]],
    *,
    actor: Actor,
    profile: IntegrationProfile,
    mine: Identity | None = None,
) -> None:
    """Raise ConcernsYou when one of these people is the actor, and Refused for an account without an address.

    `mine` is the identity of the actor, if the caller has read it.
    """
    if actor is None:
        return
    if not actor.email.strip():
        raise Refused(NO_ADDRESS)
    mine = mine or identity_of(actor, profile)
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
        return str(OWN_SEAT)
    return str(SAME_NAME).format(address=next(filter(mine.has_address, seat.addresses)))


def own_candidates(actor: User, profile: IntegrationProfile) -> QuerySet[RemovalCandidate]:
    """The actor's own candidates, for the guard of an UPDATE."""
    mine = identity_of(actor, profile)
    linked = AccountPerson.objects.of_organization(profile).filter(user=actor).exclude(external_id="")
    return RemovalCandidate.objects.annotate(frozen_email=KT("evidence__email")).filter(
        Q(subscription__external_id__in=linked.values("external_id"))
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


def accounts_with_a_seat(identities: Mapping[int, Identity], seats: Iterable[tuple[str, str, str]]) -> set[int]:
    """The ids of those accounts whose owner has one of these seats. It looks once at each seat, for all accounts."""
    ids = {external_id for mine in identities.values() for external_id in mine.ids}
    names = {mailbox(mine.address)[0] for mine in identities.values()}
    near = [
        seat
        for seat in (Seat(*seat) for seat in seats)
        if seat.external_id in ids or any(mailbox(address)[0] in names for address in seat.addresses)
    ]
    return {pk for pk, mine in identities.items() if any(map(mine.owns, near))}


# --- Accounts ---------------------------------------------------------------------------------------------------------


def accounts_of(actor: User, profile: IntegrationProfile) -> list[int]:
    """The ids of all accounts that belong to the same person as this one, itself included."""
    return same_person_as([actor.pk], identities_in(profile))


def same_person_as(accounts: Collection[int], identities: Mapping[int, Identity]) -> list[int]:
    """The ids of these accounts, and of all others that belong to one of their owners.

    Service accounts belong to everybody who holds a token of them.
    """
    mine = [identities[pk] for pk in accounts]
    owned = {pk for pk, other in identities.items() if other.address and any(one.is_same_person(other) for one in mine)}
    owned |= set(accounts)
    services = {pk for pk, other in identities.items() if not other.holders.isdisjoint(owned)}
    holders = {pk for one in owned if one in identities for pk in identities[one].holders}
    return sorted(owned | services | holders)


def refuse_same_person(other: User | None, accounts: Iterable[int], *, sentence: str) -> None:
    """Raise OwnRequest, with the sentence, when the other account is one of the actor's `accounts`."""
    if other is not None and other.pk in accounts:
        raise OwnRequest(sentence)
