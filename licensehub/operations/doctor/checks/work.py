"""The work itself: what waits for too long, what is in doubt, the connections, the downloads, and the switches."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Min
from django.utils.text import capfirst

from integrations import sending
from integrations.connectors.contract import english, english_plural
from integrations.models import Connection, ConnectionState, IntegrationProfile
from licensehub.database.clock import database_now
from licensehub.operations.doctor.findings import Context, Finding, Level, Step, check, without_addresses
from subscriptions.apply_rule import MAX_FACTS_AGE
from subscriptions.models import DownloadRun, Reclaim, ReclaimRequest, ReclaimState, RequestState, RunState
from subscriptions.models.reclaims.request import WAITING
from subscriptions.reclaims.lost_answers import waits
from subscriptions.schedules import schedules

# The sweep enqueues what is due every minute, and a task works for minutes.
LATE: Final = timedelta(minutes=20)
OLD_DOUBT: Final = timedelta(hours=1)
# A token is refreshed long before it expires.
LATE_REFRESH: Final = timedelta(minutes=30)
# Failed connections are tried again every hour.
LONG_UNANSWERED: Final = timedelta(hours=3)


@check("sending")
def switches(context: Context) -> Finding:
    """Nothing holds or stops all sending."""
    control = sending.control()
    waits = english("Approved seats wait and are not lost. Restores still work.")
    if control.held_at:
        steps = (Step(english("Open the page “Stop all sending”, check what it lists, and release sending.")),)
        title = english("Sending is held, since this database may be a restored backup")
        return Finding(Level.ACT, title, detail=control.held_why, waits=waits, steps=steps, since=control.held_at)
    if control.stopped:
        steps = (
            Step(
                english("Allow it on the page “Stop all sending” when the reason is gone."),
                "python manage.py stop_sending --allow",
            ),
        )
        return Finding(
            Level.LOOK, english("All sending is stopped"), waits=waits, steps=steps, since=control.stopped_at
        )
    return Finding(Level.OK, english("Sending is allowed"))


@check("open_items")
def open_items(context: Context) -> Finding:
    """Approved seats are sent soon, and requests are decided."""
    now = database_now()
    due = Reclaim.objects.due().filter(hold_reason="").aggregate(at=Min("queued_at"))["at"]
    late = Reclaim.objects.abandoned().aggregate(at=Min("lease_until"))["at"]
    moments = [moment for moment in (due, late) if moment and now - moment > LATE]
    if moments:
        count = Reclaim.objects.unfinished().count()
        text = english_plural("{count} approved seat waits.", "{count} approved seats wait.", count).format(count=count)
        steps = (Step(english("Look at the workers and the queues first. Then look at the log of the workers.")),)
        waits = english("None is lost. LicenseHub looks up each person again before it sends.")
        return Finding(
            Level.ACT, english("Approved seats are not sent"), detail=text, waits=waits, steps=steps, since=min(moments)
        )
    oldest = ReclaimRequest.objects.filter(state__in=WAITING).order_by("requested_at").first()
    if oldest is None:
        return Finding(Level.OK, english("Nothing is open"), english("none"))
    days = (now - oldest.requested_at).days
    value = english_plural("{days} day", "{days} days", days).format(days=days)
    waiting = (
        english("{request} waits for approval")
        if oldest.state == RequestState.OPEN
        else english("{request} waits for answers")
    )
    return Finding(Level.OK, english("Approved seats are sent"), value, waiting.format(request=oldest.number))


@check("answers")
def answers(context: Context) -> Finding:
    """The vendor answers the reclaims."""
    found = waits()
    if not found:
        return Finding(Level.OK, english("The vendor answers the reclaims"))
    profile, since = min(found, key=lambda wait: wait[1])
    look = english(
        "Look at the status page of {vendor}, and check any proxy between LicenseHub and {vendor}. LicenseHub tries "
        "one person at {moment} UTC, and continues by itself when {vendor} answers."
    ).format(vendor=profile.vendor, moment=f"{profile.lost_answers_held_until:%Y-%m-%d %H:%M}")
    return Finding(
        Level.LOOK,
        english("The answers of {vendor} to reclaims are lost").format(vendor=profile.vendor),
        profile.name,
        waits=english("Approved seats wait and are not lost. Restores still work."),
        steps=(Step(look),),
        since=since,
    )


@check("in_doubt")
def in_doubt(context: Context) -> Finding:
    """No item is in doubt for long."""
    doubts = Reclaim.objects.filter(state=ReclaimState.IN_DOUBT)
    count = doubts.count()
    if not count:
        return Finding(Level.OK, english("Nothing is in doubt"), "0")
    first = doubts.select_related("removal__request").order_by("sending_at").first()
    since = first.sending_at if first else None
    request = first.removal.request.number if first else ""
    level = Level.LOOK if since and database_now() - since > OLD_DOUBT else Level.OK
    steps = (
        Step(
            english("Open {request}: each item says what the vendor shows now, and what you can do.").format(
                request=request
            )
        ),
    )
    waits = english("Nothing is sent again before a person decides.")
    return Finding(level, english("The answer of the vendor was lost"), str(count), request, waits, steps, since)


@check("tokens")
def tokens(context: Context) -> Finding:
    """All connections work and are answered, OAuth tokens renew themselves in time, and no token is very old."""
    now = database_now()
    connections = Connection.objects.filter(profile__in=IntegrationProfile.objects.published_or_paused())
    rows = list(connections.select_related("profile").defer("ciphertext"))
    if broken := [row for row in rows if row.state == ConnectionState.ERROR]:
        return _broken(broken)
    if unanswered := [row for row in rows if row.unanswered_since and now - row.unanswered_since > LONG_UNANSWERED]:
        return _unanswered(unanswered)
    if late := [row for row in rows if row.refresh_at and now - row.refresh_at > LATE_REFRESH]:
        steps = (Step(english("Check if the workers run. Then validate the connections on the page of the profile.")),)
        since = min(row.refresh_at for row in late if row.refresh_at)
        detail = english("The token of “{name}” expires soon.").format(name=late[0])
        return Finding(Level.LOOK, english("A token was not renewed in time"), detail=detail, steps=steps, since=since)
    if old := [row for row in rows if row.has_old_token]:
        steps = (Step(english("Make a new token at the vendor, and enter it on the page of the connection.")),)
        detail = english("The token of “{name}” is at least a year old.").format(name=old[0])
        return Finding(Level.LOOK, english("A token is old"), detail=detail, steps=steps)
    if not rows:
        return Finding(Level.NONE, english("No profile is published"), english("none"))
    value = english_plural("{count} connection", "{count} connections", len(rows)).format(count=len(rows))
    return Finding(Level.OK, english("All connections work"), value)


def _broken(rows: list[Connection]) -> Finding:
    first = min(rows, key=lambda row: row.state_changed_at)
    title = english_plural("{count} connection does not work", "{count} connections do not work", len(rows))
    look = english("Open the connection “{name}”: it says what the vendor answered, and what to do.")
    return Finding(
        Level.ACT,
        title.format(count=len(rows)),
        str(len(rows)),
        without_addresses(first.error),
        english("Its downloads and its approved seats wait, and nothing is lost."),
        (Step(look.format(name=first)),),
        first.state_changed_at,
    )


def _unanswered(rows: list[Connection]) -> Finding:
    first = min(rows, key=lambda row: row.unanswered_since or row.state_changed_at)
    look = english(
        "Look at the status page of {vendor}, and check any proxy between LicenseHub and {vendor}. Then validate the "
        "connections."
    )
    return Finding(
        Level.LOOK,
        english("{vendor} does not answer").format(vendor=capfirst(first.profile.vendor)),
        first.profile.name,
        english("Nobody knows whether the connection “{name}” works.").format(name=first),
        english("Approved seats wait, and LicenseHub tries again by itself. An approval ends after some days."),
        (Step(look.format(vendor=first.profile.vendor)),),
        first.unanswered_since,
    )


@check("downloads")
def downloads(context: Context) -> Finding:
    """Each published profile has fresh facts, and a next download."""
    now, coming = database_now(), list[datetime]()
    for profile in IntegrationProfile.objects.downloading():
        newest = DownloadRun.objects.filter(profile=profile).first()
        complete = DownloadRun.objects.with_facts().filter(profile=profile).first()
        if newest and newest.state in (RunState.QUARANTINED, RunState.FAILED):
            title = (
                english("A download was quarantined")
                if newest.state == RunState.QUARANTINED
                else english("A download failed")
            )
            steps = (Step(english("Open {run}: it says why, and what to do.").format(run=newest.number)),)
            waits = english("The facts of the last complete download are kept, and nobody is removed by this one.")
            ended = newest.finished_at or newest.started_at
            return Finding(Level.LOOK, title, profile.name, waits=waits, steps=steps, since=ended)
        if complete and now - (complete.finished_at or complete.started_at) > MAX_FACTS_AGE:
            steps = (Step(english("Look at the schedule on the page of the profile, and use Run now.")),)
            waits = english("LicenseHub reclaims no seat if its facts are too old.")
            since = complete.finished_at
            return Finding(
                Level.LOOK, english("The facts are old"), profile.name, waits=waits, steps=steps, since=since
            )
        task = schedules.task_of(profile, schedules.DOWNLOAD_TASK)
        coming += schedules.next_moments(task, count=1) if task else []
    if not coming:
        return Finding(Level.NONE, english("No download is planned"), english("none"))
    # Moments are in the time zone of the reader, so the page makes its own text of it.
    context.memory["next"] = min(coming).isoformat()
    return Finding(Level.OK, english("Downloads run as planned"), f"{min(coming):%Y-%m-%d %H:%M} UTC")
