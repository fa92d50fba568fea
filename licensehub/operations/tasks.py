"""Celery tasks of the operations. They take ids only, and may run twice or never."""

from __future__ import annotations

from typing import Any

from celery import Task, shared_task

from integrations.installation import processes
from integrations.models import MailTrial
from licensehub.database.clock import database_now
from licensehub.operations import queues, results
from licensehub.operations.doctor.checks.mail import send_to
from licensehub.operations.doctor.findings import Level
from licensehub.operations.processes.worker import ENQUEUED, moment_of

FROM_BEAT = "celery_beat_task"


@shared_task(bind=True)
def check_installation(self: Task[..., None]) -> None:
    """Triggered by beat every minute: note which scheduler sent this, and run the checks that are due."""
    note_scheduler(self.request)
    results.run_and_keep()
    processes.forget_old()
    queues.forget_old()


def note_scheduler(request: Any) -> None:
    """The scheduler that sent this message works. Its name and the time stand in the message, which is signed."""
    sent = request.get(ENQUEUED)
    if request.get(FROM_BEAT) and request.get("origin") and sent:
        processes.scheduled(str(request.get("origin")), moment_of(sent))


@shared_task
def run_all_checks() -> None:
    """Triggered by *Run doctor*: all checks, also those that run once an hour."""
    results.run_and_keep(everything=True)


@shared_task
def send_mail_trial(trial_id: int) -> None:
    """Triggered by *Send me a test mail*: with the mail settings of the worker, since workers send the mails."""
    trial = MailTrial.objects.select_related("user").filter(pk=trial_id, ended_at=None).first()
    if trial is None:
        return
    found = send_to(trial.user.email)
    problem = "" if found.level == Level.OK else found.detail or found.title
    MailTrial.objects.filter(pk=trial_id, ended_at=None).update(ended_at=database_now(), problem=problem)
