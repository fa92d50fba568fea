"""The page of one profile: the problems and the next steps, then its two subflows side by side."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.admin.connection_admin import VIEW, may_change
from integrations.admin.connection_admin import state_badge as connection_badge
from integrations.admin.findings import OPERATE
from integrations.models import Connection, ConnectionState, IntegrationProfile, ProfileState
from integrations.sending import MIN_REASON_LENGTH
from licensehub.database.clock import database_now
from licensehub.translations.stored import translated
from licensehub.ui.formatting import ago, badge, counts_of, day, day_and_time, inside, name_of, number
from subscriptions.admin.downloads.actions import progress_of
from subscriptions.admin.downloads.download_admin import run_badge
from subscriptions.admin.profiles import actions
from subscriptions.admin.profiles.profile_facts import ERRORS_OF_DOWNLOAD, ERRORS_OF_RECLAIM, error_mails, price_lines
from subscriptions.admin.schedules.descriptions import schedule_of, window_of
from subscriptions.admin.widgets.counts import acts, acts_of
from subscriptions.models import Direction, DownloadRun, HoldReason, Reclaim, ReclaimState
from subscriptions.money.licenses import few_free, floors_of
from subscriptions.reclaims import lost_answers, switches
from subscriptions.reclaims.switches import Operation

STATES = {
    ProfileState.DRAFT: ("neutral", "edit_note"),
    ProfileState.PUBLISHED: ("ok", "check_circle"),
    ProfileState.PAUSED: ("warning", "pause_circle"),
    ProfileState.ARCHIVED: ("neutral", "archive"),
}
# For the profile's own switches, by the reason for which they hold a send.
SWITCH_BADGES: dict[HoldReason | None, tuple[Promise, str, str]] = {
    HoldReason.SENDING_STOPPED: (gettext_lazy("Sending stopped"), "error", "front_hand"),
    HoldReason.TAMPERED: (gettext_lazy("Held"), "error", "gpp_bad"),
    HoldReason.ACTIVITY: (gettext_lazy("Dates in doubt"), "error", "monitor_heart"),
    HoldReason.LOST_ANSWERS: (gettext_lazy("Held"), "error", "cloud_off"),
    HoldReason.RECLAIM_OFF: (gettext_lazy("Switched off"), "warning", "toggle_off"),
}
STOP = "integrations.stop_all_sending"
# The number of runs in the strip.
STRIP = 14
SEVERITY = {"error": 0, "warning": 1, "not_checked": 2, "ok": 3}


@dataclass(frozen=True, slots=True)
class SlotLine:
    """A line about one connection; `connection` is None while nothing is set."""

    label: str
    connection: Connection | None
    badge: SafeString
    detail: str
    # A token that a person entered long ago: what to do.
    old: str = ""


def profile_badge(profile: IntegrationProfile, *, broken: bool) -> SafeString:
    if broken:
        return badge(_("Error"), tone="error", icon="error")
    tone, icon = STATES[ProfileState(profile.state)]
    return badge(profile.get_state_display(), tone=tone, icon=icon)


def context_of(profile: IntegrationProfile, request: HttpRequest) -> dict[str, Any]:
    connections = {row.slot: row for row in Connection.objects.filter(profile=profile).select_related("profile")}
    slots = [_slot_line(translated(slot.label), connections.get(slot.name)) for slot in profile.connector.slots]
    broken = [line.connection for line in slots if line.connection and line.connection.state == ConnectionState.ERROR]
    # Slots whose error is explained by the validation on the same page, with its next steps.
    explained = {finding["slot"] for finding in profile.findings if finding["level"] == "error"}
    return {
        "profile": profile,
        "badge": profile_badge(profile, broken=bool(broken)),
        "broken": [connection for connection in broken if connection.slot not in explained],
        "lead": _lead(profile),
        "held": f"{day_and_time(profile.held_at)} ({ago(profile.held_at)})" if profile.held_at else "",
        "lost_answers": _lost_answers(profile),
        "may_release": request.user.has_perm(STOP),
        "shortest": MIN_REASON_LENGTH,
        "floors": [{"use": use, "few": few_free(use) if use.is_short else ""} for use in floors_of(profile)],
        "may_operate": request.user.has_perm(OPERATE),
        "may_view_connections": request.user.has_perm(VIEW),
        "may_change_connections": may_change(profile, request.user),
        "head_buttons": [button.on(profile) for button in actions.head_buttons(profile)],
        "why_not_validate": actions.nothing_to_validate(profile),
        "findings": _findings(profile, connections),
        "download": _download(profile, slots),
        "reclaim": _reclaim(profile, slots),
    }


def _lost_answers(profile: IntegrationProfile) -> dict[str, str] | None:
    """Since when reclaims wait for the vendor's answers, and the next try; None while they do not."""
    since, until = lost_answers.waiting_since(profile), profile.lost_answers_held_until
    if since is None:
        return None
    return {
        "since": f"{day_and_time(since)} ({ago(since)})",
        "until": f"{day_and_time(until)} ({ago(until)})" if until and until > database_now() else _("now"),
        "count": number(profile.lost_answers),
    }


def _lead(profile: IntegrationProfile) -> str:
    known = _("organization {id}").format(id=profile.organization_id)
    unknown = _("organization not yet known")
    organization = profile.organization_name or (known if profile.organization_id else unknown)
    sentences = [f"{profile.connector.label}, {organization}."]
    if since := profile.published_at:
        sentences.append(_("Published {day} ({ago}).").format(day=day(since), ago=ago(since)))
    if until := profile.archived_at:
        sentences.append(_("Archived {day} ({ago}).").format(day=day(until), ago=ago(until)))
    return " ".join(sentences)


def _slot_line(label: str, connection: Connection | None) -> SlotLine:
    if connection is None or not connection.fingerprint:
        erased = connection is not None and connection.profile.is_archived
        words = _("Its credentials were erased") if erased else _("The form has a guide beside it")
        return SlotLine(label, connection, badge(_("Not set"), tone="neutral", icon="key_off"), words)
    set_at = connection.credentials_set_at
    words = _("{fingerprint}, set {day} ({ago})").format(
        fingerprint=connection.fingerprint, day=day(set_at), ago=ago(set_at)
    )
    if since := connection.unanswered_since:
        no_answer = _("No usable answer since {moment} ({ago}).")
        words = f"{words}. {no_answer.format(moment=day_and_time(since), ago=ago(since))}"
    old = ""
    if connection.has_old_token:
        old = _("This token is at least a year old. Generate a new one at {vendor}, and store it in the connection.")
        old = old.format(vendor=connection.profile.vendor)
    return SlotLine(label, connection, connection_badge(connection), words, old)


def _findings(profile: IntegrationProfile, connections: dict[str, Connection]) -> dict[str, Any] | None:
    """The findings of the last validation, the worst first."""
    if not profile.validated_at:
        return None
    found = [{**row, "connection": connections.get(row["slot"])} for row in profile.findings]
    rows = sorted(found, key=lambda row: SEVERITY.get(row["level"], 1))
    passed = [row for row in rows if row["level"] == "ok"]
    moment = profile.validated_at
    when = f"{day_and_time(moment)} ({ago(moment)})"
    if profile.validated_by:
        when = _("{when}, by {name}").format(when=when, name=name_of(profile.validated_by))
    return {
        "open": [row for row in rows if row["level"] != "ok" and not _waits(row)],
        # Checks that could not be made because of the problems above them.
        "waiting": [translated(row["title"]) for row in rows if _waits(row)],
        "passed": passed,
        "when": when,
        "counts": counts_of(row["level"] for row in rows),
    }


def _waits(row: dict[str, Any]) -> bool:
    return row["level"] == "not_checked" and not row["detail"]


def _download(profile: IntegrationProfile, slots: list[SlotLine]) -> dict[str, Any]:
    runs = list(DownloadRun.objects.filter(profile=profile)[:STRIP])
    states = [inside(run.get_state_display()) for run in runs]
    schedule = schedule_of(profile)
    last = runs[0] if runs else None
    return {
        "slot": slots[0] if slots else None,
        "schedule": schedule.text,
        "next": _next(profile, schedule.next_at),
        "last": last,
        "running": progress_of(last) if last and last.is_under_way else None,
        "due": is_due(profile),
        "badge": run_badge(last) if last else badge(_("No run yet"), tone="neutral", icon="hourglass_empty"),
        "last_started": f"{day_and_time(last.started_at)} ({ago(last.started_at)})" if last else "",
        "strip": [
            {"run": run, "tone": run.state, "title": f"{run.number}, {state}, {day(run.started_at)}"}
            for run, state in zip(reversed(runs), reversed(states), strict=True)
        ],
        "summary": ", ".join(f"{number(count)} {state}" for state, count in Counter(states).items()),
        "errors": error_mails(profile, ERRORS_OF_DOWNLOAD),
        "button": actions.DOWNLOAD.on(profile),
    }


def is_due(profile: IntegrationProfile) -> bool:
    """A download was asked for and has not begun."""
    return profile.download_due_at is not None and profile.state == ProfileState.PUBLISHED


def _next(profile: IntegrationProfile, next_at: Any) -> str:
    if is_due(profile):
        return _("It starts within a minute.")
    return (
        _("Next {moment} ({ago})").format(moment=day_and_time(next_at), ago=ago(next_at))
        if next_at
        else _("No download is scheduled.")
    )


def _reclaim(profile: IntegrationProfile, slots: list[SlotLine]) -> dict[str, Any]:
    mine = Reclaim.objects.filter(profile=profile)
    waiting = acts_of(mine.unfinished())
    held = mine.filter(state=ReclaimState.QUEUED).exclude(hold_reason="")
    window = window_of(profile)
    done = mine.filter(state=ReclaimState.DONE)
    last = done.filter(direction=Direction.DEACTIVATE).order_by("-finished_at").first()
    month = done.filter(finished_at__gte=database_now() - timedelta(days=30)).order_by()
    in_month = dict(month.values_list("direction").annotate(n=Count("pk")))
    return {
        "slot": slots[-1] if len(slots) > 1 else None,
        "badge": _reclaim_badge(profile, waiting),
        "waiting": waiting,
        "window": window.text,
        "opens": _("Opens {moment} ({ago})").format(moment=day_and_time(window.next_at), ago=ago(window.next_at))
        if window.next_at
        else "",
        # A switch may be on while no item has its reason yet.
        "is_free": switches.hold(profile, Operation.SEND) is None,
        "holds": _holds(held),
        "in_doubt": acts_of(mine.filter(state=ReclaimState.IN_DOUBT)),
        "last": f"{day(last.finished_at)} ({ago(last.finished_at)})" if last and last.finished_at else "",
        "reclaimed": in_month.get(Direction.DEACTIVATE, 0),
        "restored": in_month.get(Direction.REACTIVATE, 0),
        "errors": error_mails(profile, ERRORS_OF_RECLAIM),
        "prices": price_lines(profile),
        "buttons": [button.on(profile) for button in actions.reclaim_buttons(profile)],
    }


def _holds(held: QuerySet[Reclaim]) -> list[str]:
    """`2 reclaims held: Sending is stopped.`, by the reason."""
    found: dict[str, dict[str, int]] = {}
    counted = held.order_by("hold_reason").values_list("hold_reason", "direction").annotate(n=Count("pk"))
    for reason, direction, count in counted:
        found.setdefault(reason, {})[direction] = count
    text = _("{acts} held: {reason}.")
    return [text.format(acts=acts(counts), reason=HoldReason(reason).label) for reason, counts in found.items()]


def _reclaim_badge(profile: IntegrationProfile, waiting: str) -> SafeString:
    # The state of the profile has its own badge, and the banner shows whether all sending is stopped.
    for switch in switches.TABLE:
        if switch.profile_off() and switch.is_on(profile):
            hold = switch.effects[Operation.SEND].hold
            if hold == HoldReason.LOST_ANSWERS and lost_answers.waiting_since(profile) is None:
                continue  # no reclaim waits for it
            label, tone, icon = SWITCH_BADGES[hold]
            return badge(str(label), tone=tone, icon=icon)
    if waiting:
        return badge(_("{waiting} waiting").format(waiting=waiting), tone="info", icon="schedule")
    return badge(_("Nothing is waiting"), tone="neutral", icon="check")
