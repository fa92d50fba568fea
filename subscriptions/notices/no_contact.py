"""A person who did not get the question leaves the request, and this is recorded for an admin."""

from __future__ import annotations

import logging

from integrations.connectors.contract import english
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.database.clock import database_now
from subscriptions.approvals.leaving import IN_REQUEST
from subscriptions.candidates.actions import move
from subscriptions.candidates.request_digest import next_digests
from subscriptions.errors import NotActionable
from subscriptions.models import CandidateState, ReclaimRequest, RequestedRemoval
from subscriptions.models.reclaims.request import WAITING

logger = logging.getLogger(__name__)


def drop_unreached(person: RequestedRemoval, reason: str) -> None:
    """Drop the person from an undecided request, unless they have answered: then a mail did arrive."""
    waiting = ReclaimRequest.objects.filter(state__in=WAITING)
    silent = RequestedRemoval.objects.not_dropped().filter(pk=person.pk, answer="", request__in=waiting)
    values = {
        "dropped_at": database_now(),
        "drop_reason": english("No contact: the question did not reach this person."),
    }
    if silent.update(**values) != 1:
        return
    data = {
        "person": str(person),
        "removal": person.pk,
        "reason": reason,
        **next_digests(person.request, dropped=[person.pk]),
    }
    record(Action.PERSON_DROPPED, actor=None, target=person.request, data=data)
    next_step = english("Check the address and ask this person in another way, then resume, or leave the seat.")
    try:
        move(
            person.candidate,
            allowed=IN_REQUEST,
            to=CandidateState.ATTENTION_REQUIRED,
            action=Action.CANDIDATE_NEEDS_ATTENTION,
            attention=f"{reason} {next_step}",
            actor=None,
        )
    except NotActionable as error:
        logger.info("%s", error)  # the candidate has just closed, so nobody needs to look
