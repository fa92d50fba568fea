"""Dry run: the same steps and the same refusals as a send, up to the send itself, which is left out.

Each person is rechecked, and the fresh facts are written as in any recheck. No item ends, is queued or is sent. What
is not approved yet is tried as if it were approved now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings
from django.db.models import Case, QuerySet, When
from django.utils.translation import gettext as _

from integrations.credentials import credential_store
from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from licensehub.translations.stored import translated
from licensehub.ui.formatting import inside
from subscriptions.approvals.request import profiles_of
from subscriptions.candidates import caps
from subscriptions.errors import NotActionable
from subscriptions.models import (
    CandidateState,
    HoldReason,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RemovalCandidate,
    RequestedRemoval,
    RequestState,
)
from subscriptions.models.reclaims.request import WAITING
from subscriptions.reclaims.direction import RECLAIM, RESTORE, spec_for
from subscriptions.reclaims.engine import CLAIM
from subscriptions.reclaims.holds import item_hold, profile_hold, try_connections
from subscriptions.reclaims.recheck import Decision, recheck_in_order
from subscriptions.reclaims.signed.signatures import sign
from subscriptions.reclaims.signed.state import why_tampered

# With one of these holds, people are not even rechecked.
HOLDS_WITHOUT_RECHECK = (HoldReason.PAUSED, HoldReason.CONNECTION, HoldReason.LATER)


class Ending(StrEnum):
    """A possible ending for one person."""

    SEND = "send"
    NOT_SENT = "not_sent"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class PersonOutcome:
    """The ending for one person, and why. People are counted by `ending`, and within it by `kind`."""

    item: Reclaim
    ending: Ending
    kind: str
    why: str

    @property
    def person(self) -> str:
        return str(self.item.subscription)

    @property
    def heading(self) -> str:
        """The ending in a few words."""
        if self.ending != Ending.HOLD:
            return self.kind
        return _("Would wait: {reason}").format(reason=inside(self.kind))

    @property
    def sentence(self) -> str:
        """The ending and its reason in one line."""
        return self.why if self.ending == Ending.NOT_SENT else f"{self.heading}. {self.why}".strip()

    @property
    def request(self) -> str:
        """The number of the request; empty for a person who is in none yet."""
        asked = self.item.removal.request
        return asked.number if asked.pk else ""


@dataclass(frozen=True, slots=True)
class DryRun:
    """Everybody who was tried, in the order of a send. `left_out`: how many were not tried, because of the limit."""

    rows: tuple[PersonOutcome, ...]
    left_out: int = 0

    def count(self, ending: Ending) -> int:
        return sum(row.ending == ending for row in self.rows)

    def kinds(self, ending: Ending) -> list[tuple[str, int]]:
        """The kinds of this ending, each with its count, the most frequent first."""
        return Counter(row.kind for row in self.rows if row.ending == ending).most_common()


def summary(tried: DryRun) -> str:
    """The result: `Would deactivate 12. Not sent: 2 (active again). Would wait: 1 (sending is stopped).`"""
    if not tried.rows:
        return _("Nobody to try: nothing approved is due.")
    parts = [_("{kind} {count}.").format(kind=kind, count=count) for kind, count in tried.kinds(Ending.SEND)] or [
        _("Would send nothing.")
    ]
    for ending, heading in ((Ending.NOT_SENT, _("Not sent")), (Ending.HOLD, _("Would wait"))):
        if kinds := tried.kinds(ending):
            parts.append(f"{heading}: {for_display(kinds)}.")
    return " ".join(parts)


def for_display(kinds: list[tuple[str, int]]) -> str:
    """`2 (active again), 1 (license changed)`."""
    return ", ".join(f"{count} ({inside(kind)})" for kind, count in kinds)


# --- The items to try -------------------------------------------------------------------------------------------------


def try_queue(profile: IntegrationProfile, *, limit: int | None = None) -> DryRun:
    """Try everything approved that is due, restores first, as a send does. Raises the connector's errors."""
    due = Reclaim.objects.due().filter(profile=profile)
    restores_first = Case(When(direction=RESTORE.direction, then=0), default=1)
    rows = _with_related(due).order_by(restores_first, "queued_at", "pk")
    return _try(profile, list(rows[:limit]), of=due.count())


def try_request(request: ReclaimRequest, *, limit: int | None = None) -> DryRun:
    """Try one request: what is queued of an approved one, else everybody in it as if it were approved now.

    Raises NotActionable when it was decided otherwise, and the connector's errors.
    """
    if request.state == RequestState.APPROVED:
        queued = Reclaim.objects.filter(removal__request=request, state=ReclaimState.QUEUED)
        rows = _with_related(queued).order_by("queued_at", "pk")
        return _try(request.profile, list(rows[:limit]), of=queued.count())
    if request.state not in WAITING:
        raise NotActionable(
            _("{request} was {state}, so there is nothing to try.").format(
                request=request, state=inside(request.get_state_display())
            )
        )
    people = request.removals.not_dropped().select_related("candidate__subscription").order_by("pk")
    return _try(request.profile, _as_if_approved(request, people[:limit]), of=people.count())


def try_candidates(candidates: QuerySet[RemovalCandidate], *, limit: int | None = None) -> DryRun:
    """Try the Ready ones of these candidates as if they were requested and approved now, each profile by itself.

    More people than the cap: those who are inactive the longest come first, as in a split request.

    Raises NotActionable when none is Ready, and the connector's errors.
    """
    ready = candidates.filter(state=CandidateState.READY)
    tried = DryRun((), left_out=0)
    for profile in profiles_of(ready):
        left = None if limit is None else limit - len(tried.rows)
        found = _try_profile(profile, ready.filter(profile=profile), limit=left)
        tried = DryRun((*tried.rows, *found.rows), tried.left_out + found.left_out)
    return tried


def _try_profile(profile: IntegrationProfile, ready: QuerySet[RemovalCandidate], *, limit: int | None) -> DryRun:
    request = ReclaimRequest(profile=profile, cap=caps.batch_of(profile))
    count = ready.count()
    order = ("idle_since", "pk") if count > request.cap else ("pk",)
    rows = ready.select_related("subscription").order_by(*order)
    people = [RequestedRemoval(request=request, candidate=row, evidence=row.evidence) for row in rows[:limit]]
    return _try(profile, _as_if_approved(request, people), of=count)


def _with_related(rows: QuerySet[Reclaim]) -> QuerySet[Reclaim]:
    return rows.select_related("subscription", "removal__request__profile", "removal__candidate")


def _as_if_approved(request: ReclaimRequest, people: Iterable[RequestedRemoval]) -> list[Reclaim]:
    """Items in memory only. Their signatures name nobody who decided, so they fit no request in the database."""
    request.decided_at = database_now()
    request.valid_until = request.decided_at + settings.APPROVAL_VALIDITY
    same = {"profile": request.profile, "direction": request.direction}
    items = []
    for person in people:
        person.request = request
        signature = sign(person, request)
        items.append(Reclaim(**same, subscription=person.candidate.subscription, removal=person, signature=signature))
    return items


# --- The steps of a send ----------------------------------------------------------------------------------------------


def _try(profile: IntegrationProfile, items: list[Reclaim], *, of: int) -> DryRun:
    rows: list[PersonOutcome] = []
    for spec in (RESTORE, RECLAIM):
        rows += _walk(profile, [item for item in items if item.direction == spec.direction], spec.direction)
    return DryRun(tuple(rows), left_out=of - len(items))


def _walk(profile: IntegrationProfile, items: list[Reclaim], direction: str) -> list[PersonOutcome]:
    if not items:
        return []
    general_hold = profile_hold(profile, direction) or try_connections(profile, direction)
    if general_hold in HOLDS_WITHOUT_RECHECK:
        return [_held(item, general_hold) for item in items]
    connector = credential_store.connector_for(profile)
    rolling = caps.caps_of(profile).rolling
    ahead: caps.Ahead = Counter()
    rows: list[PersonOutcome] = []
    for start in range(0, len(items), CLAIM):
        batch = items[start : start + CLAIM]
        for item, decision in zip(batch, recheck_in_order(profile, batch, connector), strict=True):
            hold = general_hold or item_hold(profile, item, rolling=rolling, ahead=ahead)
            row = _foresee(item, decision, hold)
            ahead[item.removal.request_id] += row.ending == Ending.SEND
            rows.append(row)
    return rows


def _foresee(item: Reclaim, decision: Decision, hold: HoldReason | None) -> PersonOutcome:
    """The same choice as the engine makes after its recheck: end, wait, or send."""
    why = translated(decision.sentence)
    if not decision.send:
        kind = str(decision.close_reason.label) if decision.close_reason else _("Needs a person")
        return PersonOutcome(item, Ending.NOT_SENT, kind, why)
    # The items of a request that is not approved are in no database.
    if item.pk and (sentence := why_tampered(item)):
        return PersonOutcome(item, Ending.NOT_SENT, str(ReclaimState.TAMPERED.label), translated(sentence))
    if hold:
        return _held(item, hold, why)
    return PersonOutcome(item, Ending.SEND, str(spec_for(item.direction).would), why)


def _held(item: Reclaim, hold: HoldReason, why: str = "") -> PersonOutcome:
    return PersonOutcome(item, Ending.HOLD, str(hold.label), why)
