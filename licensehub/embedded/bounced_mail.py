"""A scene of the demo: somebody is asked by mail, the mail comes back, and the silence is no answer."""

from __future__ import annotations

import time
from threading import Event
from typing import Final

from django.contrib.auth.models import User

from integrations.models import IntegrationProfile
from licensehub.embedded.errors import CannotRunError
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import CandidateState, Notice, NoticeState, ReclaimRule, RemovalCandidate
from subscriptions.notices.bounces import returned_mail
from subscriptions.rules.rules import change_rule
from subscriptions.tasks import ask_people, enqueue_task

REASON: Final = "550 5.1.1 The address is unknown"
MAX_WAIT: Final = 60.0  # seconds


def ask_and_bounce(profile: IntegrationProfile, *, manager: User, stopping: Event) -> RemovalCandidate:
    """Ask the candidate with the latest activity, and note that the mail came back. A second call does nothing.

    Returns the candidate. Raises CannotRunError when there is nobody to ask, or the worker hands no mail over.
    """
    former = Notice.objects.filter(state=NoticeState.BOUNCED, removal__request__profile=profile).first()
    if former:
        return former.removal.candidate
    ready = RemovalCandidate.objects.filter(profile=profile, state=CandidateState.READY)
    candidate = ready.order_by("-subscription__idle_since", "pk").first()
    if candidate is None:
        raise CannotRunError("Nobody is a candidate, so the demo has nobody to ask.")
    rule = ReclaimRule.objects.get(profile=profile)
    change_rule(rule, actor=manager, changed={"notify_user": True})
    chosen = RemovalCandidate.objects.filter(pk=candidate.pk)
    request_reclaim(chosen, actor=manager, reason="Demo: a question that comes back")
    change_rule(rule, actor=manager, changed={"notify_user": False})
    enqueue_task(ask_people, profile.pk)
    _wait_for_mail(candidate, stopping)
    returned_mail.enter(candidate, reason=REASON, actor=manager)
    candidate.refresh_from_db()
    return candidate


def _wait_for_mail(candidate: RemovalCandidate, stopping: Event) -> None:
    deadline = time.monotonic() + MAX_WAIT
    while returned_mail.last_handed_over(candidate) is None:
        if time.monotonic() > deadline or stopping.is_set():
            raise CannotRunError(f"The worker handed no mail to {candidate} over in time.")
        time.sleep(0.3)
