"""Celery tasks. They take ids only, may run twice or never, and read from the database what is to be done.

No task carries who acts: whoever can write a message could act in anybody's name. It is read from a row.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from imaplib import IMAP4

from celery import Task, shared_task
from celery.exceptions import SoftTimeLimitExceeded
from kombu.exceptions import OperationalError

from integrations.installation import findings
from integrations.models import IntegrationProfile
from licensehub import stopping
from licensehub.audit.log import Actor
from licensehub.database.clock import database_now
from subscriptions.activity.retention import remove_old_history, thin_past_activity
from subscriptions.apply_rule import apply_rule
from subscriptions.downloads import follow_up as following
from subscriptions.downloads.lease import DownloadError
from subscriptions.downloads.outages import MAX_LAST_WAIT
from subscriptions.downloads.parts import Part, part_seconds
from subscriptions.downloads.run import download_subscriptions
from subscriptions.eligibility.buckets import count_buckets, profiles_to_count
from subscriptions.errors import Refused
from subscriptions.evidence import kept_packs
from subscriptions.models import DownloadRun, RunState
from subscriptions.models.download import UNDER_WAY, StartedBy
from subscriptions.money.candidate_seats import count_all_candidates
from subscriptions.money.verified_seats import count_all_verified
from subscriptions.notices.bounces.bounce_mailbox import read_bounces
from subscriptions.notices.delivery import deliver_due, profiles_to_ask
from subscriptions.notifications import delivery as notifications
from subscriptions.notifications.accounts import rights_mail, token_mail
from subscriptions.privacy.retention import erase_due, note_due
from subscriptions.reclaims import backup_guard
from subscriptions.reclaims.engine import TASK_SECONDS, reclaim_due
from subscriptions.reconciliation import reconcile
from subscriptions.reports.monthly import make_due
from subscriptions.rules import evaluation
from subscriptions.schedules.schedules import due_slot, profiles_with_due_slot
from subscriptions.sweep import (
    notify,
    others_download,
    others_wait_for_a_download,
    others_wait_for_a_reclaim,
    others_wait_for_an_evaluation,
    profiles_to_download,
    profiles_to_reclaim,
    read_back_doubts,
    repair,
    runs_to_follow_up,
    tell_webhooks,
)
from subscriptions.turns import Turn
from subscriptions.webhooks import delivery as webhooks
from subscriptions.webhooks.retention import remove_old_deliveries

logger = logging.getLogger(__name__)

# Seconds by which the clocks of two hosts may differ: a task that begins before its moment does nothing.
CLOCK_SLACK = 0.05


def enqueue_task(task: Task[..., None], *ids: int) -> bool:
    """Enqueue a task, outside of any transaction. Returns False without a broker: the sweep enqueues it later."""
    try:
        task.delay(*ids)
    except OperationalError as error:
        logger.warning("The broker cannot be reached (%s); the sweep will enqueue %s", error, task.name)
        return False
    return True


def enqueue_later(seconds: float, task: Task[..., None], *ids: int) -> None:
    """Enqueue a task in so many seconds, by a thread. If this process ends before, the sweep enqueues it.

    Celery's countdown would tie the task to one worker, which may be busy when others are not.
    """
    timer = threading.Timer(seconds, enqueue_task, (task, *ids))
    timer.daemon = True
    timer.start()


@shared_task
def download_daily(profile_id: int) -> None:
    """Triggered by beat and by the sweep; at most one run per slot and profile."""
    profile = IntegrationProfile.objects.downloading().filter(pk=profile_id).first()
    slot = due_slot(profile) if profile else None
    if slot:
        _download(profile_id, started_by=StartedBy.SCHEDULE, slot=slot)


@shared_task
def download_due(profile_id: int) -> None:
    """Triggered by *Run now*, and by the sweep for a run that is due or abandoned; at most one run at a time."""
    if profile_id not in profiles_to_download():
        return
    profile = IntegrationProfile.objects.select_related("download_due_by").get(pk=profile_id)
    actor = profile.download_due_by if profile.download_due_at else None
    started_by = StartedBy.PERSON if actor else StartedBy.PUBLISH
    _download(profile_id, started_by=started_by, actor=actor, slot=profile.download_due_at)


@shared_task
def follow_up(run_id: int) -> None:
    """Triggered by an acceptance, by the part before, and by the sweep: continue the follow-up of a run."""
    profile_id = DownloadRun.objects.values_list("profile_id", flat=True).get(pk=run_id)
    with _one_part(profile_id):
        following.resume(run_id, part=_part(profile_id))


@shared_task
def evaluate_again(profile_id: int) -> None:
    """Triggered by a saved rule where people are many, and by the sweep: evaluate everybody with it, and propose."""
    turn = Turn(part_seconds(), others_wait=partial(others_wait_for_an_evaluation, profile_id))
    apply_rule(IntegrationProfile.objects.get(pk=profile_id), turn=turn)
    if profile_id in evaluation.profiles_to_evaluate():
        enqueue_task(evaluate_again, profile_id)


@shared_task
def count_people(profile_id: int) -> None:
    """Triggered by the sweep after verdicts have changed: count the people again, for previews and large profiles."""
    count_buckets(IntegrationProfile.objects.get(pk=profile_id))


def _part(profile_id: int) -> Part:
    return Part(
        part_seconds(),
        others_wait=partial(others_wait_for_a_download, profile_id),
        others_work=partial(others_download, profile_id),
    )


def _download(profile_id: int, *, started_by: StartedBy, slot: datetime | None, actor: Actor = None) -> None:
    profile = IntegrationProfile.objects.get(pk=profile_id)
    with _one_part(profile_id):
        download_subscriptions(profile, actor=actor, started_by=started_by, slot=slot, part=_part(profile_id))


@contextmanager
def _one_part(profile_id: int) -> Iterator[None]:
    """Do one part of a run in the `with` block. If the run is not at its end then, enqueue the next part.

    It begins at once, or when the vendor's limit has room again.
    """
    try:
        yield
    except DownloadError as error:
        logger.info("%s", error)
        return
    except SoftTimeLimitExceeded:
        logger.warning("A part of a download took longer than a task may. The next part goes on at the saved page.")
    _enqueue_next_part(profile_id)


def _enqueue_next_part(profile_id: int) -> None:
    """For now, or for the moment when the vendor's limit has room. The sweep begins a part that waits for longer."""
    for run in DownloadRun.objects.filter(profile=profile_id, state__in=UNDER_WAY):
        task, pk = (download_due, profile_id) if run.state == RunState.RUNNING else (follow_up, run.pk)
        seconds = (run.lease_until - database_now()).total_seconds()
        if seconds <= 0:
            enqueue_task(task, pk)
        elif seconds <= MAX_LAST_WAIT:
            enqueue_later(seconds + CLOCK_SLACK, task, pk)


@shared_task
def reclaim(profile_id: int) -> None:
    """Send what is approved and due, and read back what is in doubt."""
    profile = IntegrationProfile.objects.get(pk=profile_id)
    turn = Turn(TASK_SECONDS, others_wait=partial(others_wait_for_a_reclaim, profile_id))
    read = partial(read_back_doubts, profile, seconds=TASK_SECONDS / 2)
    findings.run_step(f"read_back_doubts:{profile_id}", read)
    reclaim_due(profile, turn=turn)
    # The remaining items go on at once, and not with the next sweep.
    if turn.is_over() and profile_id in profiles_to_reclaim():
        enqueue_task(reclaim, profile_id)


@shared_task
def ask_people(profile_id: int) -> None:
    """Send the mails that ask people, or remind them."""
    deliver_due(IntegrationProfile.objects.get(pk=profile_id))


@shared_task
def read_bounce_mailbox() -> None:
    """Triggered by beat every ten minutes."""
    try:
        read_bounces()
    except (OSError, IMAP4.error) as error:
        logger.warning("The mailbox of bounces could not be read (%s). It is tried again in ten minutes.", error)


@shared_task
def notify_colleagues() -> None:
    """Send the mails to the people who work with LicenseHub."""
    for step in (rights_mail.announce, token_mail.tell, notifications.deliver_due):
        findings.run_step(f"{step.__module__}.{step.__name__}", step)


@shared_task
def deliver_webhooks() -> None:
    """Send the events that webhooks wait for."""
    webhooks.deliver_due()


@shared_task
def reconcile_all() -> None:
    """Triggered by beat every night."""
    for profile_id in reconcile.profiles_to_reconcile():
        enqueue_task(reconcile_ledger, profile_id)


@shared_task(soft_time_limit=reconcile.MAX_SECONDS, time_limit=reconcile.MAX_SECONDS + 60)
def reconcile_ledger(profile_id: int) -> None:
    """Triggered every night, by *Reconcile now*, and by the sweep; of several at once, one does the work."""
    profile = IntegrationProfile.objects.get(pk=profile_id)
    if not reconcile.is_due(profile):
        return
    try:
        reconcile.reconcile_requested(profile)
    except Refused as error:
        logger.info("%s", error)
    except stopping.Stopped:
        # The broker keeps it for the next worker.
        enqueue_task(reconcile_ledger, profile_id)
    except SoftTimeLimitExceeded:
        logger.warning("A reconciliation took longer than %s seconds, and was ended.", reconcile.MAX_SECONDS)


@shared_task(soft_time_limit=kept_packs.MAX_SECONDS, time_limit=kept_packs.MAX_SECONDS + 60)
def make_evidence_pack(pack_id: int) -> None:
    """Triggered by the page that asks for a long pack, and by the sweep; one at a time."""
    try:
        kept_packs.make_asked(pack_id)
    except SoftTimeLimitExceeded:
        kept_packs.took_too_long(pack_id)
    _enqueue_all(kept_packs.packs_to_make, make_evidence_pack)


@shared_task
def thin_history() -> None:
    """Triggered by beat every night: count the savings of the ended days again, and thin or remove what is old."""
    findings.run_step("count_all_verified", count_all_verified)
    findings.run_step("remove_old_history", partial(remove_old_history, seconds=part_seconds()))
    findings.run_step("thin_past_activity", partial(thin_past_activity, seconds=part_seconds()))
    findings.run_step("remove_old_deliveries", remove_old_deliveries)
    findings.run_step("note_due", note_due)
    findings.run_step("erase_due", partial(erase_due, seconds=part_seconds()))


@shared_task
def sweep() -> None:
    """Triggered by beat every minute. First it checks for a restored backup, before anything is added to the audit."""
    findings.run_step("report_clock", findings.report_clock)
    backup_guard.is_held()
    repair()
    for find, task in (
        (profiles_to_download, download_due),
        (evaluation.profiles_to_evaluate, evaluate_again),
        (profiles_to_count, count_people),
        (runs_to_follow_up, follow_up),
        (profiles_with_due_slot, download_daily),
        (profiles_to_ask, ask_people),
        (profiles_to_reclaim, reclaim),
        (reconcile.profiles_asked_for, reconcile_ledger),
        (kept_packs.packs_to_make, make_evidence_pack),
    ):
        findings.run_step(task.name, partial(_enqueue_all, find, task))
    findings.run_step("remove_evidence_packs", kept_packs.remove_due)
    findings.run_step("notify", notify)
    if notifications.anything_due() or rights_mail.anything_to_announce() or token_mail.anything_to_tell():
        enqueue_task(notify_colleagues)
    findings.run_step("tell_webhooks", tell_webhooks)
    if webhooks.anything_due():
        enqueue_task(deliver_webhooks)
    findings.run_step("make_due", make_due)
    findings.run_step("count_all_candidates", count_all_candidates)


def _enqueue_all(find: Callable[[], Iterable[int]], task: Task[..., None]) -> None:
    for pk in find():
        enqueue_task(task, pk)
