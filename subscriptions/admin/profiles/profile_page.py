"""One profile's page: what is wrong and what to do next, then its two subflows side by side."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from integrations.admin.connection_admin import state_badge as connection_badge
from integrations.admin.findings import OPERATE
from integrations.models import Connection, ConnectionState, IntegrationProfile, ProfileState
from licensehub.ui.formatting import ago, badge, counts_of, day, day_and_time
from subscriptions.admin.downloads.actions import progress_of
from subscriptions.admin.downloads.download_admin import run_badge
from subscriptions.admin.profiles import actions
from subscriptions.admin.schedules.descriptions import schedule_of, window_of
from subscriptions.models import DownloadRun, HoldReason, Reclaim, ReclaimState, RunState

STATES = {
    ProfileState.DRAFT: ("neutral", "edit_note"),
    ProfileState.PUBLISHED: ("ok", "check_circle"),
    ProfileState.PAUSED: ("warning", "pause_circle"),
    ProfileState.ARCHIVED: ("neutral", "archive"),
}
STRIP = 14
SEVERITY = {"error": 0, "warning": 1, "not_checked": 2, "ok": 3}


@dataclass(frozen=True, slots=True)
class SlotLine:
    """A connection as its section shows it; `connection` is None while nothing is set."""

    label: str
    connection: Connection | None
    badge: SafeString
    detail: str


def profile_badge(profile: IntegrationProfile, *, broken: bool) -> SafeString:
    if broken:
        return badge("Error", tone="error", icon="error")
    tone, icon = STATES[ProfileState(profile.state)]
    return badge(profile.get_state_display(), tone=tone, icon=icon)


def context_of(profile: IntegrationProfile, request: HttpRequest) -> dict[str, Any]:
    slots = _slots(profile)
    broken = [line.connection for line in slots if line.connection and line.connection.state == ConnectionState.ERROR]
    return {
        "profile": profile,
        "badge": profile_badge(profile, broken=bool(broken)),
        "broken": [connection for connection in broken if connection.slot not in _slots_in_findings(profile)],
        "lead": _lead(profile),
        "may_operate": request.user.has_perm(OPERATE),
        "head_buttons": [button.on(profile) for button in actions.head_buttons(profile)],
        "why_not_validate": actions.nothing_to_validate(profile),
        "findings": _findings(profile),
        "download": _download(profile, slots),
        "reclaim": _reclaim(profile, slots),
    }


def _slots_in_findings(profile: IntegrationProfile) -> set[str]:
    """Slots whose error the validation on the page tells already, with its next steps."""
    return {finding["slot"] for finding in profile.findings if finding["level"] == "error"}


def _lead(profile: IntegrationProfile) -> str:
    organization = profile.organization_name or f"organization {profile.organization_id or 'not yet known'}"
    since = f" Published {day(profile.published_at)} ({ago(profile.published_at)})." if profile.published_at else ""
    until = f" Archived {day(profile.archived_at)} ({ago(profile.archived_at)})." if profile.archived_at else ""
    return f"{profile.connector.label}, {organization}.{since}{until}"


def _slots(profile: IntegrationProfile) -> list[SlotLine]:
    there = {row.slot: row for row in Connection.objects.filter(profile=profile).select_related("profile")}
    return [_slot_line(slot.label, there.get(slot.name)) for slot in profile.connector.slots]


def _slot_line(label: str, connection: Connection | None) -> SlotLine:
    if connection is None or not connection.fingerprint:
        erased = connection is not None and connection.profile.is_archived
        words = "Its credentials were erased" if erased else "The form has a guide beside it"
        return SlotLine(label, connection, badge("Not set", tone="neutral", icon="key_off"), words)
    set_at = connection.credentials_set_at
    words = f"{connection.fingerprint}, set {day(set_at)} ({ago(set_at)})"
    return SlotLine(label, connection, connection_badge(connection), words)


def _findings(profile: IntegrationProfile) -> dict[str, Any] | None:
    """What the last validation said, the worst first."""
    if not profile.validated_at:
        return None
    there = {row.slot: row for row in Connection.objects.filter(profile=profile).select_related("profile")}
    found = [{**row, "connection": there.get(row["slot"])} for row in profile.findings]
    rows = sorted(found, key=lambda row: SEVERITY.get(row["level"], 1))
    passed = [row for row in rows if row["level"] == "ok"]
    moment = profile.validated_at
    by = f", by {profile.validated_by}" if profile.validated_by else ""
    return {
        "open": [row for row in rows if row["level"] != "ok" and not _waits(row)],
        # Checks that could not be made because of what is wrong above them.
        "waiting": [row["title"] for row in rows if _waits(row)],
        "passed": passed,
        "when": f"{day_and_time(moment)} ({ago(moment)}){by}",
        "counts": counts_of(row["level"] for row in rows),
    }


def _waits(row: dict[str, Any]) -> bool:
    return row["level"] == "not_checked" and not row["detail"]


def _download(profile: IntegrationProfile, slots: list[SlotLine]) -> dict[str, Any]:
    runs = list(DownloadRun.objects.filter(profile=profile)[:STRIP])
    schedule = schedule_of(profile)
    last = runs[0] if runs else None
    return {
        "slot": slots[0] if slots else None,
        "schedule": schedule.text,
        "paused": schedule.paused,
        "next": _next(profile, schedule.next_at),
        "last": last,
        "running": progress_of(last) if last and last.state == RunState.RUNNING else None,
        "due": is_due(profile),
        "badge": run_badge(last) if last else badge("No run yet", tone="neutral", icon="hourglass_empty"),
        "last_started": f"{day_and_time(last.started_at)} ({ago(last.started_at)})" if last else "",
        "strip": [{"run": run, "tone": run.state, "title": _strip_title(run)} for run in reversed(runs)],
        "summary": _strip_summary(runs),
        "button": actions.DOWNLOAD.on(profile),
    }


def is_due(profile: IntegrationProfile) -> bool:
    """A download was asked for and has not begun."""
    return profile.download_due_at is not None and profile.state == ProfileState.PUBLISHED


def _next(profile: IntegrationProfile, next_at: Any) -> str:
    if is_due(profile):
        return "It starts within a minute."
    return f"Next {day_and_time(next_at)} ({ago(next_at)})" if next_at else "No download is scheduled."


def _strip_title(run: DownloadRun) -> str:
    return f"{run.number}, {run.get_state_display().lower()}, {day(run.started_at)}"


def _strip_summary(runs: list[DownloadRun]) -> str:
    counts: dict[str, int] = {}
    for run in runs:
        counts[run.get_state_display().lower()] = counts.get(run.get_state_display().lower(), 0) + 1
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def _reclaim(profile: IntegrationProfile, slots: list[SlotLine]) -> dict[str, Any]:
    mine = Reclaim.objects.filter(profile=profile)
    waiting = mine.unfinished().count()
    window = window_of(profile)
    last = mine.filter(state=ReclaimState.DONE).order_by("-finished_at").first()
    return {
        "slot": slots[-1] if len(slots) > 1 else None,
        "badge": _reclaim_badge(profile, waiting),
        "waiting": waiting,
        "window": window.text,
        "opens": f"Opens {day_and_time(window.next_at)} ({ago(window.next_at)})" if window.next_at else "",
        "holds": _holds(profile),
        "in_doubt": mine.filter(state=ReclaimState.IN_DOUBT).count(),
        "last": f"{day(last.finished_at)} ({ago(last.finished_at)})" if last and last.finished_at else "",
        "month": mine.filter(state=ReclaimState.DONE, finished_at__gte=timezone.now() - timedelta(days=30)).count(),
        "buttons": [button.on(profile) for button in actions.reclaim_buttons(profile)],
    }


def _holds(profile: IntegrationProfile) -> list[str]:
    held = Reclaim.objects.filter(profile=profile, state=ReclaimState.QUEUED).exclude(hold_reason="").order_by()
    counted = held.values_list("hold_reason").annotate(n=Count("pk"))
    return [f"{count} held: {HoldReason(reason).label}." for reason, count in counted]


def _reclaim_badge(profile: IntegrationProfile, waiting: int) -> SafeString:
    if profile.sending_stopped:
        return badge("Sending stopped", tone="error", icon="front_hand")
    if not profile.reclaim_enabled:
        return badge("Switched off", tone="warning", icon="toggle_off")
    if waiting:
        return badge(f"{waiting} waiting", tone="info", icon="schedule")
    return badge("Nothing is waiting", tone="neutral", icon="check")
