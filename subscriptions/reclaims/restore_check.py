"""Compare what a restore brought back, the license and the role, with the seat before the reclaim."""

from __future__ import annotations

from dataclasses import dataclass

from integrations.connectors.contract import Connector, ConnectorError, Member, english
from subscriptions.eligibility.evaluate import evaluate_rows
from subscriptions.eligibility.terms import current_terms
from subscriptions.models import Reclaim, Subscription
from subscriptions.reclaims.recheck import write_facts

ACTIVE_AGAIN = english("Active again. {compared}")
NOT_COMPARED = english("Active again. License and role were not compared: {error}")
NOT_LISTED = english(
    "Active again. License and role were not compared: the vendor's list of members does not show the person as "
    "active yet. The next download reads them."
)
# Whether the license and the role are the same as before -> the sentence.
COMPARED = {
    (True, True): english("License is {license}, as before. Role is {role}, as before."),
    (True, False): english("License is {license}, as before. Role is {role} now, was {role_before}."),
    (False, True): english("License is {license} now, was {license_before}. Role is {role}, as before."),
    (False, False): english("License is {license} now, was {license_before}. Role is {role} now, was {role_before}."),
}


@dataclass(frozen=True, slots=True)
class RestoredSeat:
    """`member` is None where the vendor did not answer; the sentence says so."""

    sentence: str
    member: Member | None = None

    @property
    def license(self) -> str:
        """The license that the vendor shows now; empty where it did not answer."""
        return self.member.license if self.member else ""


def read_restored_seat(item: Reclaim, connector: Connector) -> RestoredSeat:
    """Ask the vendor for this person's current seat. Nothing is written; an error becomes a sentence."""
    row = item.subscription
    try:
        found = {member.external_id: member for member in connector.people({row.external_id: row.email})}
    except ConnectorError as error:
        return RestoredSeat(NOT_COMPARED.format(error=error.message))
    member = found.get(row.external_id)
    if member is None or not member.active:
        return RestoredSeat(NOT_LISTED)
    return RestoredSeat(ACTIVE_AGAIN.format(compared=_compared(item, member)), member)


def _compared(item: Reclaim, member: Member) -> str:
    connector = item.profile.connector
    evidence = item.removal.evidence
    license, before = member.license, evidence["license"]
    role, role_before = member.role, evidence["role"]
    return COMPARED[license == before, role == role_before].format(
        license=connector.licenses.get(license, license),
        license_before=connector.licenses.get(before, before),
        role=connector.roles.get(role, role),
        role_before=connector.roles.get(role_before, role_before),
    )


def note_facts(item: Reclaim, found: RestoredSeat) -> None:
    """Write the facts after the restore is done. Earlier, its own change would look like one made by somebody else."""
    if found.member is None:
        return
    write_facts(item.profile, [found.member])
    evaluate_rows(Subscription.objects.filter(pk=item.subscription_id), current_terms(item.profile_id), few=True)
