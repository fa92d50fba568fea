"""The strip at the top of the overview: downloads, connections, requests, reconciliation and sending, at a glance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from integrations import sending
from integrations.installation.findings import findings
from integrations.models import Connection, ConnectionState, IntegrationProfile, ProfileState
from licensehub.database.clock import database_now
from licensehub.site.dashboard.audit_health import audit_health
from licensehub.site.dashboard.health import Health
from licensehub.site.dashboard.links import listed, page
from licensehub.translations.stored import translated
from licensehub.ui.formatting import ago, day, day_and_time, left, number
from subscriptions.admin.schedules.descriptions import schedule_of
from subscriptions.admin.widgets.counts import acts
from subscriptions.apply_rule import MAX_FACTS_AGE
from subscriptions.models import (
    DownloadRun,
    ReclaimRequest,
    ReclaimState,
    RequestState,
    RunDoubt,
    RunState,
)
from subscriptions.money.licenses import few_free, short_licenses
from subscriptions.reclaims import lost_answers
from subscriptions.reconciliation.reconcile import with_result

# In the middle of a line. `ConnectionState` has the labels.
CONNECTION_WORDS = {
    ConnectionState.NOT_SET: gettext_lazy("not set"),
    ConnectionState.UNTESTED: gettext_lazy("not tested"),
    ConnectionState.WORKING: gettext_lazy("working"),
    ConnectionState.ERROR: gettext_lazy("error"),
}
CONNECTION_TONES = {ConnectionState.WORKING: ("check_circle", "ok"), ConnectionState.ERROR: ("error", "error")}


def health_strip(
    profile: IntegrationProfile,
    newest: DownloadRun | None,
    last: DownloadRun | None,
    doubts: Mapping[str, int],
    scope: dict[str, Any],
    user: User | AnonymousUser,
) -> list[Health]:
    """`newest` is the newest run, `last` the newest one with facts, `doubts` the acts in doubt by direction."""
    found = [_last_download(newest, last), *_activity_dates(profile, last)]
    found += [_next_download(profile), *_connections(profile, user)]
    if user.has_perm("subscriptions.view_reclaimrequest"):
        found += [_oldest(profile, scope), _doubts(doubts, scope)]
    if user.has_perm("subscriptions.view_contract"):
        found += _few_free(profile)
    if user.has_perm("subscriptions.view_reconciliation"):
        found.append(_reconciled(profile))
    if user.has_perm("audit.view_auditevent"):
        found += audit_health()
    # What an operator must repair, e.g. the clock of a host.
    repairs = [Health("build", _("Needs a repair"), translated(finding.text), "error") for finding in findings()]
    return [*found, _sending(), *_lost_answers(profile), *repairs]


def _few_free(profile: IntegrationProfile) -> list[Health]:
    """The license types with fewer free licenses than their seat floor."""
    link = f"{listed('contract')}?profile={profile.pk}"
    return [
        Health("event_seat", _("{license} licenses").format(license=use.label), few_free(use), "warning", link)
        for use in short_licenses(profile)
    ]


def _reconciled(profile: IntegrationProfile) -> Health:
    last = with_result().filter(profile=profile).first()
    reconciled = _("Reconciled with {vendor}").format(vendor=profile.vendor)
    if last is None:
        return Health("difference", reconciled, _("never yet"), "neutral", listed("reconciliation"))
    link = page("subscriptions_reconciliation", last.pk)
    if last.findings:
        count = len(last.findings)
        label = ngettext("{count} difference", "{count} differences", count).format(count=number(count))
        return Health("difference", label, ago(last.started_at), "warning", link)
    return Health("difference", reconciled, _("no differences, {ago}").format(ago=ago(last.started_at)), "ok", link)


def _sending() -> Health:
    """One click from the overview to *Stop all sending*."""
    control, link = sending.control(), reverse("admin:integrations_sendingcontrol_changelist")
    if control.held_at:
        return Health("settings_backup_restore", pgettext("switch", "Sending"), _("held"), "error", link)
    if control.stopped:
        return Health("front_hand", pgettext("switch", "Sending"), _("stopped"), "error", link)
    return Health("front_hand", pgettext("switch", "Sending"), _("allowed; stop all"), "ok", link)


def _lost_answers(profile: IntegrationProfile) -> list[Health]:
    """A warning while reclaims wait, since the vendor's answers to the last ones were lost; else nothing."""
    since = lost_answers.waiting_since(profile)
    if since is None:
        return []
    until = profile.lost_answers_held_until
    text = _("reclaims held since {moment}; next try {when}").format(
        moment=day_and_time(since),
        when=ago(until) if until and until > database_now() else _("now"),
    )
    link = page("integrations_integrationprofile", profile.pk)
    return [Health("cloud_off", _("Answers of {vendor} lost").format(vendor=profile.vendor), text, "error", link)]


def _last_download(newest: DownloadRun | None, last: DownloadRun | None) -> Health:
    if newest is None:
        return Health("cloud_off", _("Downloaded"), _("never yet"), "warning")
    link = page("subscriptions_downloadrun", newest.pk)
    if newest.state == RunState.RUNNING:
        return Health(
            "cloud_sync", _("Downloading"), _("{count} read so far").format(count=number(newest.read)), "ok", link
        )
    if newest.state == RunState.EVALUATING:
        return Health(
            "cloud_sync", _("Evaluating"), _("facts of {ago}").format(ago=ago(newest.finished_at)), "ok", link
        )
    if newest.state != RunState.COMPLETE:
        text = _("{ago}; there are no facts yet")
        if last:
            text = _("{ago}; the facts of {day} are kept")
        text = text.format(ago=ago(newest.started_at), day=day(last.finished_at) if last else "")
        return Health("error", _ended(newest), text, "error", link)
    stale = database_now() - newest.started_at > MAX_FACTS_AGE
    tone, icon = ("warning", "history_toggle_off") if stale else ("ok", "check_circle")
    return Health(icon, _("Downloaded"), _("complete, {ago}").format(ago=ago(newest.finished_at)), tone, link)


def _ended(run: DownloadRun) -> str:
    """The state of a run that brought no facts, as a label."""
    labels = {
        RunState.QUARANTINED.value: _("Download quarantined"),
        RunState.FAILED.value: _("Download failed"),
        RunState.DISCARDED.value: _("Download discarded"),
    }
    return labels[run.state]


def _activity_dates(profile: IntegrationProfile, last: DownloadRun | None) -> list[Health]:
    """A warning about old activity dates, e.g. of a first download, which cannot be compared; else nothing."""
    if profile.activity_doubted_at:
        newest = DownloadRun.objects.filter(profile=profile, doubt=RunDoubt.ACTIVITY).first()
        link = page("subscriptions_downloadrun", newest.pk) if newest else ""
        return [Health("monitor_heart", _("Activity dates in doubt"), _("reclaims wait"), "error", link)]
    if last is None or not last.stats.get("members"):
        return []
    newest_text, at = last.stats.get("newest_activity"), last.finished_at or last.started_at
    age = (at - datetime.fromisoformat(newest_text)).days if newest_text else None
    days = profile.rule.stale_feed_days if hasattr(profile, "rule") else None
    if days is None or (age is not None and age < days):
        return []
    shown = _("nobody has any at the last download")
    if age is not None:
        shown = ngettext(
            "the newest was {days} day old at the last download",
            "the newest was {days} days old at the last download",
            age,
        ).format(days=number(age))
    link = page("subscriptions_downloadrun", last.pk)
    return [Health("monitor_heart", _("Old activity dates"), shown, "warning", link)]


def _next_download(profile: IntegrationProfile) -> Health:
    link = page("integrations_integrationprofile", profile.pk)
    if profile.state != ProfileState.PUBLISHED:
        return Health("pause_circle", profile.get_state_display(), _("nothing is downloaded"), "warning", link)
    if profile.download_due_at:
        return Health("schedule", pgettext("download", "Next"), _("due now"), "ok", link)
    coming = schedule_of(profile).next_at
    if coming is None:
        return Health("event_busy", pgettext("download", "Next"), _("not scheduled"), "warning", link)
    return Health("schedule", pgettext("download", "Next"), ago(coming), "ok", link)


def _connections(profile: IntegrationProfile, user: User | AnonymousUser) -> list[Health]:
    rows = list(profile.connections.defer("ciphertext"))
    link = page("integrations_integrationprofile", profile.pk)
    if not rows:
        return [Health("key_off", _("Connections"), _("none set"), "warning", link)]
    shown = user.has_perm("integrations.view_connection")
    if all(row.state == ConnectionState.WORKING for row in rows):
        working = Health("key", _("Connections"), _("{count} working").format(count=len(rows)), "ok", link)
        return [working, *_token_ages(rows, shown)]
    found = []
    for row in rows:
        icon, tone = CONNECTION_TONES.get(ConnectionState(row.state), ("help", "neutral"))
        link = page("integrations_connection", row.pk) if shown else ""
        found.append(Health(icon, row.label, str(CONNECTION_WORDS[ConnectionState(row.state)]), tone, link))
    return found


def _token_ages(rows: list[Connection], shown: bool) -> list[Health]:
    """The age of each token that a person entered, in amber from a year on. The vendor renews those of an OAuth app."""
    return [
        Health(
            "history",
            row.label,
            (_("set {ago}; store a new one") if row.has_old_token else _("set {ago}")).format(
                ago=ago(row.credentials_set_at)
            ),
            "warning" if row.has_old_token else "neutral",
            page("integrations_connection", row.pk) if shown else "",
        )
        for row in rows
        if row.credentials_set_at and not row.slot_definition.oauth
    ]


def _oldest(profile: IntegrationProfile, scope: dict[str, Any]) -> Health:
    """The oldest request that waits for an approver; without one, what waits for the answers of people."""
    waiting = ReclaimRequest.objects.filter(profile=profile).order_by("pk")
    if oldest := waiting.filter(state=RequestState.OPEN).first():
        link = listed("reclaimrequest", **scope, state__exact=RequestState.OPEN.value)
        return Health("approval_delegation", _("Oldest request"), ago(oldest.requested_at), "ok", link)
    if asking := waiting.filter(state=RequestState.COLLECTING).first():
        text = _("waits for people's answers")
        if asking.answers_until:
            text = _("waits for people's answers, {left}").format(left=left(asking.answers_until))
        return Health("forward_to_inbox", str(asking), text, "ok", page("subscriptions_reclaimrequest", asking.pk))
    return Health("approval_delegation", pgettext("decisions", "Requests"), _("none open"), "ok")


def _doubts(by_direction: Mapping[str, int], scope: dict[str, Any]) -> Health:
    doubts = acts(by_direction)
    link = listed("reclaim", **scope, state__exact=ReclaimState.IN_DOUBT.value)
    return Health(
        "help",
        _("{acts} in doubt").format(acts=doubts) if doubts else _("None in doubt"),
        "",
        "warning" if doubts else "ok",
        link,
    )
