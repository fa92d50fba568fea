"""Ask people by mail, and remind them: the outbox of the notices.

A person who cannot be reached leaves the request, and this is recorded for an admin: nobody is reclaimed because a
mail was lost.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Exists, Q

from integrations.connectors.contract import english
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.database.clock import database_now
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
from subscriptions.models.mail.notice import NoticeQuerySet
from subscriptions.models.reclaims.request import RequestedRemovalQuerySet
from subscriptions.notices.mail import mail_for
from subscriptions.notices.no_contact import drop_unreached
from subscriptions.notices.outbox import MAX_TOTAL_WAIT, RETRY_DELAY, TASK_SECONDS, Outbox
from subscriptions.reclaims.switches import Operation, control_allowing, profiles_allowing


class Notices(Outbox[Notice]):
    """The mails to the people of one profile, or of all profiles."""

    sending, sent, failed = Action.NOTICE_SENDING, Action.NOTICE_SENT, Action.NOTICE_FAILED
    no_address = english("The vendor has no e-mail address of this person.")

    def __init__(self, profile: IntegrationProfile | None = None) -> None:
        # A condition with subqueries. A join would move the conditions of an UPDATE into a subquery, see ADR 15.
        requests = ReclaimRequest.objects.filter(profile=profile)
        people = RequestedRemoval.objects.filter(request__in=requests)
        self.of_profile = Q(removal__in=people) if profile else Q()

    def claimable(self) -> NoticeQuerySet:
        asking = profiles_allowing(Operation.ASK)
        requests = ReclaimRequest.objects.filter(state=RequestState.COLLECTING, profile__in=asking)
        people = _silent().filter(request__in=requests)
        return Notice.objects.due().filter(Exists(control_allowing(Operation.ASK)), removal__in=people)

    def next_mail(self) -> Notice | None:
        related = ("removal__request__profile", "removal__candidate__subscription")
        with _planned():
            return self.claimable().filter(self.of_profile).select_related(*related).first()

    def address_of(self, mail: Notice) -> str:
        """The address of the request may be somebody else's by now."""
        return mail.removal.candidate.subscription.email

    def message_of(self, mail: Notice) -> EmailMessage:
        return mail_for(mail)

    def record(self, action: Action, mail: Notice, **data: object) -> None:
        details = {"kind": mail.kind, "request": mail.removal.request.number, **data}
        record(action, actor=None, target=mail.removal.candidate, data=details)

    def put_off(self, reason: str) -> None:
        with _planned():
            Notice.objects.due().filter(self.of_profile).update(due_at=database_now() + RETRY_DELAY, problem=reason)

    def end(self, mail: Notice, *, to: NoticeState, reason: str) -> bool:
        """A person who was not asked leaves the request; a lost reminder changes nothing."""
        with transaction.atomic():
            locks.lock_candidate(mail.removal.candidate_id)
            ended = super().end(mail, to=to, reason=reason)
            if ended and mail.kind == NoticeKind.ASK:
                lost = english("the mail may have been lost, and nobody is mailed twice.")
                why = lost if to == NoticeState.IN_DOUBT else english("the question could not be handed over.")
                drop_unreached(mail.removal, english("No contact: {why} {reason}").format(why=why, reason=reason))
        return ended


def profiles_to_ask() -> list[int]:
    """Ids of the profiles with mails that can be handed over now."""
    found = Notices().claimable().values_list("removal__request__profile", flat=True)
    with _planned():
        return list(found.order_by("removal__request__profile").distinct())


def deliver_due(profile: IntegrationProfile, *, seconds: float = TASK_SECONDS) -> int:
    """Hand over the profile's due mails, for about `seconds`. Several processes may run it. Returns how many."""
    return Notices(profile).deliver_due(seconds=seconds)


def _silent() -> RequestedRemovalQuerySet:
    """People who have not answered, in requests that wait for answers."""
    collecting = ReclaimRequest.objects.filter(state=RequestState.COLLECTING)
    return RequestedRemoval.objects.not_dropped().filter(answer="", request__in=collecting)


def _planned() -> AbstractContextManager[None]:
    """The planner's settings for a statement that joins all due mails."""
    return planned_for(Notice.objects.filter(state=NoticeState.DUE).count())


# --- Abandoned mails --------------------------------------------------------------------------------------------------


def repair() -> None:
    """Mark abandoned mails as in doubt, cancel needless ones, and end those that could not be sent in time."""
    recover_deliveries()
    cancel_needless()
    give_up()


def recover_deliveries() -> int:
    """The worker that handed these over died. They may have been sent, so they are never sent again."""
    lost = Notice.objects.filter(state=NoticeState.SENDING, lease_until__lt=database_now())
    ids = IdList.read(lost.order_by())
    if not ids.number:
        return 0
    reason = english("The process was ended while it handed the mail over.")
    with planned_for(ids.number):
        found = list(lost.filter(IdIn("pk", ids)).select_related("removal__request", "removal__candidate"))
    return sum(Notices().end(notice, to=NoticeState.IN_DOUBT, reason=reason) for notice in found)


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
        removal__request__requested_at__lte=database_now() - MAX_TOTAL_WAIT,
    ).select_related("removal__request", "removal__candidate")
    reason = english("It waited for {days} days, and could not be handed over.").format(days=MAX_TOTAL_WAIT.days)
    with _planned():
        found = list(old)
    return sum(Notices().end(notice, to=NoticeState.FAILED, reason=reason) for notice in found)
