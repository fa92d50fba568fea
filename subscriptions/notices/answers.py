"""The answer of a person who was asked: keep or release, by a signed link, until the reclaim is sent.

The link names one person in one request and nothing else. It works for this purpose only, and it expires.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.connectors.contract import english, normalized
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.audit.models import AuditEvent
from licensehub.database.clock import database_now
from subscriptions.approvals.closing import drop_by_licensehub
from subscriptions.candidates import locks
from subscriptions.errors import NotActionable
from subscriptions.models import (
    Answer,
    CloseReason,
    Direction,
    KeepMeans,
    Reclaim,
    ReclaimRule,
    ReclaimState,
    RequestedRemoval,
)
from subscriptions.models.reclaims.request import WAITING
from subscriptions.reclaims.outcomes import mark_unsent
from subscriptions.reclaims.recheck import kept
from subscriptions.schedules.working_days import end_of_window

# The salt of the signature: a value that is signed for another purpose does not fit, although the key is the same.
PURPOSE = "subscriptions.answers: keep or release"
MAX_TOKEN_LENGTH = 200
# How long the page shows the outcome after the last moment of a possible reclaim.
AFTERWARDS = timedelta(days=14)
# How often a person may change the answer; after that, only a Keep is accepted.
MAX_ANSWERS = 20
BY = "the person, by the link in the mail"


class BadLink(Exception):
    """The link is not ours, is for another purpose, or has expired. The page does not say which."""


# --- The link ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Link:
    """The person that a link names, and the end of the link.

    `former_address`: the link was sent to a former address of the person, which somebody else may have now.
    """

    person: RequestedRemoval
    until: datetime
    former_address: bool


def ends_at(deadline: datetime) -> datetime:
    """Return when the link expires. A late answer counts until the send, so it works in decision and validity, too."""
    return end_of_window(deadline) + settings.APPROVAL_VALIDITY + AFTERWARDS


def link_for(person: RequestedRemoval, *, until: datetime, email: str) -> str:
    """The address of *My license* for this person, for the mail to this address."""
    token = signing.Signer(salt=PURPOSE).sign_object([person.pk, int(until.timestamp()), _digest(email)])
    return str(settings.PUBLIC_URL) + reverse("my_license", args=[token])


def _digest(email: str) -> str:
    """A short hash of the address. The link contains it instead of the address."""
    return hashlib.sha256(normalized(email).encode()).hexdigest()[:16]


def read_link(token: str) -> Link:
    """Raises BadLink."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise BadLink
    try:
        removal_id, until, sent_to = signing.Signer(salt=PURPOSE).unsign_object(token)
    except (signing.BadSignature, ValueError) as error:
        raise BadLink from error
    ends = datetime.fromtimestamp(until, tz=UTC)
    everybody = RequestedRemoval.objects.select_related("request__profile", "candidate__subscription")
    asked = everybody.filter(pk=removal_id, request__direction=Direction.DEACTIVATE).first()
    if asked is None or ends <= database_now():
        raise BadLink
    return Link(asked, ends, former_address=sent_to != _digest(asked.candidate.subscription.email))


# --- The phase --------------------------------------------------------------------------------------------------------


class Phase(StrEnum):
    """The phase that the page shows. In the first two, an answer is accepted."""

    ASKED = "asked"
    APPROVED = "approved"
    OVERRULED = "overruled"
    SENDING = "sending"
    TAKEN = "taken"
    BACK = "back"
    OVER = "over"


def phase_of(person: RequestedRemoval) -> Phase:
    reclaim = Reclaim.objects.filter(removal=person).first()
    if reclaim is None:
        asked = person.dropped_at is None and person.request.state in WAITING
        return Phase.ASKED if asked else Phase.OVER
    if reclaim.state in (ReclaimState.QUEUED, ReclaimState.CLAIMED):
        return Phase.OVERRULED if person.keep_was_overruled else Phase.APPROVED
    if reclaim.state in (ReclaimState.SENDING, ReclaimState.IN_DOUBT):
        return Phase.SENDING
    if reclaim.state == ReclaimState.DONE:
        return Phase.BACK if person.candidate.subscription.active else Phase.TAKEN
    return Phase.OVER


# --- The answer -------------------------------------------------------------------------------------------------------


def answer(person: RequestedRemoval, given: Answer, *, former_address: bool = False) -> None:
    """Write down the answer. Raises NotActionable when it comes too late; then nothing was changed.

    A link to a former address accepts only *Keep*: somebody else may read that mailbox, and *Keep* takes no seat.

    It takes the lock of the profile's row, as the intent of a send does, so that the later one sees the earlier one.
    """
    if former_address and given != Answer.KEEP:
        raise NotActionable(
            _(
                "This link was sent to an address that is not yours any more. Use the link in a mail to your new "
                "address, or write to us."
            )
        )
    with transaction.atomic():
        locks.lock_profile(person.request.profile_id)
        locks.lock_candidate(person.candidate_id)
        now = RequestedRemoval.objects.select_related("request", "candidate__subscription").get(pk=person.pk)
        phase = phase_of(now)
        if phase not in (Phase.ASKED, Phase.APPROVED):
            raise NotActionable(_("This cannot be answered any more. Nothing was changed."))
        if now.answer == given:
            return
        _refuse_endless_changes(now, given)
        _note(now, given)
        if given == Answer.KEEP and phase == Phase.APPROVED:
            _keep_after_approval(now)
        elif given == Answer.KEEP and keep_is_final(now):
            drop_by_licensehub(now, reason=english("Wants to keep the seat."), close_reason=CloseReason.KEPT_BY_USER)


def _refuse_endless_changes(person: RequestedRemoval, given: Answer) -> None:
    """Each answer is kept in the audit for ever, and the link needs no login, so there is a limit."""
    mine = AuditEvent.objects.filter(target_type="subscriptions.removalcandidate", target_id=person.candidate_id)
    if given == Answer.RELEASE and mine.filter(action=Action.PERSON_ANSWERED).count() >= MAX_ANSWERS:
        raise NotActionable(_("You changed your answer many times. Write to us if you want to change it again."))


def _note(person: RequestedRemoval, given: Answer) -> None:
    decided = person.request.decided_at
    # Later than the approval, even if the clock of another machine is ahead: else a late Keep would not count.
    at = max(database_now(), decided + timedelta(microseconds=1)) if decided else database_now()
    rows = RequestedRemoval.objects.filter(pk=person.pk, dropped_at=None, answer=person.answer)
    if rows.update(answer=given, answered_at=at) != 1:
        raise NotActionable(_("This has just changed. Open the page again."))
    person.answer, person.answered_at = given, at
    data = {"answer": given.value, "answered_at": at.isoformat(), "request": person.request.number, "by": BY}
    record(Action.PERSON_ANSWERED, actor=None, target=person.candidate, data=data)


def keep_is_final(person: RequestedRemoval) -> bool:
    """Whether a Keep takes the person out of the request. Otherwise the approver sees it and decides."""
    rule = ReclaimRule.objects.get(profile=person.request.profile_id)
    return rule.keep_means == KeepMeans.FINAL


def _keep_after_approval(person: RequestedRemoval) -> None:
    """A queued item ends at once. A claimed one can no longer commit its send, and ends at the next recheck."""
    items = Reclaim.objects.select_related("profile", "subscription", "removal__request", "removal__candidate")
    item = items.get(removal=person)
    if item.state != ReclaimState.QUEUED:
        return
    try:
        mark_unsent(item, kept())
    except NotActionable:
        return  # it was just claimed, and cannot be sent any more either
