"""The address of an account and its owner at a vendor, by the signed events.

Four eyes compares rows, and somebody who can write to the database can give one of two own accounts another address. So
nobody decides while a row of an account that takes part differs from the newest event about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.chain.signed import NotSigned, newest_signed
from licensehub.audit.models import AuditEvent
from subscriptions.accounts.own_seat import Identity
from subscriptions.errors import Refused
from subscriptions.models import AccountPerson, ChangeKind

EMAIL, PERSONS = "email", "persons"
FACTS = (Action.USER_CREATED, Action.USER_CHANGED)
TELLING = (
    *FACTS,
    *(Action.ACCOUNT_BY_SIGN_ON, Action.RIGHTS_TOOK_EFFECT, Action.ACCOUNT_CONFIRMED, Action.API_TOKEN_MADE),
    *(Action.ACCOUNT_PERSON_FOUND, Action.ACCOUNT_PERSON_LINKED, Action.ACCOUNT_PERSON_UNLINKED),
)


@dataclass(slots=True)
class _Said:
    """`email`: None if no event says it. `persons`: (kind, organization, id) -> whether an admin entered it. `holders`:
    those who made or got a token of a service account.
    """

    email: str | None = None
    persons: dict[tuple[str, str, str], bool] = field(default_factory=dict)
    holders: set[int] = field(default_factory=set)

    def add(self, event: AuditEvent) -> None:
        action, data = Action(event.action), event.data
        if action == Action.API_TOKEN_MADE:
            holders = (event.actor_id, data.get("holder_id")) if event.actor_id != event.target_id else ()
            self.holders |= {pk for pk in holders if pk is not None}
        elif action in (Action.ACCOUNT_PERSON_FOUND, Action.ACCOUNT_PERSON_LINKED, Action.ACCOUNT_PERSON_UNLINKED):
            self._add_person(action, data)
        elif action == Action.RIGHTS_TOOK_EFFECT:
            self.email = data["after"] if data.get("kind") == ChangeKind.ADDRESS else self.email
        else:
            facts = data.get("after", {}) if action in FACTS else data
            # Of a text that was erased, nobody knows what it said.
            self.email = facts.get(EMAIL, self.email) if data else None
            if PERSONS in data:
                self.persons = {(kind, organization, pk): linked for kind, organization, pk, linked in data[PERSONS]}

    def _add_person(self, action: Action, data: Mapping[str, Any]) -> None:
        if not data:
            return
        person = (data["kind"], data["organization_id"], data["external_id"])
        if action == Action.ACCOUNT_PERSON_UNLINKED:
            self.persons.pop(person, None)
        else:
            self.persons[person] = action == Action.ACCOUNT_PERSON_LINKED or self.persons.get(person, False)

    def is_hidden_by(self, row: Identity, profile: IntegrationProfile) -> bool:
        """Whether the rows leave out something by which four eyes would find the owner."""
        here = {
            pk: linked
            for (kind, organization, pk), linked in self.persons.items()
            if (kind, organization) == (profile.kind, profile.organization_id)
        }
        return (
            (self.email is not None and self.email != row.address)
            or not {pk for pk in here if pk} <= row.ids
            or (row.confirmed and not any(here.values()))
            or not self.holders <= row.holders
        )


def facts_of(user: User) -> dict[str, Any]:
    """For the event of an operator, who has looked at the account with its person."""
    rows = AccountPerson.objects.filter(user=user).order_by("pk")
    persons = [[row.kind, row.organization_id, row.external_id, row.linked_by_id is not None] for row in rows]
    return {EMAIL: user.email, PERSONS: persons}


def refuse_hidden(accounts: Iterable[int], *, identities: Mapping[int, Identity], profile: IntegrationProfile) -> None:
    """Raise Refused when the rows of one of these accounts hide who owns it. One query."""
    chosen = {pk: identities[pk] for pk in accounts if pk in identities}
    events = AuditEvent.objects.filter(target_type=User._meta.label_lower, target_id__in=[*chosen])
    said = {pk: _Said() for pk in chosen}
    hidden = set()
    for event in events.filter(action__in=[action.value for action in TELLING]).order_by("sequence"):
        try:
            newest_signed([event])
        except NotSigned:
            hidden.add(event.target_id)
        else:
            said[event.target_id].add(event)
    hidden |= {pk for pk, row in chosen.items() if said[pk].is_hidden_by(row, profile)}
    if hidden:
        names = User.objects.filter(pk__in=hidden).order_by("username").values_list("username", flat=True)
        raise Refused(
            _(
                "The address or the own seat of {accounts} differs from what the audit says, so somebody may have "
                "changed it in the database. Nothing was changed. Ask an operator to check the account, and then to "
                "run “manage.py confirm_account”."
            ).format(accounts=", ".join(names))
        )
