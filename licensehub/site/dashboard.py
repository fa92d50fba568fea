"""The overview: am I fine, how much is unused, and what waits for me. Every number is a link to the list behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from integrations import sending
from integrations.models import Connection, ConnectionState, IntegrationProfile, ProfileState
from licensehub.site.dashboard_links import listed, page
from licensehub.ui.formatting import ago, day, day_and_time
from licensehub.ui.lists.counts import Count
from subscriptions.admin.schedules.descriptions import schedule_of
from subscriptions.admin.widgets.charts import histogram, trend
from subscriptions.models import (
    CandidateState,
    DownloadRun,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RemovalCandidate,
    RequestState,
    RunState,
    Verdict,
)
from subscriptions.models.subscription import LEFT_OUT
from subscriptions.reconciliation.reconcile import latest
from subscriptions.stats import ProfileStats, profile_stats, terms_of

# A daily download that is this old was missed.
STALE = timedelta(hours=26)
TREND_RUNS = 12
SEES = "subscriptions.view_subscription"


@dataclass(frozen=True, slots=True)
class Tile:
    label: str
    number: str
    words: str
    link: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """One piece of the strip at the top. `tone` is ok, warning, error or neutral."""

    icon: str
    label: str
    words: str
    tone: str
    link: str = ""


def overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """unfold's DASHBOARD_CALLBACK."""
    context["title"] = "Overview"
    if not request.user.has_perm("integrations.view_integrationprofile"):
        return {**context, "blind": True}
    in_use = IntegrationProfile.objects.in_use()
    known = list(in_use.select_related("rule").prefetch_related("rule__license_thresholds"))
    chosen = _chosen(known, request.GET.get("profile", ""))
    context["may_create"] = request.user.has_perm("integrations.add_integrationprofile")
    if chosen is None:
        return {**context, "first_steps": True}
    switch = known if len(known) > 1 else []
    return {**context, "profile": chosen, "profiles": switch, **_profile_context(chosen, request, bool(switch))}


def _chosen(known: list[IntegrationProfile], wanted: str) -> IntegrationProfile | None:
    """The one asked for, else the first that is published, else the first."""
    asked = [profile for profile in known if str(profile.pk) == wanted]
    published = [profile for profile in known if profile.state == ProfileState.PUBLISHED]
    return next(iter([*asked, *published, *known]), None)


def _profile_context(profile: IntegrationProfile, request: HttpRequest, several: bool) -> dict[str, Any]:
    user = request.user
    runs = list(DownloadRun.objects.complete().filter(profile=profile)[:TREND_RUNS])
    last = runs[0] if runs else None
    scope = {"profile__id__exact": profile.pk} if several else {}
    found: dict[str, Any] = {"health": _health(profile, last, scope, user), "last": last}
    if not user.has_perm(SEES):
        return {**found, "no_numbers": True}
    if last is None:
        return {**found, "waiting_for_download": True, "running": _running(profile)}
    numbers, terms = profile_stats(profile, last), terms_of(profile)
    return {
        **found,
        "lead": _lead(profile, numbers),
        "facts_of": f"{day_and_time(last.finished_at)} ({ago(last.finished_at)})",
        "live": numbers.live,
        "tiles": _tiles(numbers, terms.threshold, last, scope),
        "histogram": histogram(last.stats, terms.threshold),
        "bar_link": listed("subscription", **scope),
        "bar_joint": "&" if scope else "?",
        "trend": trend(runs[::-1], terms.threshold),
        "licenses": _licenses(profile, numbers, scope),
        "waiting": _waiting(profile, numbers, scope, user),
    }


def _running(profile: IntegrationProfile) -> DownloadRun | None:
    return DownloadRun.objects.filter(profile=profile, state=RunState.RUNNING).first()


def _lead(profile: IntegrationProfile, numbers: ProfileStats) -> str:
    labels = profile.connector.licenses
    parts = [f"{count:,} {labels.get(license, license)}" for license, count in list(numbers.by_license.items())[:3]]
    return f"{numbers.members:,} members; seats: {', '.join(parts)}" if parts else f"{numbers.members:,} members"


def _tiles(numbers: ProfileStats, threshold: int, run: DownloadRun, scope: dict[str, Any]) -> list[Tile]:
    paid = {"seat": "held", "license__in": ",".join(numbers.paid)}
    return [
        Tile("Purchased", _number(numbers.purchased), _free(numbers), page("subscriptions_downloadrun", run.pk)),
        Tile("Assigned", _number(numbers.assigned), _share(numbers), listed("subscription", **scope, **paid)),
        Tile(
            f"Inactive over {threshold} days",
            _number(numbers.inactive),
            "candidates by the rule",
            listed("subscription", **scope, verdict=Verdict.CANDIDATE.value),
            "beyond",
        ),
        Tile(
            "Never active",
            _number(numbers.never),
            f"{numbers.never_in_review:,} to review",
            listed("subscription", **scope, idle="never"),
            "never",
        ),
        Tile(
            "Protected or not removable",
            _number(numbers.protected),
            "never proposed",
            listed("subscription", **scope, verdict=",".join(LEFT_OUT)),
        ),
        Tile(
            "Awaiting approval",
            _number(numbers.requests),
            f"{_plural(numbers.requests, 'request')}, {_seats(numbers.requested_people)}",
            listed("reclaimrequest", **scope, state__exact=RequestState.OPEN.value),
        ),
    ]


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"


def _seats(count: Count) -> str:
    return f"{count} {_plural(count.number, 'seat')}"


def _free(numbers: ProfileStats) -> str:
    if numbers.purchased is None:
        return "Miro does not tell"
    left = numbers.purchased - numbers.assigned
    return f"{_seats(Count(left))} free" if left >= 0 else f"{-left:,} more assigned"


def _share(numbers: ProfileStats) -> str:
    if not numbers.purchased:
        return "paid seats that are taken"
    return f"{numbers.assigned / numbers.purchased:.1%} of purchased"


def _licenses(profile: IntegrationProfile, numbers: ProfileStats, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """Held seats by license type; `width` is a share of the largest, for the bar."""
    labels, largest = profile.connector.licenses, max(numbers.by_license.values(), default=1)
    return [
        {
            "label": labels.get(license, license or "Unknown"),
            "count": count,
            "width": round(count / largest * 100, 1),
            "paid": license in numbers.paid,
            "link": listed("subscription", **scope, seat="held", license=license),
        }
        for license, count in numbers.by_license.items()
    ]


def _health(
    profile: IntegrationProfile, last: DownloadRun | None, scope: dict[str, Any], user: User | AnonymousUser
) -> list[Health]:
    found = [_last_download(profile, last), _next_download(profile), *_connections(profile, user)]
    if user.has_perm("subscriptions.view_reclaimrequest"):
        found += [_oldest(profile, scope), _doubts(profile, scope)]
    if user.has_perm("subscriptions.view_reconciliation"):
        found.append(_compared(profile))
    return [*found, _sending()]


def _compared(profile: IntegrationProfile) -> Health:
    last = latest().filter(profile=profile).first()
    if last is None:
        return Health("difference", "Reconciled with Miro", "never yet", "neutral", listed("reconciliation"))
    link = page("subscriptions_reconciliation", last.pk)
    if last.findings:
        count = len(last.findings)
        return Health("difference", f"{count:,} {_plural(count, 'difference')}", ago(last.started_at), "warning", link)
    return Health("difference", "Reconciled with Miro", f"no differences, {ago(last.started_at)}", "ok", link)


def _sending() -> Health:
    """One click from the overview to the switch for everything."""
    control, link = sending.control(), reverse("admin:integrations_sendingcontrol_changelist")
    if control.held_at:
        return Health("settings_backup_restore", "Sending", "held", "error", link)
    if control.stopped:
        return Health("front_hand", "Sending", "stopped", "error", link)
    return Health("front_hand", "Sending", "allowed; stop all", "ok", link)


def _last_download(profile: IntegrationProfile, last: DownloadRun | None) -> Health:
    newest = DownloadRun.objects.filter(profile=profile).first()
    if newest is None:
        return Health("cloud_off", "Downloaded", "never yet", "warning")
    link = page("subscriptions_downloadrun", newest.pk)
    if newest.state == RunState.RUNNING:
        return Health("cloud_sync", "Downloading", f"{newest.read:,} read so far", "ok", link)
    if newest.state != RunState.COMPLETE:
        words = f"{ago(newest.started_at)}; facts of {day(last.finished_at) if last else 'no day'} are kept"
        return Health("error", f"Download {newest.get_state_display().lower()}", words, "error", link)
    stale = timezone.now() - newest.started_at > STALE
    tone, icon = ("warning", "history_toggle_off") if stale else ("ok", "check_circle")
    return Health(icon, "Downloaded", f"complete, {ago(newest.finished_at)}", tone, link)


def _next_download(profile: IntegrationProfile) -> Health:
    link = page("integrations_integrationprofile", profile.pk)
    if profile.state != ProfileState.PUBLISHED:
        return Health("pause_circle", profile.get_state_display(), "nothing is downloaded", "warning", link)
    if profile.download_due_at:
        return Health("schedule", "Next", "due now", "ok", link)
    coming = schedule_of(profile).next_at
    if coming is None:
        return Health("event_busy", "Next", "not scheduled", "warning", link)
    return Health("schedule", "Next", ago(coming), "ok", link)


def _connections(profile: IntegrationProfile, user: User | AnonymousUser) -> list[Health]:
    rows = list(Connection.objects.filter(profile=profile).select_related("profile").defer("ciphertext"))
    link = page("integrations_integrationprofile", profile.pk)
    if not rows:
        return [Health("key_off", "Connections", "none set", "warning", link)]
    if all(row.state == ConnectionState.WORKING for row in rows):
        return [Health("key", "Connections", f"{len(rows)} working", "ok", link)]
    shown = user.has_perm("integrations.view_connection")
    return [_connection(row, shown) for row in rows]


def _connection(row: Connection, shown: bool) -> Health:
    tones = {ConnectionState.WORKING: ("check_circle", "ok"), ConnectionState.ERROR: ("error", "error")}
    icon, tone = tones.get(ConnectionState(row.state), ("help", "neutral"))
    link = page("integrations_connection", row.pk) if shown else ""
    return Health(icon, row.label, row.get_state_display().lower(), tone, link)


def _oldest(profile: IntegrationProfile, scope: dict[str, Any]) -> Health:
    oldest = ReclaimRequest.objects.filter(profile=profile, state=RequestState.OPEN).order_by("requested_at").first()
    if oldest is None:
        return Health("approval_delegation", "Requests", "none open", "ok")
    link = listed("reclaimrequest", **scope, state__exact=RequestState.OPEN.value)
    return Health("approval_delegation", "Oldest request", ago(oldest.requested_at), "ok", link)


def _doubts(profile: IntegrationProfile, scope: dict[str, Any]) -> Health:
    count = Reclaim.objects.filter(profile=profile, state=ReclaimState.IN_DOUBT).count()
    link = listed("reclaim", **scope, state__exact=ReclaimState.IN_DOUBT.value)
    return Health("help", f"{count} in doubt", "", "warning" if count else "ok", link)


def _waiting(
    profile: IntegrationProfile, numbers: ProfileStats, scope: dict[str, Any], user: User | AnonymousUser
) -> list[dict[str, str]]:
    """What needs a person, the most urgent first."""
    doubts = Reclaim.objects.filter(profile=profile, state=ReclaimState.IN_DOUBT).count()
    attention = RemovalCandidate.objects.filter(profile=profile, state=CandidateState.ATTENTION_REQUIRED).count()
    decides = user.has_perm("subscriptions.decide_reclaimrequest")
    lines = [
        (
            numbers.requests,
            "approval_delegation",
            f"{_plural(numbers.requests, 'request')} {'to decide' if decides else 'waiting for an approver'}",
            f"{_seats(numbers.requested_people)} in all",
            listed("reclaimrequest", **scope, state__exact=RequestState.OPEN.value),
        ),
        (
            doubts,
            "help",
            f"{_plural(doubts, 'reclaim')} in doubt",
            "Miro's answer was lost; LicenseHub reads before it acts",
            listed("reclaim", **scope, state__exact=ReclaimState.IN_DOUBT.value),
        ),
        (
            attention,
            "error",
            f"{_plural(attention, 'candidate')} with attention required",
            "A person has to look before anything goes on",
            listed("removalcandidate", **scope, state__exact=CandidateState.ATTENTION_REQUIRED.value),
        ),
        (
            numbers.review,
            "rule",
            f"{_plural(numbers.review, 'subscription')} to review",
            "Never active, or a fact is missing",
            listed("subscription", **scope, verdict=f"{Verdict.UNKNOWN},{Verdict.NEVER_ACTIVE}"),
        ),
    ]
    return [
        {"icon": icon, "title": f"{count:,} {title}", "words": words, "link": link}
        for count, icon, title, words, link in lines
        if count
    ]
