"""Ask people by mail. A mail cannot be taken back, so it takes the same steps as a send.

The intent (`sending`) is committed before the mail server gets the mail, and the outcome after it. A mail that the
server did not take is tried again, a few times. A mail that it may have taken is never sent again. A person who cannot
be reached leaves the request, and this is recorded for an admin: nobody is reclaimed because a mail was lost.
"""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Exists, F, Q
from django.utils import timezone

from integrations.mail_config import mail_problem
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.bulk_sql import planned_for
from subscriptions.candidates import locks
from subscriptions.models import (
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
from subscriptions.notices.mail_failures import Failure
from subscriptions.notices.no_contact import leave_request
from subscriptions.notices.transport import MailServer, NoServer
from subscriptions.reclaims.switches import Operation, control_allowing, profiles_allowing

logger = logging.getLogger(__name__)

TASK_SECONDS = 120.0
# Much longer than one mail takes: each answer of the server takes EMAIL_TIMEOUT seconds at most.
LEASE = timedelta(minutes=15)
# The wait after each failed try; together they are longer than a weekend without a mail server.
BACKOFF = (timedelta(minutes=15), timedelta(hours=2), timedelta(hours=12), timedelta(hours=48))
MAX_TRIES = len(BACKOFF) + 1
# The delay of all mails while the server takes none.
RETRY_DELAY = timedelta(minutes=15)
# A question that was never tried, e.g. in a paused profile, must not keep its request waiting for ever.
MAX_TOTAL_WAIT = timedelta(days=7)


# --- The loop ---------------------------------------------------------------------------------------------------------


def profiles_to_ask() -> list[int]:
    """Ids of the profiles with mails that can be handed over now."""
    found = _claimable().values_list("removal__request__profile", flat=True)
    with _planned():
        return list(found.order_by("removal__request__profile").distinct())


def deliver_due(profile: IntegrationProfile, *, seconds: float = TASK_SECONDS) -> int:
    """Hand over the profile's due mails, for about `seconds`. Several processes may run it. Returns how many."""
    handed = 0
    if why_not := mail_problem():
        # Mail is not set up: a mail that is only logged asks nobody, so a missing answer would mean nothing.
        _all_later(profile, why_not)
        return 0
    until = time.monotonic() + seconds
    with MailServer() as server:
        while time.monotonic() < until and (notice := _next(profile)):
            # The question goes to today's address. The address of the request may be somebody else's by now.
            notice.email = notice.removal.candidate.subscription.email
            if why_not := _unusable(notice.email):
                _end(notice, to=NoticeState.FAILED, reason=why_not)
                continue
            try:
                server.ready()
            except NoServer as error:
                _all_later(profile, str(error))
                break
            failure = _deliver(notice, server)
            handed += failure is None
            if failure in (Failure.DOWN, Failure.DOUBT):
                # A server that hangs, loses connections or refuses us would fail for everybody.
                _all_later(profile, "The mail server failed at the mail before this one.")
                break
    return handed


def _claimable() -> NoticeQuerySet:
    """Mails that are due and still wanted, where no switch stops mails."""
    asking = profiles_allowing(Operation.ASK)
    requests = ReclaimRequest.objects.filter(state=RequestState.COLLECTING, profile__in=asking)
    people = _silent().filter(request__in=requests)
    return Notice.objects.due().filter(Exists(control_allowing(Operation.ASK)), removal__in=people)


def _silent() -> RequestedRemovalQuerySet:
    """People who have not answered, in requests that wait for answers."""
    collecting = ReclaimRequest.objects.filter(state=RequestState.COLLECTING)
    return RequestedRemoval.objects.not_dropped().filter(answer="", request__in=collecting)


def _belongs_to(profile: IntegrationProfile) -> Q:
    """A condition with subqueries. A join would move the conditions of an UPDATE into a subquery, see ADR 15."""
    requests = ReclaimRequest.objects.filter(profile=profile)
    return Q(removal__in=RequestedRemoval.objects.filter(request__in=requests))


def _next(profile: IntegrationProfile) -> Notice | None:
    rows = _claimable().filter(_belongs_to(profile))
    with _planned():
        return rows.select_related("removal__request__profile", "removal__candidate__subscription").first()


def _planned() -> AbstractContextManager[None]:
    """The planner's settings for a statement that joins all due mails."""
    return planned_for(Notice.objects.filter(state=NoticeState.DUE).count())


def _unusable(email: str) -> str:
    """Why nothing can be mailed to this address; empty when it can."""
    if not email.strip():
        return "The vendor has no e-mail address of this person."
    try:
        validate_email(email)
    except ValidationError:
        return f"“{email}” is not an e-mail address."
    return ""


# --- One hand-over ----------------------------------------------------------------------------------------------------


def _deliver(notice: Notice, server: MailServer) -> Failure | None:
    """Returns None when the server took it, or when another process has claimed it."""
    message = mail_for(notice)
    if not _commit_intent(notice):
        return None
    if failed := server.hand_over(message):
        _failed(notice, *failed)
        return failed[0]
    _sent(notice)
    return None


def _commit_intent(notice: Notice) -> bool:
    """Commit `sending`, with its audit event, if it is still due and wanted."""
    with transaction.atomic():
        rows = _claimable().filter(pk=notice.pk, tries=notice.tries)
        values = {
            "state": NoticeState.SENDING,
            "email": notice.email,
            "tries": F("tries") + 1,
            "lease_until": timezone.now() + LEASE,
        }
        if rows.update(**values) != 1:
            return False
        # The number of the try also identifies this claim.
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
    details = {"kind": notice.kind, "request": notice.removal.request.number, **data}
    record(action, actor=None, target=notice.removal.candidate, data=details)


# --- What was not handed over -----------------------------------------------------------------------------------------


def _failed(notice: Notice, failure: Failure, reason: str) -> None:
    if failure == Failure.DOUBT:
        _end(notice, to=NoticeState.IN_DOUBT, reason=reason)
    elif failure == Failure.DOWN:
        # The failure is not about this person. The mail is due later than the others, so that another one is first.
        _again(notice, reason, after=2 * RETRY_DELAY, postponed=notice.postponed + 1)
    elif failure == Failure.REFUSED or notice.used_tries >= MAX_TRIES:
        _end(notice, to=NoticeState.FAILED, reason=reason)
    else:
        _again(notice, reason, after=BACKOFF[notice.used_tries - 1])


def _again(notice: Notice, reason: str, *, after: timedelta, **columns: int) -> None:
    due_at = timezone.now() + after
    values = {"state": NoticeState.DUE, "due_at": due_at, "lease_until": None, "problem": reason, **columns}
    with transaction.atomic():
        if _mine(notice).update(**values) == 1:
            _record(Action.NOTICE_FAILED, notice, problem=reason, again_at=due_at.isoformat())


def _all_later(profile: IntegrationProfile, reason: str) -> None:
    """Postpone all mails: the server takes none now. No try is counted. Nothing was sent, so there is no event."""
    now = timezone.now()
    due = Notice.objects.filter(_belongs_to(profile), state=NoticeState.DUE, due_at__lte=now)
    with _planned():
        due.update(due_at=now + RETRY_DELAY, problem=reason)


def _end(notice: Notice, *, to: NoticeState, reason: str) -> bool:
    """Stop trying this mail. A person who was not asked leaves the request; a lost reminder changes nothing."""
    with transaction.atomic():
        locks.lock_candidate(notice.removal.candidate_id)
        if _mine(notice).update(state=to, lease_until=None, problem=reason) != 1:
            return False
        _record(Action.NOTICE_FAILED, notice, problem=reason, doubt=to == NoticeState.IN_DOUBT)
        if notice.kind == NoticeKind.ASK:
            lost = "the mail may have been lost, and nobody is mailed twice."
            why = lost if to == NoticeState.IN_DOUBT else "the question could not be handed over."
            leave_request(notice.removal, f"No contact: {why} {reason}")
    return True


# --- Abandoned mails --------------------------------------------------------------------------------------------------


def repair() -> None:
    """Mark abandoned mails as in doubt, cancel needless ones, and end those that could not be sent in time."""
    recover_deliveries()
    cancel_needless()
    give_up()


def recover_deliveries() -> int:
    """The worker that handed these over died. They may have been sent, so they are never sent again."""
    lost = Notice.objects.filter(state=NoticeState.SENDING, lease_until__lt=timezone.now())
    ids = IdList.read(lost.order_by())
    if not ids.number:
        return 0
    reason = "The process was ended while it handed the mail over."
    with planned_for(ids.number):
        found = list(lost.filter(IdIn("pk", ids)).select_related("removal__request", "removal__candidate"))
    return sum(_end(notice, to=NoticeState.IN_DOUBT, reason=reason) for notice in found)


def cancel_needless() -> int:
    """Cancel mails to people whose answers are no longer needed."""
    due = Notice.objects.filter(state=NoticeState.DUE)
    with _planned():
        return due.exclude(removal__in=_silent()).update(state=NoticeState.CANCELED)


def give_up() -> int:
    """End questions that could not be handed over for a week, e.g. because the profile is paused."""
    waiting = IdList.read(Notice.objects.filter(state=NoticeState.DUE, kind=NoticeKind.ASK).order_by())
    if not waiting.number:
        return 0
    old = Notice.objects.filter(
        IdIn("pk", waiting),
        state=NoticeState.DUE,
        kind=NoticeKind.ASK,
        removal__request__requested_at__lte=timezone.now() - MAX_TOTAL_WAIT,
    ).select_related("removal__request", "removal__candidate")
    reason = f"It waited for {MAX_TOTAL_WAIT.days} days, and could not be handed over."
    with _planned():
        found = list(old)
    return sum(_end(notice, to=NoticeState.FAILED, reason=reason) for notice in found)
