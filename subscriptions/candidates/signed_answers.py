"""The answers of the people of a request, as the audit has them.

A row that differs was changed outside of LicenseHub.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from licensehub.audit.actions import Action
from licensehub.audit.chain.signed import NotSigned, newest_signed
from licensehub.audit.models import AuditEvent
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.bulk_sql import planned_for
from subscriptions.models import ReclaimRequest, RemovalCandidate


class SignedAnswer(NamedTuple):
    """The newest answer of a person in one request; empty without one."""

    answer: str = ""
    at: datetime | None = None


NO_ANSWER = SignedAnswer()
# The text of the event was erased. It equals no answer of a row.
ERASED = SignedAnswer("erased")


def answer_in(event: AuditEvent) -> SignedAnswer:
    """The answer that an event of `answers.answer` carries."""
    if not event.data:
        return ERASED
    return SignedAnswer(event.data["answer"], datetime.fromisoformat(event.data["answered_at"]))


def signed_answers(request: ReclaimRequest) -> dict[int, SignedAnswer]:
    """Candidate id -> the newest answer in this request. People without an answer are not in it. Raises NotSigned."""
    ids = IdList.of(request.removals.order_by().values_list("candidate", flat=True))
    events = AuditEvent.objects.filter(
        IdIn("target_id", ids), target_type=RemovalCandidate._meta.label_lower, action=Action.PERSON_ANSWERED
    )
    newest: dict[int, AuditEvent] = {}
    with planned_for(ids.number):
        for event in events.order_by("sequence"):
            # Its text says which request it is about, so it is checked before it is left out.
            newest_signed([event])
            if event.data.get("request", request.number) == request.number:
                newest[event.target_id] = event
    return {pk: answer_in(event) for pk, event in newest.items()}


def answers_are_signed(request: ReclaimRequest) -> bool:
    """Return whether the rows of the people who are in the request have the answers of the audit."""
    try:
        signed = signed_answers(request)
    except NotSigned:
        return False
    people = request.removals.not_dropped().values_list("candidate_id", "answer", "answered_at")
    return all((answer, at) == signed.get(pk, NO_ANSWER) for pk, answer, at in people)
