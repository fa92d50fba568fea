"""The page *My license*, behind the link of the mail: which answer it offers to one person, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from licensehub.database.clock import database_now
from subscriptions.approvals.collecting import answer_by
from subscriptions.models import Answer, Reclaim, RequestedRemoval
from subscriptions.notices.answers import Phase, phase_of
from subscriptions.notices.mail_and_page import shared_context


def page_context(person: RequestedRemoval, *, until: datetime, former_address: bool) -> dict[str, Any]:
    """The context of the page. `until` is when the link ends.

    If the link was sent to a former address, the page does not show today's address: another person may read it.
    """
    phase = phase_of(person)
    cooldown = person.candidate.subscription.cooldown_until
    taken = Reclaim.objects.filter(removal=person).first()
    return {
        **shared_context(person, deadline=answer_by(person)),
        "email": person.evidence["email"] if former_address else person.candidate.subscription.email,
        "phase": phase.value,
        "answer": person.answer,
        "may_keep": phase in (Phase.ASKED, Phase.APPROVED) and person.answer != Answer.KEEP,
        "may_release": phase == Phase.ASKED and person.answer != Answer.RELEASE and not former_address,
        "decided_at": person.request.decided_at,
        "taken_at": taken.sending_at if taken else None,
        "left_alone_until": cooldown if cooldown and cooldown > database_now() else None,
        "until": until,
    }
