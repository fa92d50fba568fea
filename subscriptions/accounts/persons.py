"""Find the member who owns each account, by the account's address, after each download.

The member's id is kept when the member is renamed, or when the address of the account changes. Only a company admin
can correct it, and nobody can for their own account.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from integrations.connectors.contract import normalized
from integrations.models import IntegrationProfile
from integrations.scopes.visibility import seen_by
from licensehub.audit.actions import Action
from licensehub.audit.log import Row, record, record_rows
from subscriptions.accounts.mailbox import mailbox
from subscriptions.accounts.own_seat import accounts_of
from subscriptions.accounts.scope import refuse_outside
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import AccountPerson, Subscription
from subscriptions.models.subscription import address_key

BATCH = 500


def find_persons(profile: IntegrationProfile, users: QuerySet[User] | None = None) -> int:
    """Note the person of each account (or of these `users`) whose address a member has. Returns how many are new."""
    if not profile.organization_id:
        return 0
    everybody = User.objects.all() if users is None else users
    accounts: dict[tuple[str, str], list[tuple[int, str, str]]] = defaultdict(list)
    for pk, username, email in everybody.exclude(email="").values_list("pk", "username", "email"):
        accounts[mailbox(email)].append((pk, username, email))
    accounts.pop(("", ""), None)
    wanted = {
        (account, external_id)
        for external_id, email in _members_with(profile, accounts)
        for account in accounts.get(mailbox(email), ())
    }
    with transaction.atomic():
        known = set(AccountPerson.objects.of_organization(profile).values_list("user", "external_id"))
        new = sorted(found for found in wanted if (found[0][0], found[1]) not in known)
        organization = {"kind": profile.kind, "organization_id": profile.organization_id}
        AccountPerson.objects.bulk_create(
            [
                AccountPerson(user_id=pk, external_id=external_id, email=email, **organization)
                for (pk, _, email), external_id in new
            ],
            ignore_conflicts=True,  # somebody saved the account at the same moment
        )
        rows = [
            Row(User._meta.label_lower, pk, username, {"external_id": external_id, "by": email, **organization})
            for (pk, username, email), external_id in new
        ]
        record_rows(Action.ACCOUNT_PERSON_FOUND, actor=None, rows=rows)
    return len(new)


def _members_with(
    profile: IntegrationProfile, accounts: Mapping[tuple[str, str], list[tuple[int, str, str]]]
) -> Iterator[tuple[str, str]]:
    """Id and address of the members who may have one of these mailboxes, for an exact comparison."""
    as_written = {email for same in accounts.values() for _, _, email in same}
    addresses = sorted({"@".join(parts) for parts in accounts} | as_written)
    members = Subscription.objects.filter(profile=profile, gone_at=None).order_by()
    rows = members.annotate(address=address_key()).values_list("external_id", "email")
    for start in range(0, len(addresses), BATCH):
        some = addresses[start : start + BATCH]
        yield from rows.filter(address__in=[normalized(one) for one in some])
    if addresses:
        yield from rows.filter(email__contains="+")


@seen_by(None)
def find_everywhere(user: User) -> None:
    """Find the persons of one account in all organizations, e.g. when its address has changed."""
    for profile in IntegrationProfile.objects.in_use():
        find_persons(profile, User.objects.filter(pk=user.pk))


def persons_of(user: User, profile: IntegrationProfile) -> list[tuple[AccountPerson, Subscription | None]]:
    """The known persons of this account in the profile's organization, each with the member, if there is one."""
    persons = list(AccountPerson.objects.of_organization(profile).filter(user=user))
    rows = Subscription.objects.filter(profile=profile, external_id__in=[found.external_id for found in persons])
    members = {row.external_id: row for row in rows}
    return [(found, members.get(found.external_id)) for found in persons]


# --- By a company admin -----------------------------------------------------------------------------------------------


def link(user: User, profile: IntegrationProfile, external_id: str, *, actor: User) -> Subscription | None:
    """Enter the owner of this account: a member's id, or "" for somebody without a seat there.

    Returns the member. Raises Refused for an own account, and for an id that no member has.
    """
    refuse_outside(actor, None)
    _refuse_own_account(user, profile, actor)
    wanted = external_id.strip()
    member = Subscription.objects.filter(profile=profile, external_id=wanted).first() if wanted else None
    if wanted and member is None:
        raise Refused(
            _("No member of “{profile}” has the ID {wanted}. Copy it from the page of the subscription.").format(
                profile=profile, wanted=wanted
            )
        )
    with transaction.atomic():
        organization = {"kind": profile.kind, "organization_id": profile.organization_id}
        AccountPerson.objects.update_or_create(
            user=user,
            external_id=wanted,
            kind=profile.kind,
            organization_id=profile.organization_id,
            defaults={"linked_by": actor, "email": ""},
        )
        data = {"external_id": wanted, **organization}
        record(Action.ACCOUNT_PERSON_LINKED, actor=actor, target=user, data=data)
    return member


def unlink(person: AccountPerson, *, actor: User) -> None:
    """Remove this person from the account. If the address matches, the next download finds the person again."""
    # Any profile of the organization will do: all of them may be archived by now.
    refuse_outside(actor, None)
    profile = IntegrationProfile(kind=person.kind, organization_id=person.organization_id)
    _refuse_own_account(person.user, profile, actor)
    with transaction.atomic():
        data = {
            "external_id": person.external_id,
            "kind": person.kind,
            "organization_id": person.organization_id,
        }
        if AccountPerson.objects.filter(pk=person.pk).delete()[0] != 1:
            raise NotActionable(_("This was removed already. Nothing was changed."))
        record(Action.ACCOUNT_PERSON_UNLINKED, actor=actor, target=person.user, data=data)


def _refuse_own_account(user: User, profile: IntegrationProfile, actor: User) -> None:
    """Also for another account of the same person, who could approve with it what this one requests."""
    if user.pk in accounts_of(actor, profile):
        raise Refused(_("This is your own account. Another company admin has to say who you are at the vendor."))
