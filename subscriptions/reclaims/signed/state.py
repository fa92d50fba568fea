"""The signed events about one item before its send: approval, answer, its own history, and the switches.

Rows can be changed in the database, signed events cannot. So a send needs both: the rows allow it, and the newest
signed events say the same. An item whose rows differ from the events is never sent, see `outcomes.mark_tampered`. A
switch that is on in either of them is on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Model, QuerySet

from integrations.connectors.contract import english
from integrations.models import IntegrationProfile, SendingControl
from licensehub.audit.actions import Action
from licensehub.audit.chain.signed import NotSigned, newest_signed
from licensehub.audit.models import AuditEvent
from subscriptions.candidates.signed_answers import NO_ANSWER, SignedAnswer, answer_in
from subscriptions.models import (
    CandidateState,
    Direction,
    HoldReason,
    Reclaim,
    ReclaimRequest,
    RemovalCandidate,
    RequestedRemoval,
    RequestState,
)
from subscriptions.reclaims.direction import SPECS, spec_for
from subscriptions.reclaims.signed.protections import hidden_protection
from subscriptions.reclaims.signed.switches import SWITCH_ACTIONS, hold_by

# The events that say where a request stands.
DECISIONS = (
    Action.RESTORE_REQUESTED,
    Action.REQUEST_OPENED,
    Action.REQUEST_APPROVED,
    Action.REQUEST_REJECTED,
    Action.REJECTION_TAKEN_BACK,
    Action.REQUEST_EXPIRED,
    Action.REQUEST_CANCELED,
    Action.REQUEST_EMPTY,
)
# An item with one of these as its last event is in the queue.
IN_QUEUE = {action for spec in SPECS.values() for action in (spec.queued, spec.requeued)}
OF_ITEM = {*IN_QUEUE, *(spec.sending for spec in SPECS.values())} | {
    action for spec in SPECS.values() for action in spec.endings.values()
}
OF_PERSON = (Action.PERSON_ANSWERED, Action.NOTICE_BOUNCED)

# The sentences become the outcome of an item.
CHANGED_EVENT = english("Tampered, not sent: event {sequence} of the audit does not match its signature.")
NOT_APPROVED = english("Tampered, not sent: the audit has no approval of {request}.")
ENDED = english(
    "Tampered, not sent: according to the audit, {request} is no longer approved: {action}, event {sequence}."
)
UNKNOWN_ITEM = english("Tampered, not sent: LicenseHub never queued this item.")
OTHER_PERSON = english("Tampered, not sent: according to the audit, this item was queued for somebody else.")
SENT_BEFORE = english("Tampered, not sent: this item was already handled: {action}, event {sequence}.")
OTHER_STATE = english("Tampered, not sent: {request} is approved, but its row in the database says “{state}”.")
OTHER_VALIDITY = english(
    "Tampered, not sent: the row of {request} and the approval name different ends of the validity."
)
DROPPED = english("Tampered, not sent: the person was approved, but the row in the database says “dropped”.")
OTHER_ANSWER = english("Tampered, not sent: the row in the database does not have the answer that this person gave.")
BOUNCE_ERASED = english(
    "Tampered, not sent: the mail to this person came back, but the row in the database does not say so."
)
OTHER_CANDIDATE = english(
    "Tampered, not sent: the row of the candidate says “{state}”, so the candidate no longer waits for a reclaim."
)
HIDDEN_PROTECTION = english(
    "Tampered, not sent: this person is protected, event {sequence} of the audit, but no row in the database says so."
)


class Tampered(Exception):
    """Rows or events were changed outside of LicenseHub, so the item must never be sent. The text is its outcome."""


@dataclass(frozen=True, slots=True)
class SignedState:
    """The newest signed events about one item. `hold` is the reason of a switch that is on by its event."""

    item: AuditEvent | None
    queued: AuditEvent | None
    decision: AuditEvent | None
    answer: SignedAnswer
    bounced: bool
    hold: HoldReason | None

    @property
    def decided_at(self) -> datetime | None:
        return self._moment("decided_at")

    @property
    def valid_until(self) -> datetime | None:
        return self._moment("valid_until")

    def _moment(self, name: str) -> datetime | None:
        text = self.decision.data.get(name) if self.decision else None
        return datetime.fromisoformat(text) if text else None

    def refusal(self, item: Reclaim) -> str:
        """Return why nothing may be sent, whatever the other rows say; empty when the events allow it."""
        request = item.removal.request
        if self.item is None:
            return UNKNOWN_ITEM
        if self.item.action not in IN_QUEUE:
            return SENT_BEFORE.format(action=_words(self.item), sequence=self.item.sequence)
        # The row of an item can be given another person, whose approval fits.
        by_queue = self.queued.data.get("removal") if self.queued else None
        if (by_queue, item.profile_id) != (item.removal_id, request.profile_id):
            return OTHER_PERSON
        if self.decision is None:
            return NOT_APPROVED.format(request=request)
        if self.valid_until is None:
            return ENDED.format(request=request, action=_words(self.decision), sequence=self.decision.sequence)
        if item.direction == Direction.DEACTIVATE and self.hides_bounce(item.removal):
            return BOUNCE_ERASED
        return ""

    def difference(self, item: Reclaim) -> str:
        """Read the rows, and say what differs from the events; empty when they fit."""
        removal = RequestedRemoval.objects.select_related("request", "candidate").get(pk=item.removal_id)
        request, deactivates = removal.request, item.direction == Direction.DEACTIVATE
        if request.state != RequestState.APPROVED:
            return OTHER_STATE.format(request=request, state=request.state)
        if (request.decided_at, request.valid_until) != (self.decided_at, self.valid_until):
            return OTHER_VALIDITY.format(request=request)
        if removal.dropped_at is not None:
            return DROPPED
        if deactivates and (removal.answer, removal.answered_at) != self.answer:
            return OTHER_ANSWER
        if deactivates and removal.candidate.state != CandidateState.AWAITING_REVOCATION:
            return OTHER_CANDIDATE.format(state=removal.candidate.state)
        return ""

    def hides_bounce(self, removal: RequestedRemoval) -> bool:
        """Return whether a mail came back, its row does not say so, and the person did not answer."""
        if not self.bounced or self.answer.answer:
            return False
        return RequestedRemoval.objects.filter(pk=removal.pk, answer="").reached().exists()

    def rows(self, item: Reclaim) -> QuerySet[RequestedRemoval]:
        """The person of this item, if all its rows fit: a condition of the UPDATE that commits the intent to send."""
        people = RequestedRemoval.objects.not_dropped().without_late_keep().reached()
        people = people.filter(
            request__state=RequestState.APPROVED,
            request__decided_at=self.decided_at,
            request__valid_until=self.valid_until,
        )
        if item.direction == Direction.REACTIVATE:
            return people
        return people.filter(
            answer=self.answer.answer,
            answered_at=self.answer.at,
            candidate__state=CandidateState.AWAITING_REVOCATION,
        )


def _words(event: AuditEvent) -> str:
    return Action(event.action).value


def signed_or_tampered(item: Reclaim) -> SignedState:
    """The newest signed events about this item. Raises Tampered if they allow no send, or if one was changed."""
    try:
        signed = signed_state(item)
    except NotSigned as error:
        raise Tampered(CHANGED_EVENT.format(sequence=error)) from error
    if sentence := signed.refusal(item):
        raise Tampered(sentence)
    return signed


def refuse_hidden_protection(item: Reclaim) -> None:
    """Raise Tampered for a person who is protected by the audit only. A person who is restored needs no protection."""
    if item.direction == Direction.REACTIVATE:
        return
    try:
        hidden = hidden_protection(item.subscription_id)
    except NotSigned as error:
        raise Tampered(CHANGED_EVENT.format(sequence=error)) from error
    if hidden:
        raise Tampered(HIDDEN_PROTECTION.format(sequence=hidden.sequence))


def why_tampered(item: Reclaim) -> str:
    """Say what differs from the audit; empty when the item may be sent. Call it under the lock of the profile's row."""
    try:
        return signed_or_tampered(item).difference(item)
    except Tampered as error:
        return str(error)


def signed_state(item: Reclaim) -> SignedState:
    """Read the events about this item with one query. Raises NotSigned."""
    request, candidate = item.removal.request, item.removal.candidate_id
    found = list(_events(item, request, candidate))
    # The text of an event says which request it is about. So each one is checked before it is left out.
    for event in found:
        if event.action in OF_PERSON:
            newest_signed([event])
    # A text that was erased may be about this request.
    of_request = [event for event in found if event.data.get("request", request.number) == request.number]
    answered = _newest(of_request, (Action.PERSON_ANSWERED,))
    return SignedState(
        item=_newest(found, OF_ITEM),
        queued=_newest(found, (spec_for(item.direction).queued,)),
        decision=_newest(found, DECISIONS),
        answer=answer_in(answered) if answered else NO_ANSWER,
        bounced=_newest(of_request, (Action.NOTICE_BOUNCED,)) is not None,
        hold=hold_by(found, spec_for(item.direction).operation),
    )


def _newest(events: Iterable[AuditEvent], actions: Collection[Any]) -> AuditEvent | None:
    return newest_signed(event for event in events if event.action in actions)


def _events(item: Reclaim, request: ReclaimRequest, candidate: int) -> QuerySet[AuditEvent]:
    """The events in any order. One part for each subject: each reads the index of the audit by its subject."""
    parts: list[tuple[type[Model], int, Collection[str]]] = [
        (Reclaim, item.pk, OF_ITEM),
        (ReclaimRequest, request.pk, DECISIONS),
        (RemovalCandidate, candidate, OF_PERSON),
        (IntegrationProfile, item.profile_id, SWITCH_ACTIONS),
        (SendingControl, 1, SWITCH_ACTIONS),
    ]
    first, *others = (
        AuditEvent.objects.filter(target_type=model._meta.label_lower, target_id=pk, action__in=actions).order_by()
        for model, pk, actions in parts
    )
    return first.union(*others, all=True)
