"""The metrics that are read from the database and the broker, so each web process on each host says the same.

No label names a person, and none has more values than there are profiles, connections, states, queues or checks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db.models import Count, Max, Min, Model, Q
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from integrations import sending
from integrations.connectors.rate_limit import rate_used
from integrations.installation.processes import processes
from integrations.models import (
    CheckResult,
    Connection,
    ConnectionState,
    DeliveryState,
    IntegrationProfile,
    Webhook,
    WebhookDelivery,
    WebhookState,
)
from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent, ChainHead, StoredAnchor
from licensehub.build import version
from licensehub.database.clock import database_now
from licensehub.operations import queues
from licensehub.operations.doctor.findings import Level
from licensehub.redis_client import RedisAway
from subscriptions.models import (
    CandidateState,
    DownloadRun,
    Notice,
    NoticeState,
    NotificationMail,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RemovalCandidate,
    RunState,
)
from subscriptions.models.reclaims.request import WAITING
from subscriptions.reclaims.lost_answers import waits

# A second scrape within so many seconds gets the same numbers.
KEPT_SECONDS: Final = 5.0
OPEN: Final = tuple(state for state in CandidateState if not state.startswith("closed"))
FAILED_MAILS: Final = (NoticeState.FAILED, NoticeState.BOUNCED, NoticeState.IN_DOUBT)
UNDER_WAY: Final = (ReclaimState.QUEUED, ReclaimState.CLAIMED, ReclaimState.SENDING, ReclaimState.IN_DOUBT)
PREFIX: Final = "licensehub_"


def gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}{name}", text, labels=labels)


def counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"{PREFIX}{name}", text, labels=labels)


def build() -> Iterator[Metric]:
    yield InfoMetricFamily(f"{PREFIX}build", "The version of this process.", value={"version": version()})
    profiles = InfoMetricFamily(f"{PREFIX}profile", "The name of each profile.", labels=["profile"])
    for pk, name in IntegrationProfile.objects.in_use().values_list("pk", "name"):
        profiles.add_metric([str(pk)], {"name": name})
    yield profiles


def checks() -> Iterator[Metric]:
    levels = gauge("check_level", "The result of each check of the doctor: 0 ok, 1 look, 2 act.", "check")
    reported = gauge("report_timestamp_seconds", "When a worker last ran the checks.")
    newest = None
    for name, level, at in CheckResult.objects.values_list("check_id", "level", "checked_at"):
        levels.add_metric([name], Level(level).rank)
        newest = max(newest, at) if newest else at
    if newest:
        reported.add_metric([], newest.timestamp())
    yield from (levels, reported)


def running_processes() -> Iterator[Metric]:
    known = processes()
    workers = gauge("workers", "Workers that are alive and serve this queue.", "queue")
    for name in queues.queue_names():
        workers.add_metric([name], len(known.serving(name)))
    yield workers
    yield GaugeMetricFamily(f"{PREFIX}schedulers", "Schedulers at work; it must be 1.", value=len(known.schedulers))


def tasks() -> Iterator[Metric]:
    count = gauge("queue_messages", "Messages that wait in the broker.", "queue")
    oldest = gauge("queue_oldest_seconds", "How long the oldest of them waits.", "queue")
    broker = gauge("broker_up", "1 if the broker answers.")
    try:
        for one in queues.waiting():
            count.add_metric([one.queue], one.count)
            oldest.add_metric([one.queue], one.oldest)
        broker.add_metric([], 1)
    except queues.NoBroker:
        broker.add_metric([], 0)
    took = gauge("task_median_seconds", "Median time of a task in the last 15 minutes.", "queue")
    waited = gauge("task_wait_median_seconds", "Median time in the queue in the last 15 minutes.", "queue")
    ended = gauge("tasks_recent", "Tasks that ended in the last 15 minutes.", "queue", "result")
    for queue, pace in queues.paces().items():
        took.add_metric([queue], pace.took or 0.0)
        waited.add_metric([queue], pace.waited or 0.0)
        ended.add_metric([queue, "failed"], pace.failed)
        ended.add_metric([queue, "done"], pace.count - pace.failed)
    yield from (count, oldest, broker, took, waited, ended)


def downloads() -> Iterator[Metric]:
    now = database_now()
    runs = counter("downloads", "Download runs by how they ended.", "profile", "state")
    for profile, state, number in _counted(DownloadRun, "profile_id", "state"):
        runs.add_metric([str(profile), str(state)], number)
    read = gauge("download_members", "Members that the newest run has read.", "profile")
    pace = gauge("download_members_per_second", "Members per second of the newest run.", "profile")
    running = gauge("download_running", "1 while a run is under way.", "profile")
    fresh = gauge("download_facts_timestamp_seconds", "When the last complete facts were written.", "profile")
    newest = DownloadRun.objects.order_by().values("profile_id").annotate(last=Max("pk")).values_list("last", flat=True)
    for run in DownloadRun.objects.filter(pk__in=list(newest)):
        label = [str(run.profile_id)]
        seconds = ((run.finished_at or now) - run.started_at).total_seconds()
        read.add_metric(label, run.read)
        pace.add_metric(label, run.read / seconds if seconds > 0 else 0.0)
        running.add_metric(label, int(run.state == RunState.RUNNING))
    with_facts = DownloadRun.objects.with_facts().order_by().values_list("profile_id").annotate(at=Max("finished_at"))
    for profile, at in with_facts:
        if at:
            fresh.add_metric([str(profile)], at.timestamp())
    yield from (runs, read, pace, running, fresh)


def work() -> Iterator[Metric]:
    now = database_now()
    candidates = gauge("candidates", "Open removal candidates by state.", "profile", "state")
    for profile, state, number in _counted(RemovalCandidate, "profile_id", "state", state__in=OPEN):
        candidates.add_metric([str(profile), str(state)], number)
    items = gauge("reclaims", "Reclaims and restores that are under way or in doubt.", "profile", "state")
    for profile, state, number in _counted(Reclaim, "profile_id", "state", state__in=UNDER_WAY):
        items.add_metric([str(profile), str(state)], number)
    oldest = gauge("oldest_open_seconds", "Age of the oldest open request, and of the oldest unsent item.", "kind")
    open_requests = ReclaimRequest.objects.filter(state__in=WAITING)
    moments = {
        "request": open_requests.aggregate(at=Min("requested_at"))["at"],
        "item": Reclaim.objects.unfinished().aggregate(at=Min("queued_at"))["at"],
    }
    for kind, at in moments.items():
        oldest.add_metric([kind], (now - at).total_seconds() if at else 0.0)
    lost = gauge("answers_lost", "1 while reclaims are held because the vendor's answers were lost.", "profile")
    held = {profile.pk for profile, _since in waits()}
    for pk in IntegrationProfile.objects.in_use().values_list("pk", flat=True):
        lost.add_metric([str(pk)], int(pk in held))
    doubts = Reclaim.objects.filter(state=ReclaimState.IN_DOUBT).count()
    control = sending.control()
    yield from (candidates, items, oldest, lost)
    yield GaugeMetricFamily(f"{PREFIX}in_doubt", "Items whose answer of the vendor was lost.", value=doubts)
    allowed = int(not (control.stopped or control.held_at))
    yield GaugeMetricFamily(f"{PREFIX}sending_allowed", "0 while all sending is stopped or held.", value=allowed)


def connections() -> Iterator[Metric]:
    now = database_now()
    works = gauge("connection_up", "0 for a connection in Error.", "profile", "slot")
    expires = gauge("token_expires_seconds", "Time until the token expires, for those that do.", "profile", "slot")
    age = gauge("credentials_age_seconds", "How long ago the credentials were set.", "profile", "slot")
    for row in Connection.objects.filter(profile__in=IntegrationProfile.objects.in_use()).defer("ciphertext"):
        label = [str(row.profile_id), row.slot]
        works.add_metric(label, int(row.state != ConnectionState.ERROR))
        if row.expires_at:
            expires.add_metric(label, (row.expires_at - now).total_seconds())
        if row.credentials_set_at:
            age.add_metric(label, (now - row.credentials_set_at).total_seconds())
    yield from (works, expires, age)
    left = gauge("rate_left_ratio", "Share of the rate budget that is left now, 0 to 1.", "bucket")
    try:
        for bucket, used, limit in rate_used(settings.REDIS_URL):
            left.add_metric([bucket], max(0.0, 1 - used / limit))
    except RedisAway:
        pass
    yield left


def mails() -> Iterator[Metric]:
    waiting = gauge("mails_waiting", "Mails that wait because of the mail server.", "kind")
    failed = counter("mail_failures", "Mails that were not delivered, or perhaps not.", "kind")
    for kind, model in (("question", Notice), ("notification", NotificationMail)):
        rows = model._default_manager
        waiting.add_metric([kind], rows.filter(state=NoticeState.DUE).exclude(problem="").count())
        failed.add_metric([kind], rows.filter(state__in=FAILED_MAILS).count())
    yield from (waiting, failed)


def webhooks() -> Iterator[Metric]:
    failing = Webhook.objects.filter(Q(state=WebhookState.FAILED) | Q(failing_since__isnull=False)).count()
    yield GaugeMetricFamily(f"{PREFIX}webhooks_failing", "Webhooks that fail, or were switched off.", value=failing)
    deliveries = gauge("webhook_deliveries", "Deliveries of webhooks by state.", "state")
    found = dict(WebhookDelivery.objects.order_by().values_list("state").annotate(n=Count("pk")))
    for state in DeliveryState:
        deliveries.add_metric([state.value], found.get(state.value, 0))
    yield deliveries


def audit() -> Iterator[Metric]:
    head = ChainHead.objects.values_list("sequence", flat=True).get(pk=1)
    yield CounterMetricFamily(f"{PREFIX}audit_events", "Events of the audit.", value=head)
    verified = AuditEvent.objects.filter(action=Action.AUDIT_VERIFIED).order_by("-sequence")
    moments = {
        "audit_verified_timestamp_seconds": ("When somebody last verified the history.", verified),
        "anchor_timestamp_seconds": ("When the last anchor was made.", StoredAnchor.objects.order_by("-pk")),
    }
    for name, (text, rows) in moments.items():
        at: datetime | None = rows.values_list("at", flat=True).first()
        family = gauge(name, text)
        if at:
            family.add_metric([], at.timestamp())
        yield family


def _counted(model: type[Model], *columns: str, **conditions: object) -> Iterator[tuple[object, object, int]]:
    """Two columns, and how many rows have these values."""
    rows = model._default_manager.filter(**conditions).order_by()
    yield from rows.values_list(*columns).annotate(n=Count("pk"))


PARTS: Final[tuple[Callable[[], Iterator[Metric]], ...]] = (
    *(build, checks, running_processes, tasks),
    *(downloads, work, connections, mails, webhooks, audit),
)


class Collector:
    """The collector that `prometheus_client` calls at each scrape."""

    def __init__(self) -> None:
        self._made: list[Metric] = []
        self._at: float | None = None

    def collect(self) -> list[Metric]:
        if self._at is None or time.monotonic() - self._at >= KEPT_SECONDS:
            self._made = [family for part in PARTS for family in part()]
            self._at = time.monotonic()
        return self._made
