"""Collect the answers of a request: the days to answer, the reminder half-way, and when it opens for approval.

The days to answer count from the moment when the last question of the request was handed to the mail server. A request
opens only when each person left in it has answered, or was asked and did not answer in time.

If a person's address changes after the question, the person may not have read it. Then silence does not count, and the
person leaves the request when the days are over. The next request asks at the new address, and gives all days again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, Max, OuterRef
from django.utils.translation import gettext as _

from integrations.connectors.contract import english
from licensehub.database.clock import database_now
from subscriptions.approvals.closing import drop_unanswered
from subscriptions.approvals.request import open_for_approval
from subscriptions.bulk_sql import planned_for
from subscriptions.candidates import locks
from subscriptions.errors import NotActionable
from subscriptions.models import Notice, NoticeKind, NoticeState, ReclaimRequest, RequestedRemoval, RequestState
from subscriptions.models.reclaims.request import RequestedRemovalQuerySet
from subscriptions.schedules.working_days import end_of_window

ASKED_ELSEWHERE = english(
    "Asked at a former address, so silence does not count. Ready to be asked again at the new one."
)


def close_collections() -> int:
    """Start the days to answer where everybody was asked, and open complete requests. Returns how many opened."""
    collecting = ReclaimRequest.objects.filter(state=RequestState.COLLECTING)
    return sum(_move_on(request) for request in collecting)


def _move_on(request: ReclaimRequest) -> bool:
    """Most requests still wait, so the candidates are locked only when it seems to be over."""
    with transaction.atomic():
        row = _collecting(request)
        if row is None or not _all_answered(row):
            return False
    with transaction.atomic():
        locks.lock_request(request)
        row = _collecting(request)
        if row is None or not _all_answered(row):
            return False
        with planned_for(row.removals.count()):
            # People who were asked at a former address leave the request here.
            drop_unanswered(_silent(row).asked_elsewhere(), reason=ASKED_ELSEWHERE)
            return open_for_approval(row)


def _collecting(request: ReclaimRequest) -> ReclaimRequest | None:
    return ReclaimRequest.objects.select_for_update().filter(pk=request.pk, state=RequestState.COLLECTING).first()


def _silent(request: ReclaimRequest) -> RequestedRemovalQuerySet:
    return request.removals.not_dropped().filter(answer="")


def _all_answered(request: ReclaimRequest) -> bool:
    """Whether everybody has answered, or was asked and did not answer in time."""
    with planned_for(request.removals.count()):
        return _is_over(request, _silent(request))


def _is_over(request: ReclaimRequest, silent: RequestedRemovalQuerySet) -> bool:
    if silent.exclude(_was_asked()).exists():
        return False
    if silent.exists():
        deadline = request.answers_until if clock_runs(request) else _start_clock(request, silent)
        if deadline is None or deadline > database_now():
            return False
    return True


def _was_asked() -> Exists:
    """A condition on rows of RequestedRemoval: the mail server has taken the question to this person."""
    return Exists(Notice.objects.filter(removal=OuterRef("pk"), kind=NoticeKind.ASK, state=NoticeState.SENT))


def clock_runs(request: ReclaimRequest) -> bool:
    """Whether the days to answer have started. They start once, together with the reminders."""
    return Notice.objects.filter(removal__request=request, kind=NoticeKind.REMINDER).exists()


def _start_clock(request: ReclaimRequest, silent: RequestedRemovalQuerySet) -> datetime:
    """Start the days at the last question, with a reminder half-way for each person who has not answered."""
    asked = Notice.objects.filter(removal__in=silent, kind=NoticeKind.ASK)
    last = asked.aggregate(last=Max("sent_at"))["last"]
    days = days_of(request)
    deadline: datetime = last + days
    rows = ReclaimRequest.objects.filter(pk=request.pk, state=RequestState.COLLECTING)
    if rows.update(answers_until=deadline, expires_at=end_of_window(deadline)) != 1:
        raise NotActionable(_("{request} no longer waits for answers.").format(request=request))
    Notice.objects.bulk_create(
        # The address of the question, until it is handed over: see notices.delivery.
        Notice(removal=person, kind=NoticeKind.REMINDER, email=person.evidence["email"], due_at=last + days / 2)
        for person in silent
    )
    return deadline


def days_of(request: ReclaimRequest) -> timedelta:
    """The days to answer, as they were when it was requested. Valid only until the days have started."""
    if request.answers_until is None:
        raise ValueError(f"Nobody is asked in {request}.")
    return request.answers_until - request.requested_at


def answer_by(person: RequestedRemoval) -> datetime:
    """Until when this person may answer, as promised. It becomes later when others of the request are asked later."""
    request = ReclaimRequest.objects.get(pk=person.request_id)
    if request.answers_until and clock_runs(request):
        return request.answers_until
    handed = person.notices.filter(kind=NoticeKind.ASK).values_list("sent_at", flat=True).first()
    return (handed or database_now()) + days_of(request)
