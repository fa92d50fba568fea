"""The possible differences between the ledger and the vendor, each with a sentence and the next step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from integrations.connectors.contract import Member, english
from licensehub.ui.formatting import day_and_time
from subscriptions.activity.reactivation import REACTIVATED_COOLDOWN, let_back_in, times_let_back_in
from subscriptions.models import CloseReason, Direction, Reclaim, ReclaimState


class Kind(TextChoices):
    REACTIVATED = "reactivated", _("Reclaimed, but active")
    RESTORED_INACTIVE = "restored_inactive", _("Restored, but inactive")
    UNSENT_INACTIVE = "unsent_inactive", _("Not reclaimed, but inactive")
    RESTORED_AFTER_ALL = "restored_after_all", _("Restore without success, but active")
    UNEXPLAINED = "unexplained", _("Deactivated by somebody else")
    NOT_IN_LOG = "not_in_log", _("Not in the vendor's log")


LET_BACK_IN_AGAIN = english(
    "Reclaimed on {when}, but active at {vendor} now: somebody let this person back in. {times}"
)
ADVICE_FIRST = english(
    "{advice} Nothing, if that was meant: LicenseHub leaves this person alone for {days} days, and never reclaims "
    "again on the same approval."
)
HOW = {
    ReclaimState.SKIPPED.value: english("skipped"),
    ReclaimState.FAILED.value: english("refused"),
    ReclaimState.IN_DOUBT.value: english("in doubt"),
}
NOW_ACTIVE = frozenset({Kind.REACTIVATED, Kind.RESTORED_AFTER_ALL})


@dataclass(frozen=True, slots=True)
class Difference:
    """`reclaim` is the id of the ledger's item; None when the ledger has no item."""

    kind: Kind
    external_id: str
    person: str
    detail: str
    next_step: str
    reclaim: int | None = None
    at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "external_id": self.external_id,
            "person": self.person,
            "detail": self.detail,
            "next_step": self.next_step,
            "reclaim": self.reclaim,
            "at": self.at.isoformat() if self.at else None,
        }

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Difference:
        """The inverse of `as_json`."""
        at = datetime.fromisoformat(found["at"]) if found["at"] else None
        return cls(**{**found, "kind": Kind(found["kind"]), "at": at})


def in_ledger(ended: Iterable[Reclaim], members: Mapping[str, Member]) -> list[Difference]:
    """The differences of the last item of each person (`ended`). A person who left the organization makes none."""
    found: list[Reclaim] = []
    for item in ended:
        member = members.get(item.subscription.external_id)
        expected = _active_by_ledger(item)
        if member is not None and expected is not None and member.active != expected:
            found.append(item)
    times = times_let_back_in(item.subscription_id for item in found)
    return [_difference(item, times.get(item.subscription_id, 0)) for item in found]


def _active_by_ledger(item: Reclaim) -> bool | None:
    """Whether the ledger says that the person is active; None when it does not say, since somebody else acted first."""
    done, reclaim = item.state == ReclaimState.DONE, item.direction == Direction.DEACTIVATE
    if item.state == ReclaimState.TAMPERED:
        return None  # its row said that it waits, and perhaps it was sent before
    if done:
        return not reclaim
    if not reclaim:
        return None if item.state == ReclaimState.SKIPPED else False
    before_us = (CloseReason.ALREADY_INACTIVE, CloseReason.GONE)
    return None if item.removal.candidate.close_reason in before_us else True


def _difference(item: Reclaim, times: int) -> Difference:
    """`times`: how often this person was let back in after a reclaim."""
    when = day_and_time(item.finished_at)
    kind, detail, next_step = _TEXTS[item.direction, item.state == ReclaimState.DONE]
    if kind == Kind.REACTIVATED and times > 1:
        detail, next_step = LET_BACK_IN_AGAIN, ADVICE_FIRST
    return Difference(
        kind=kind,
        external_id=item.subscription.external_id,
        person=item.subscription.display_name,
        detail=detail.format(
            when=when, how=HOW.get(item.state, ""), vendor=item.profile.vendor, times=let_back_in(times)
        ),
        next_step=next_step.format(
            vendor=item.profile.vendor, days=REACTIVATED_COOLDOWN.days, advice=item.profile.texts.let_back_in
        ),
        reclaim=item.pk,
        at=item.finished_at,
    )


_TEXTS: dict[tuple[str, bool], tuple[Kind, str, str]] = {
    (Direction.DEACTIVATE.value, True): (
        Kind.REACTIVATED,
        english("Reclaimed on {when}, but active at {vendor} now: somebody let this person back in."),
        english(
            "Nothing, if that was meant: LicenseHub leaves this person alone for {days} days, and never reclaims "
            "again on the same approval."
        ),
    ),
    (Direction.REACTIVATE.value, True): (
        Kind.RESTORED_INACTIVE,
        english("Restored on {when}, but inactive at {vendor} now."),
        english("Ask this person's admin whether that was meant. If not, restore again in History."),
    ),
    (Direction.DEACTIVATE.value, False): (
        Kind.UNSENT_INACTIVE,
        english("The reclaim ended as “{how}” on {when}, but this person is inactive at {vendor} now."),
        english(
            "Ask who deactivated this person in {vendor}. If nobody did, activate them there: the reclaim did not "
            "succeed, as far as LicenseHub knows."
        ),
    ),
    (Direction.REACTIVATE.value, False): (
        Kind.RESTORED_AFTER_ALL,
        english("The restore ended as “{how}” on {when}, but this person is active at {vendor} now."),
        english("Nothing, if this person was to come back."),
    ),
}
