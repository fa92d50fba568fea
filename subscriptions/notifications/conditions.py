"""The facts that colleagues should know now. They are read from the database each minute, so a crash loses none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count, Max
from django.urls import reverse
from django.utils import timezone

from integrations import sending
from integrations.connectors.contract import english, english_plural
from integrations.installation.findings import findings
from integrations.models import Connection, ConnectionState, IntegrationProfile
from licensehub.database.clock import database_now
from licensehub.ui.formatting import day, day_and_time, number
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
from subscriptions.models.reclaims.request import WAITING
from subscriptions.money.contracts import reminder_due
from subscriptions.money.licenses import short_licenses
from subscriptions.reports.monthly import key_of, report_to_mail
from subscriptions.reports.texts import subject_of, text_of
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

# Subjects and texts. A mail has them in the language of its reader.
BROKEN = english("{connection} is in error")
BROKEN_SINCE = english(
    "{connection} has not worked since {time}.\n{error}\nUntil it works again, nothing is sent to the vendor. "
    "Approved reclaims wait and are not lost."
)
TAMPERED = english("{profile}: something was changed outside of LicenseHub")
TAMPERED_SINCE = english(
    "Since {time}, nothing is sent for this profile.\n{why}\nFind out who can write to the database, then release "
    "sending on the page of the profile. Restores are still sent."
)
QUARANTINED = english("{profile}: a download is quarantined")
CANNOT_BE_TRUE = english("The download of {time} cannot be true, so it changed nothing.\n{problem}")
NO_DOWNLOAD_SINCE = english("{profile}: no download since {time}")
NO_DOWNLOAD_YET = english("{profile}: no download yet")
FEW_FREE_TEXT = english(
    "{used} of {bought} {license} licenses are in use; {candidates} of these seats are removal candidates. Reclaim "
    "seats, or buy more, before somebody cannot get one."
)
WHY_NONE_SINCE = english(
    "There is no complete download since {time}, although one was due. Meanwhile nobody becomes a candidate."
)
WHY_NONE_YET = english("There is no complete download yet, although one was due. Meanwhile nobody becomes a candidate.")
COVERED = english("{scope} (covered {count}; owner {owner})")
AND_MORE = english("and {count} more")
NOTICE_DAY = english("{profile}: the last day of notice is {day}, {left}")
NOTICE_TEXT = english(
    "The contract has {seats} {license} seats, and is renewed on {renewal}. Until {day} you can say how many seats the "
    "next term has. The page of the contract shows how many are in use, and a forecast."
)
NEEDS_REPAIR = english("LicenseHub itself needs a repair")
STOPPED_SINCE = english("All sending is stopped since {day}")
STOPPED_BY = english(
    "{name} stopped all sending on {day}: “{reason}”\nApproved reclaims wait meanwhile, and an approval ends after "
    "some days."
)
STOPPED_BY_COMMAND = english(
    "A command stopped all sending on {day}: “{reason}”\nApproved reclaims wait meanwhile, and an approval ends after "
    "some days."
)


def opened() -> Iterator[Notification]:
    """Requests that wait for a decision."""
    for request in _open_requests():
        yield _about(NotificationKind.OPENED, request)


def ending() -> Iterator[Notification]:
    """Requests that wait for a decision and end soon."""
    for request in _open_requests():
        start = request.answers_until or request.requested_at
        if database_now() >= reminder_before_end(start, request.expires_at):
            yield _about(NotificationKind.ENDING, request)


def undecidable() -> Iterator[Notification]:
    """Requests that nobody may decide, also while their people are still being asked."""
    for request in ReclaimRequest.objects.filter(state__in=WAITING).select_related("profile"):
        if not deciders_of(request).exists():
            yield _about(NotificationKind.UNDECIDABLE, request)


def _open_requests() -> Iterator[ReclaimRequest]:
    rows = ReclaimRequest.objects.filter(state=RequestState.OPEN, expires_at__gt=database_now())
    yield from rows.select_related("profile")


def _about(kind: NotificationKind, request: ReclaimRequest) -> Notification:
    return Notification(kind=kind, key=f"{kind}:{request.pk}", profile=request.profile, request=request)


def connections() -> Iterator[Notification]:
    """Connections in Error. There is one mail for each error, and one every week until the connection works again."""
    now = database_now()
    broken = Connection.objects.filter(state=ConnectionState.ERROR, profile__in=IntegrationProfile.objects.in_use())
    for connection in broken.select_related("profile").defer("ciphertext"):
        # Not below 0: a clock that is set back is no new error.
        weeks = max(0, (now - connection.state_changed_at) // WEEK)
        yield Notification(
            kind=NotificationKind.CONNECTION,
            key=f"connection:{connection.pk}:{weeks}",
            profile=connection.profile,
            subject=BROKEN.format(connection=connection),
            text=BROKEN_SINCE.format(
                connection=connection, time=day_and_time(connection.state_changed_at), error=connection.error
            ),
            path=reverse("admin:integrations_connection_change", args=[connection.pk]),
        )


def tampered() -> Iterator[Notification]:
    """Profiles that are held since rows were changed outside of LicenseHub."""
    for profile in IntegrationProfile.objects.in_use().filter(held_at__isnull=False):
        yield Notification(
            kind=NotificationKind.TAMPERED,
            key=f"tampered:{profile.pk}",
            profile=profile,
            subject=TAMPERED.format(profile=profile),
            text=TAMPERED_SINCE.format(time=day_and_time(profile.held_at), why=profile.held_why),
            path=reverse("admin:integrations_integrationprofile_change", args=[profile.pk]),
        )


def downloads() -> Iterator[Notification]:
    """Published profiles whose last run is quarantined, or that had no complete run since their last slot."""
    for profile in IntegrationProfile.objects.downloading():
        newest = DownloadRun.objects.filter(profile=profile).first()
        if newest and newest.state == RunState.QUARANTINED:
            yield Notification(
                kind=NotificationKind.DOWNLOAD,
                key=f"quarantined:{newest.pk}",
                profile=profile,
                subject=QUARANTINED.format(profile=profile),
                text=CANNOT_BE_TRUE.format(time=day_and_time(newest.started_at), problem=newest.problem),
                path=reverse("admin:subscriptions_downloadrun_change", args=[newest.pk]),
            )
        elif not (newest and newest.state in UNDER_WAY) and _missed(profile):
            last = DownloadRun.objects.complete().filter(profile=profile).first()
            since = day_and_time(last.finished_at) if last else ""
            yield Notification(
                kind=NotificationKind.DOWNLOAD,
                key=f"no download:{profile.pk}",
                profile=profile,
                subject=(NO_DOWNLOAD_SINCE if since else NO_DOWNLOAD_YET).format(profile=profile, time=since),
                text=(WHY_NONE_SINCE if since else WHY_NONE_YET).format(time=since),
                path=reverse("admin:integrations_integrationprofile_change", args=[profile.pk]),
            )


def _missed(profile: IntegrationProfile) -> bool:
    """Whether a slot has passed without a complete run. A slot before the schedule was changed does not count."""
    task = task_of(profile, DOWNLOAD_TASK)
    if task is None or not task.enabled or task.crontab is None:
        return False
    slot = occurrences.last_slot(task.crontab, database_now() - DOWNLOAD_TAKES)
    if slot is None or (task.start_time and slot < task.start_time):
        return False
    return not DownloadRun.objects.complete().filter(profile=profile, finished_at__gte=slot).exists()


def attention() -> Iterator[Notification]:
    """Profiles with candidates that wait for a person. A day with new candidates has a new notification."""
    waiting = RemovalCandidate.objects.filter(state=CandidateState.ATTENTION_REQUIRED).order_by()
    for row in waiting.values("profile").annotate(count=Count("pk"), newest=Max("state_changed_at")):
        profile, count = IntegrationProfile.objects.get(pk=row["profile"]), row["count"]
        address = reverse("admin:subscriptions_removalcandidate_changelist")
        yield Notification(
            kind=NotificationKind.ATTENTION,
            key=f"attention:{profile.pk}:{timezone.localdate(row['newest']).isoformat()}",
            profile=profile,
            subject=english_plural(
                "{profile}: {count} candidate with attention required",
                "{profile}: {count} candidates with attention required",
                count,
            ).format(profile=profile, count=number(count)),
            text=english_plural(
                "{count} candidate of “{profile}” waits for a person, e.g. since the vendor refused, an answer was "
                "lost, or somebody could not be reached. Nothing happens until a person has looked.",
                "{count} candidates of “{profile}” wait for a person, e.g. since the vendor refused, an answer was "
                "lost, or somebody could not be reached. Nothing happens until a person has looked.",
                count,
            ).format(profile=profile, count=number(count)),
            path=f"{address}?state__exact={CandidateState.ATTENTION_REQUIRED.value}&profile__id__exact={profile.pk}",
        )


def protections() -> Iterator[Notification]:
    """Profiles with protections that cover nobody any more. A download that finds others has a new notification."""
    lost = Protection.objects.lost().order_by()
    for row in lost.values("profile").annotate(newest=Max("lost_at")):
        profile = IntegrationProfile.objects.get(pk=row["profile"])
        mine = list(lost.of(profile.pk).order_by("pk"))
        count = len(mine)
        named = [
            COVERED.format(scope=one.scope_label, count=number(one.covered or 0), owner=one.owner)
            for one in mine[:NAMED]
        ]
        more = [AND_MORE.format(count=number(count - NAMED))] if count > NAMED else []
        yield Notification(
            kind=NotificationKind.PROTECTION,
            key=f"protection:{profile.pk}:{row['newest'].isoformat()}",
            profile=profile,
            subject=english_plural(
                "{profile}: {count} protection covers nobody any more",
                "{profile}: {count} protections cover nobody any more",
                count,
            ).format(profile=profile, count=number(count)),
            text=english_plural(
                "{count} protection covers nobody any more since the last download: {protections}.\nThe people may "
                "have left. Or they have new addresses, e.g. after a change of the company's domain, and are "
                "candidates now: then protect them again. LicenseHub files no request by itself until somebody has "
                "ended these protections, or has confirmed that they are as they should be.",
                "{count} protections cover nobody any more since the last download: {protections}.\nThe people may "
                "have left. Or they have new addresses, e.g. after a change of the company's domain, and are "
                "candidates now: then protect them again. LicenseHub files no request by itself until somebody has "
                "ended these protections, or has confirmed that they are as they should be.",
                count,
            ).format(count=number(count), protections="; ".join([*named, *more])),
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
        until = english_plural("{} day left", "{} days left", left).format(left)
        yield Notification(
            kind=NotificationKind.CONTRACT,
            key=f"contract:{row.pk}:{row.notice_by.isoformat()}:{days}",
            profile=row.profile,
            subject=NOTICE_DAY.format(profile=row.profile, day=day(row.notice_by), left=until),
            text=NOTICE_TEXT.format(
                seats=number(row.seats), license=row.license_label, renewal=day(row.renews_on), day=day(row.notice_by)
            ),
            path=f"{reverse('admin:subscriptions_contract_changelist')}?profile={row.profile_id}",
        )


def floors() -> Iterator[Notification]:
    """License types with fewer free licenses than their seat floor. The next mail comes after more were free."""
    profiles = IntegrationProfile.objects.in_use().filter(seat_floors__isnull=False).distinct()
    for profile in profiles:
        for use in short_licenses(profile):
            free = use.free or 0
            subject = english_plural(
                "{profile}: {count} {license} license is free, fewer than {floor}",
                "{profile}: {count} {license} licenses are free, fewer than {floor}",
                free,
            )
            yield Notification(
                kind=NotificationKind.FLOOR,
                key=f"floor:{profile.pk}:{use.license}",
                profile=profile,
                subject=subject.format(
                    profile=profile, count=number(free), license=use.label, floor=number(use.floor or 0)
                ),
                text=FEW_FREE_TEXT.format(
                    used=number(use.used),
                    bought=number(use.bought or 0),
                    license=use.label,
                    candidates=number(use.candidates),
                ),
                path=f"{reverse('admin:subscriptions_contract_changelist')}?profile={profile.pk}",
            )


def reports() -> Iterator[Notification]:
    """The report of the last month, from the day in the settings on. Nobody gets the same month twice."""
    row = report_to_mail()
    key = key_of(row) if row else ""
    ended = Notification.objects.filter(kind=NotificationKind.REPORT, key=key, ended_at__isnull=False)
    if row is None or ended.exists():
        return
    yield Notification(
        kind=NotificationKind.REPORT,
        key=key,
        subject=subject_of(row),
        text=text_of(row),
        path=f"{reverse('admin:subscriptions_monthlyreport_changelist')}?month={row.month:%Y-%m}",
    )


def stopped() -> Iterator[Notification]:
    """All sending that is stopped for days, perhaps because somebody forgot to allow it again."""
    control = sending.control()
    if control.stopped and control.stopped_at and database_now() - control.stopped_at > STOPPED_FOR:
        weeks = (database_now() - control.stopped_at - STOPPED_FOR) // WEEK
        yield Notification(
            kind=NotificationKind.STOPPED,
            key=f"stopped:{control.stopped_at.isoformat()}:{weeks}",
            subject=STOPPED_SINCE.format(day=day(control.stopped_at)),
            text=(STOPPED_BY if control.stopped_by else STOPPED_BY_COMMAND).format(
                name=control.stopped_by, day=day(control.stopped_at), reason=control.reason
            ),
            path=reverse("admin:integrations_sendingcontrol_changelist"),
        )


def installation() -> Iterator[Notification]:
    """The problems of the installation itself. There is one mail for each finding, until it is repaired."""
    for finding in findings():
        if not finding.urgent:
            continue
        yield Notification(
            kind=NotificationKind.OPERATION,
            key=f"installation:{finding.key}"[:80],
            subject=NEEDS_REPAIR,
            text=finding.text,
            path=reverse("admin:index"),
        )
