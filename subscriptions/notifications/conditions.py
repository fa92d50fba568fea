"""The facts that colleagues should know now. They are read from the database each minute, so a crash loses none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count, Max
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import ngettext

from integrations import sending
from integrations.models import Connection, ConnectionState, IntegrationProfile, ProfileState
from licensehub.ui.formatting import day, day_and_time
from subscriptions.approvals.deciders import deciders_of
from subscriptions.models import (
    CandidateState,
    Contract,
    DownloadRun,
    Notification,
    NotificationKind,
    Protection,
    ReclaimRequest,
    RemovalCandidate,
    RequestState,
    RunState,
)
from subscriptions.models.download import UNDER_WAY
from subscriptions.models.request import WAITING
from subscriptions.money.contracts import reminder_due
from subscriptions.schedules import occurrences
from subscriptions.schedules.schedules import DOWNLOAD_TASK, task_of
from subscriptions.schedules.working_days import reminder_before_end

# A download that was due longer ago than this has ended or failed.
DOWNLOAD_TAKES = timedelta(hours=3)
# After this time, a mail asks whether all sending should stay stopped. Another one follows every week.
STOPPED_FOR = timedelta(days=2)
WEEK = timedelta(days=7)
# A mail names at most this many protections, and counts the others.
NAMED = 20


def opened() -> Iterator[Notification]:
    """Requests that wait for a decision."""
    for request in _open_requests():
        yield _about(NotificationKind.OPENED, request)


def ending() -> Iterator[Notification]:
    """Requests that wait for a decision and end soon."""
    for request in _open_requests():
        start = request.answers_until or request.requested_at
        if timezone.now() >= reminder_before_end(start, request.expires_at):
            yield _about(NotificationKind.ENDING, request)


def undecidable() -> Iterator[Notification]:
    """Requests that nobody may decide, also while their people are still being asked."""
    for request in ReclaimRequest.objects.filter(state__in=WAITING).select_related("profile"):
        if not deciders_of(request).exists():
            yield _about(NotificationKind.UNDECIDABLE, request)


def _open_requests() -> Iterator[ReclaimRequest]:
    rows = ReclaimRequest.objects.filter(state=RequestState.OPEN, expires_at__gt=timezone.now())
    yield from rows.select_related("profile")


def _about(kind: NotificationKind, request: ReclaimRequest) -> Notification:
    return Notification(kind=kind, key=f"{kind}:{request.pk}", profile=request.profile, request=request)


def connections() -> Iterator[Notification]:
    """Connections in Error. There is one mail for each error; the next one comes after the connection worked again."""
    broken = Connection.objects.filter(state=ConnectionState.ERROR, profile__in=IntegrationProfile.objects.in_use())
    for connection in broken.select_related("profile").defer("ciphertext"):
        yield Notification(
            kind=NotificationKind.CONNECTION,
            key=f"connection:{connection.pk}",
            profile=connection.profile,
            subject=f"{connection} is in error",
            text=f"{connection} has not worked since {day_and_time(connection.state_changed_at)}.\n{connection.error}\n"
            "Until it works again, nothing is sent to the vendor. Approved reclaims wait and are not lost.",
            path=reverse("admin:integrations_connection_change", args=[connection.pk]),
        )


def downloads() -> Iterator[Notification]:
    """Published profiles whose last run is quarantined, or that had no complete run since their last slot."""
    for profile in IntegrationProfile.objects.filter(state=ProfileState.PUBLISHED):
        newest = DownloadRun.objects.filter(profile=profile).first()
        if newest and newest.state == RunState.QUARANTINED:
            yield Notification(
                kind=NotificationKind.DOWNLOAD,
                key=f"quarantined:{newest.pk}",
                profile=profile,
                subject=f"{profile}: a download is quarantined",
                text=f"The download of {day_and_time(newest.started_at)} cannot be true, so it changed nothing.\n"
                f"{newest.problem}",
                path=reverse("admin:subscriptions_downloadrun_change", args=[newest.pk]),
            )
        elif not (newest and newest.state in UNDER_WAY) and _missed(profile):
            last = DownloadRun.objects.complete().filter(profile=profile).first()
            since = f"since {day_and_time(last.finished_at)}" if last else "yet"
            yield Notification(
                kind=NotificationKind.DOWNLOAD,
                key=f"no download:{profile.pk}",
                profile=profile,
                subject=f"{profile}: no download {since}",
                text=f"There is no complete download {since}, although one was due. Meanwhile nobody becomes a "
                "candidate.",
                path=reverse("admin:integrations_integrationprofile_change", args=[profile.pk]),
            )


def _missed(profile: IntegrationProfile) -> bool:
    """Whether a slot has passed without a complete run. A slot before the schedule was changed does not count."""
    task = task_of(profile, DOWNLOAD_TASK)
    if task is None or not task.enabled or task.crontab is None:
        return False
    slot = occurrences.last_slot(task.crontab, timezone.now() - DOWNLOAD_TAKES)
    if slot is None or (task.start_time and slot < task.start_time):
        return False
    return not DownloadRun.objects.complete().filter(profile=profile, finished_at__gte=slot).exists()


def attention() -> Iterator[Notification]:
    """Profiles with candidates that wait for a person. A day with new candidates has a new notification."""
    waiting = RemovalCandidate.objects.filter(state=CandidateState.ATTENTION_REQUIRED).order_by()
    for row in waiting.values("profile").annotate(count=Count("pk"), newest=Max("state_changed_at")):
        profile, count = IntegrationProfile.objects.get(pk=row["profile"]), row["count"]
        people = f"{count:,} {ngettext('candidate', 'candidates', count)}"
        address = reverse("admin:subscriptions_removalcandidate_changelist")
        yield Notification(
            kind=NotificationKind.ATTENTION,
            key=f"attention:{profile.pk}:{timezone.localdate(row['newest']).isoformat()}",
            profile=profile,
            subject=f"{profile}: {people} with attention required",
            text=f"{people} of “{profile}” {ngettext('waits', 'wait', count)} for a person, e.g. since the vendor "
            "refused, an answer was lost, or somebody could not be reached. Nothing happens until a person has looked.",
            path=f"{address}?state__exact={CandidateState.ATTENTION_REQUIRED.value}&profile__id__exact={profile.pk}",
        )


def protections() -> Iterator[Notification]:
    """Profiles with protections that cover nobody any more. A download that finds others has a new notification."""
    lost = Protection.objects.lost().order_by()
    for row in lost.values("profile").annotate(newest=Max("lost_at")):
        profile = IntegrationProfile.objects.get(pk=row["profile"])
        mine = list(lost.of(profile.pk).order_by("pk"))
        count = len(mine)
        said = ngettext("{:,} protection covers", "{:,} protections cover", count).format(count) + " nobody any more"
        named = [f"{one.scope_label} (covered {one.covered:,}; owner {one.owner})" for one in mine[:NAMED]]
        more = [f"and {count - NAMED:,} more"] if count > NAMED else []
        yield Notification(
            kind=NotificationKind.PROTECTION,
            key=f"protection:{profile.pk}:{row['newest'].isoformat()}",
            profile=profile,
            subject=f"{profile}: {said}",
            text=f"{said} since the last download: {'; '.join([*named, *more])}.\nThe people may have left. Or they "
            "have new addresses, e.g. after a change of the company's domain, and are candidates now: then protect "
            "them again. LicenseHub files no request by itself until somebody has ended these protections, or has "
            "confirmed that they are as they should be.",
            path=f"{reverse('admin:subscriptions_protection_changelist')}?state__exact=lost",
        )


def contracts() -> Iterator[Notification]:
    """Contracts whose last day of notice comes. Each of the four reminders is one notification."""
    rows = Contract.objects.filter(profile__in=IntegrationProfile.objects.in_use()).select_related("profile")
    today = timezone.localdate()
    for row in rows:
        days = reminder_due(row, today=today)
        if days is None:
            continue
        left = (row.notice_by - today).days
        until = f"{left} {ngettext('day', 'days', left)} left"
        yield Notification(
            kind=NotificationKind.CONTRACT,
            key=f"contract:{row.pk}:{row.notice_by.isoformat()}:{days}",
            profile=row.profile,
            subject=f"{row.profile}: the last day of notice is {day(row.notice_by)}, {until}",
            text=f"The contract has {row.seats:,} {row.license_label} seats, and is renewed on {day(row.renews_on)}. "
            f"Until {day(row.notice_by)} you can say how many seats the next term has. The page of the contract shows "
            "how many are in use, and a forecast.",
            path=f"{reverse('admin:subscriptions_contract_changelist')}?profile={row.profile_id}",
        )


def stopped() -> Iterator[Notification]:
    """All sending that is stopped for days, perhaps because somebody forgot to allow it again."""
    control = sending.control()
    if control.stopped and control.stopped_at and timezone.now() - control.stopped_at > STOPPED_FOR:
        weeks = (timezone.now() - control.stopped_at - STOPPED_FOR) // WEEK
        yield Notification(
            kind=NotificationKind.STOPPED,
            key=f"stopped:{control.stopped_at.isoformat()}:{weeks}",
            subject=f"All sending is stopped since {day(control.stopped_at)}",
            text=f"{control.stopped_by or 'A command'} stopped all sending on {day(control.stopped_at)}: "
            f"“{control.reason}”\nApproved reclaims wait meanwhile, and an approval ends after some days.",
            path=reverse("admin:integrations_sendingcontrol_changelist"),
        )
