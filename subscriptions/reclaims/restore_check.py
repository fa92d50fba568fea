"""Compare what a restore brought back, the license and the role, with the seat before the reclaim."""

from __future__ import annotations

from dataclasses import dataclass

from integrations.connectors.contract import Connector, ConnectorError, Member
from subscriptions.eligibility.evaluate import evaluate_rows
from subscriptions.eligibility.terms import current_terms
from subscriptions.models import Reclaim, Subscription
from subscriptions.reclaims.recheck import write_facts


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
        return RestoredSeat(f"Active again. License and role were not compared: {error.message}")
    member = found.get(row.external_id)
    if member is None or not member.active:
        return RestoredSeat(
            "Active again. License and role were not compared: the vendor's list of members does not show the person "
            "as active yet. The next download reads them."
        )
    return RestoredSeat(f"Active again. {_compared(item, member)}", member)


def _compared(item: Reclaim, member: Member) -> str:
    connector = item.profile.connector
    evidence = item.removal.evidence
    facts = (
        ("License", connector.licenses, member.license, evidence["license"]),
        ("Role", connector.roles, member.role, evidence["role"]),
    )
    return " ".join(
        f"{name} is {labels.get(now, now)}, as before."
        if now == before
        else f"{name} is {labels.get(now, now)} now, was {labels.get(before, before)}."
        for name, labels, now, before in facts
    )


def note_facts(item: Reclaim, found: RestoredSeat) -> None:
    """Write the facts after the restore is done. Earlier, its own change would look like one made by somebody else."""
    if found.member is None:
        return
    write_facts(item.profile, [found.member])
    evaluate_rows(Subscription.objects.filter(pk=item.subscription_id), current_terms(item.profile_id), few=True)
