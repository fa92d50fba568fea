"""Ask people by mail. A mail is an act outside, so it goes the way of a send.

The intent (`sending`) is committed before the mail server gets the mail, and the outcome after it. What the server
did not take is tried again, a few times. What it may have taken is never mailed again. Whoever cannot be reached
leaves the request on record, and a person looks: nobody is reclaimed because a mail was lost.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from enum import StrEnum
from smtplib import SMTPDataError, SMTPException, SMTPHeloError, SMTPRecipientsRefused, SMTPSenderRefused

from django.core.exceptions import ValidationError
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Exists, F, Q
from django.utils import timezone

from integrations.mail_config import mail_problem
from integrations.models import IntegrationProfile
from integrations.transaction_guard import refuse_inside_transaction
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from subscriptions.candidates import locks
from subscriptions.candidates.actions import move
from subscriptions.errors import NotActionable
from subscriptions.models import (
    CandidateState,
    Notice,
    NoticeKind,
    NoticeState,
    ReclaimRequest,
    RequestedRemoval,
    RequestState,
)
from subscriptions.models.notice import NoticeQuerySet
from subscriptions.models.request import RequestedRemovalQuerySet
from subscriptions.notices.mail import mail_for
from subscriptions.reclaims.switches import Operation, control_allowing, profiles_allowing

logger = logging.getLogger(__name__)

TASK_SECONDS = 120.0
# Much longer than one hand-over can take: each answer of the server is waited for EMAIL_TIMEOUT seconds at most.
LEASE = timedelta(minutes=15)
# After each try that the server did not take; a weekend without a mail server is survived.
BACKOFF = (timedelta(minutes=15), timedelta(hours=2), timedelta(hours=12), timedelta(hours=48))
MAX_TRIES = len(BACKOFF) + 1
# A question that nobody could even try to hand over, e.g. in a paused profile, does not hold its request for ever.
MAX_TOTAL_WAIT = timedelta(days=7)


class Fate(StrEnum):
    """What a failed hand-over means."""

    LATER = "later"  # not taken: this mail again
    DOWN = "down"  # not taken, and no other mail would be
    REFUSED = "refused"  # never for this person
    DOUBT = "doubt"  # perhaps taken


# --- The loop ---------------------------------------------------------------------------------------------------------


def profiles_to_ask() -> list[int]:
    """Ids of the profiles with mails that can be handed over now."""
    found = _claimable().values_list("removal__request__profile", flat=True)
    return list(found.order_by("removal__request__profile").distinct())


def deliver_due(profile: IntegrationProfile, *, seconds: float = TASK_SECONDS) -> int:
    """Hand over the profile's due mails, for about `seconds`. Returns how many were. May run any number of times."""
    handed = 0
    if why_not := mail_problem():
        # A mail in a log is no question, and silence after it is no answer.
        _all_later(profile, why_not)
        return 0
    until = time.monotonic() + seconds
    while time.monotonic() < until and (notice := _next(profile)):
        if why_not := _unusable(notice.email):
            _end(notice, to=NoticeState.FAILED, words=why_not)
            continue
        connection = get_connection()
        try:
            connection.open()
        except (SMTPException, OSError) as error:
            _all_later(profile, words_of(error))
            break
        try:
            fate = _deliver(notice, connection)
        finally:
            _close(connection)
        handed += fate is None
        if fate in (Fate.DOWN, Fate.DOUBT):
            # A server that hangs, or loses its connections, would do so to everybody.
            _all_later(profile, "The mail server failed at the mail before this one.")
            break
    return handed


def _claimable() -> NoticeQuerySet:
    """Due, and still wanted: nothing is mailed for a profile that is not published, or from a restored backup."""
    asking = profiles_allowing(Operation.ASK)
    requests = ReclaimRequest.objects.filter(state=RequestState.COLLECTING, profile__in=asking)
    people = _silent().filter(request__in=requests)
    return Notice.objects.due().filter(Exists(control_allowing(Operation.ASK)), removal__in=people)


def _silent() -> RequestedRemovalQuerySet:
    """People whose answer is waited for."""
    collecting = ReclaimRequest.objects.filter(state=RequestState.COLLECTING)
    return RequestedRemoval.objects.standing().filter(answer="", request__in=collecting)


def _of(profile: IntegrationProfile) -> Q:
    """As a subquery: a filter over a join would move an UPDATE's guard away from it."""
    requests = ReclaimRequest.objects.filter(profile=profile)
    return Q(removal__in=RequestedRemoval.objects.filter(request__in=requests))


def _next(profile: IntegrationProfile) -> Notice | None:
    rows = _claimable().filter(_of(profile))
    return rows.select_related("removal__request__profile", "removal__candidate").first()


def _unusable(email: str) -> str:
    """Why nothing can be mailed there; empty when it can."""
    if not email.strip():
        return "Miro has no e-mail address of this person."
    try:
        validate_email(email)
    except ValidationError:
        return f"“{email}” is not an e-mail address."
    return ""


# --- One hand-over ----------------------------------------------------------------------------------------------------


def _deliver(notice: Notice, connection: BaseEmailBackend) -> Fate | None:
    """None when the server took it, or when another process does it."""
    message = mail_for(notice)
    if not _commit_intent(notice):
        return None
    refuse_inside_transaction()
    try:
        connection.send_messages([message])
    except (SMTPException, OSError) as error:
        fate = fate_of(error)
        _failed(notice, fate, words_of(error))
        return fate
    _sent(notice)
    return None


def _commit_intent(notice: Notice) -> bool:
    """`sending`, with its audit event, only while it is due and still wanted."""
    with transaction.atomic():
        rows = _claimable().filter(pk=notice.pk, tries=notice.tries)
        values = {"state": NoticeState.SENDING, "tries": F("tries") + 1, "lease_until": timezone.now() + LEASE}
        if rows.update(**values) != 1:
            return False
        # The number of the try is also the mark of this claim.
        notice.state, notice.tries = NoticeState.SENDING, notice.tries + 1
        _record(Action.NOTICE_SENDING, notice, **{"try": notice.tries})
    return True


def _sent(notice: Notice) -> None:
    with transaction.atomic():
        if _mine(notice).update(state=NoticeState.SENT, sent_at=timezone.now(), lease_until=None, problem="") == 1:
            _record(Action.NOTICE_SENT, notice)
        else:
            logger.warning("%s was handed over after its lease, and is in doubt", notice)


def _mine(notice: Notice) -> NoticeQuerySet:
    return Notice.objects.filter(pk=notice.pk, state=notice.state, tries=notice.tries)


def _record(action: Action, notice: Notice, **data: object) -> None:
    told = {"kind": notice.kind, "request": notice.removal.request.number, **data}
    record(action, actor=None, target=notice.removal.candidate, data=told)


def _close(connection: BaseEmailBackend) -> None:
    """What the server says to the farewell does not change what it took before."""
    try:
        connection.close()
    except (SMTPException, OSError) as error:
        logger.info("The mail server did not say goodbye (%s)", error)


def fate_of(error: Exception) -> Fate:
    """What this error of a hand-over means (RFC 5321, section 4.2.1: 4xx for now, 5xx for good).

    Only an answer of the server tells that it did not take the mail. A lost connection may have lost that answer.
    """
    if isinstance(error, (SMTPSenderRefused, SMTPHeloError)):
        return Fate.DOWN
    if isinstance(error, SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
    elif isinstance(error, SMTPDataError):
        codes = [error.smtp_code]
    else:
        return Fate.DOUBT
    if any(400 <= code < 500 for code in codes):
        return Fate.LATER
    return Fate.REFUSED if all(500 <= code < 600 for code in codes) else Fate.DOUBT


def words_of(error: Exception) -> str:
    """What the server said, for a person."""
    if isinstance(error, SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))
    elif isinstance(error, (SMTPSenderRefused, SMTPHeloError, SMTPDataError)):
        code, said = error.smtp_code, error.smtp_error  # type: ignore[assignment]
    else:
        return f"The mail server could not be reached, or was lost: {error}"[:500]
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    return f"The mail server answered: {code} {text}"[:500]


# --- What was not handed over -----------------------------------------------------------------------------------------


def _failed(notice: Notice, fate: Fate, words: str) -> None:
    if fate == Fate.DOUBT:
        _end(notice, to=NoticeState.IN_DOUBT, words=words)
    elif fate == Fate.REFUSED or notice.tries >= MAX_TRIES:
        _end(notice, to=NoticeState.FAILED, words=words)
    else:
        _later(notice, words)


def _later(notice: Notice, words: str) -> None:
    due_at = timezone.now() + BACKOFF[notice.tries - 1]
    with transaction.atomic():
        if _mine(notice).update(state=NoticeState.DUE, due_at=due_at, lease_until=None, problem=words) == 1:
            _record(Action.NOTICE_FAILED, notice, problem=words, again_at=due_at.isoformat())


def _all_later(profile: IntegrationProfile, words: str) -> None:
    """Nobody can be mailed now: that is one try of all who are due. Nothing was sent, so nothing is recorded."""
    now = timezone.now()
    due = Notice.objects.filter(_of(profile), state=NoticeState.DUE, due_at__lte=now)
    for tries, wait in enumerate(BACKOFF):
        due.filter(tries=tries).update(tries=tries + 1, due_at=now + wait, problem=words)
    for notice in due.filter(tries__gte=len(BACKOFF)).select_related("removal__request", "removal__candidate"):
        _end(notice, to=NoticeState.FAILED, words=words)


def _end(notice: Notice, *, to: NoticeState, words: str) -> bool:
    """No further try. Who was asked nothing leaves the request; a reminder that is lost changes nothing."""
    with transaction.atomic():
        locks.lock_candidate(notice.removal.candidate_id)
        if _mine(notice).update(state=to, lease_until=None, problem=words) != 1:
            return False
        _record(Action.NOTICE_FAILED, notice, problem=words, doubt=to == NoticeState.IN_DOUBT)
        if notice.kind == NoticeKind.ASK:
            _no_contact(notice.removal, f"No contact: {_why_no_contact(to)} {words}")
    return True


def _why_no_contact(to: NoticeState) -> str:
    if to == NoticeState.IN_DOUBT:
        return "the mail was perhaps lost on its way, and nobody is mailed twice."
    return "the question could not be handed over."


def _no_contact(person: RequestedRemoval, words: str) -> None:
    """Out of the request, on record, unless the person has answered: then the mail has come."""
    values = {"dropped_at": timezone.now(), "drop_reason": "No contact: the question did not reach this person."}
    if _silent().filter(pk=person.pk).update(**values) != 1:
        return
    data = {"person": str(person), "reason": words}
    record(Action.PERSON_DROPPED, actor=None, target=person.request, data=data)
    next_step = "Check the address and ask this person in another way, then resume, or leave the seat."
    try:
        move(
            person.candidate,
            allowed=[CandidateState.AWAITING_USER],
            to=CandidateState.ATTENTION_REQUIRED,
            action=Action.CANDIDATE_NEEDS_ATTENTION,
            attention=f"{words} {next_step}",
            actor=None,
        )
    except NotActionable as error:
        logger.info("%s", error)  # active again in this moment: nobody needs to look


# --- What was left lying ----------------------------------------------------------------------------------------------


def repair() -> None:
    """Hand-overs whose process died become doubts, what nobody waits for is canceled, what never went out ends."""
    recover_deliveries()
    cancel_needless()
    give_up()


def recover_deliveries() -> int:
    """Whoever handed these over lives no more: they may have gone out, so they never go out again."""
    lost = Notice.objects.filter(state=NoticeState.SENDING, lease_until__lt=timezone.now())
    words = "The process was ended while it handed the mail over."
    found = lost.select_related("removal__request", "removal__candidate")
    return sum(_end(notice, to=NoticeState.IN_DOUBT, words=words) for notice in found)


def cancel_needless() -> int:
    """Nobody waits for these people's answers any more."""
    due = Notice.objects.filter(state=NoticeState.DUE)
    return due.exclude(removal__in=_silent()).update(state=NoticeState.CANCELED)


def give_up() -> int:
    """Questions that were not handed over for a week, e.g. since the profile is paused."""
    old = Notice.objects.filter(
        state=NoticeState.DUE,
        kind=NoticeKind.ASK,
        removal__request__requested_at__lte=timezone.now() - MAX_TOTAL_WAIT,
    ).select_related("removal__request", "removal__candidate")
    words = f"It waited for {MAX_TOTAL_WAIT.days} days, and could not be handed over."
    return sum(_end(notice, to=NoticeState.FAILED, words=words) for notice in old)
