"""The content of the page *Operations*: the worst problem first, then everything in one look. It names no person.

It reads the results that a worker keeps, the heartbeats, and the reader's own test mail: three queries.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.auth.models import User
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext, pgettext_lazy

from integrations.connectors.contract import english
from integrations.installation.processes import OLD_REPORT, Processes, processes
from integrations.models import CheckResult, MailTrial
from licensehub.build import number_of, version
from licensehub.operations import results
from licensehub.operations.doctor.checks.processes import (
    NOT_LOST,
    RESTART_WORKERS,
    SLOW,
    STUCK,
    scheduler_finding,
    workers_finding,
)
from licensehub.operations.doctor.findings import Finding, Level, Step, worst
from licensehub.translations.stored import translated
from licensehub.ui.formatting import EMPTY, ago, day_and_time, number

ICONS: Final = {Level.OK: "check_circle", Level.NONE: "do_not_disturb_on", Level.LOOK: "warning", Level.ACT: "error"}
TONES: Final = {Level.OK: "ok", Level.NONE: "neutral", Level.LOOK: "warning", Level.ACT: "error"}
SHOWN_TRIAL: Final = timedelta(hours=1)

LABELS: Final[dict[str, str | Promise]] = {
    "database": gettext_lazy("Database"),
    "migrations": gettext_lazy("Migrations"),
    "settings": gettext_lazy("Settings"),
    "rights": gettext_lazy("Rights in the database"),
    "connections": gettext_lazy("Connections of the database"),
    "pool": gettext_lazy("Pool of the database"),
    "keys": gettext_lazy("Secret keys"),
    "key_ages": gettext_lazy("Age of the keys"),
    "broker": gettext_lazy("Broker"),
    "broker_messages": gettext_lazy("Messages"),
    "scheduler": gettext_lazy("Scheduler"),
    "workers": gettext_lazy("Workers"),
    "queues": gettext_lazy("Queues"),
    "mail": gettext_lazy("Mail"),
    "webhooks": gettext_lazy("Webhooks"),
    "disk": gettext_lazy("Disk"),
    "clocks": gettext_lazy("Clocks"),
    "vendor_clock": gettext_lazy("Clock of the vendor"),
    "locale": gettext_lazy("Encoding"),
    "public_url": gettext_lazy("Public address"),
    "sending": pgettext_lazy("switch", "Sending"),
    "answers": gettext_lazy("Answers to reclaims"),
    "open_items": gettext_lazy("Oldest open item"),
    "in_doubt": gettext_lazy("In doubt"),
    "tokens": gettext_lazy("Connections to vendors"),
    "downloads": gettext_lazy("Next download"),
    "audit": gettext_lazy("End of the audit"),
    "anchors": gettext_lazy("Last anchor"),
    "verified": gettext_lazy("History verified"),
    "backup": gettext_lazy("Last backup"),
    "drill": gettext_lazy("Restore drill"),
    "configuration": gettext_lazy("Configuration"),
}
TILES: Final = ("workers", "scheduler", "open_items", "in_doubt", "downloads")
CARDS: Final[tuple[tuple[str | Promise, tuple[str, ...]], ...]] = (
    (gettext_lazy("Vendor and mail"), ("tokens", "vendor_clock", "sending", "answers", "mail", "webhooks")),
    (gettext_lazy("Evidence and backup"), ("audit", "anchors", "verified", "backup", "drill")),
    (
        gettext_lazy("Database, broker and hosts"),
        ("database", "connections", "pool", "broker", "broker_messages", "clocks", "disk", "locale"),
    ),
    (
        gettext_lazy("Installation"),
        ("public_url", "migrations", "settings", "configuration", "rights", "keys", "key_ages"),
    ),
)
QUEUES: Final = {
    "download": gettext_lazy("Downloads"),
    "reclaim": gettext_lazy("Reclaims"),
    "mail": gettext_lazy("Mails"),
    "default": gettext_lazy("Everything else"),
}
NO_REPORT: Final = english("The workers do not report")
NO_REPORT_YET: Final = english("No worker has reported yet")
NO_REPORT_STEPS: Final = (
    RESTART_WORKERS,
    Step(english("Run the checks by hand."), "python manage.py doctor"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One check as the page shows it, in the language of the reader."""

    name: str
    label: str
    icon: str
    tone: str
    title: str
    value: str
    detail: str = ""
    waits: str = ""
    since: str = ""
    steps: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Shown:
    """All that the page shows. `digest` changes when more than the time has changed."""

    headline: str
    now: str
    checked: str
    counts: list[dict[str, str]]
    first: Line | None
    others: list[Line]
    tiles: list[Line]
    queues: list[dict[str, Any]]
    cards: list[dict[str, Any]]
    trial: dict[str, str]

    @property
    def digest(self) -> str:
        """Changes with everything that is shown, except for the time."""
        rest = (self.headline, self.counts, self.first, self.others, self.tiles, self.queues, self.cards, self.trial)
        return hashlib.sha256(repr(rest).encode()).hexdigest()[:16]


def shown_to(user: User) -> Shown:
    rows = {row.check_id: row for row in results.known(CheckResult.objects.all())}
    known = processes()
    found = {name: results.finding_of(row) for name, row in rows.items()}
    # These two are seen from here as well, so they are true also when no worker reports.
    found["scheduler"] = _began(scheduler_finding(known), rows.get("scheduler"))
    found["workers"] = _began(workers_finding(known), rows.get("workers"))
    reported = max((row.checked_at for row in rows.values()), default=None)
    wrong = _problems(found, _no_report(reported, known))
    lines = {name: _line(name, finding, rows.get(name)) for name, finding in found.items()}
    problems = [_line(name, finding, rows.get(name)) for name, finding in wrong]
    queues = _queues(rows.get("queues"), known)
    return Shown(
        headline=_headline([finding for _name, finding in wrong]),
        now=_("{moment}. LicenseHub {version}.").format(moment=day_and_time(known.now), version=number_of(version())),
        checked=_("Checked {ago}.").format(ago=ago(reported)) if reported else _("Not checked yet."),
        counts=_counts([finding for _name, finding in wrong]),
        first=problems[0] if problems else None,
        others=problems[1:],
        tiles=[lines[name] for name in TILES if name in lines],
        queues=queues,
        cards=[
            {"title": str(title), "lines": [lines[name] for name in names if name in lines]}
            for title, names in CARDS
            if lines
        ],
        trial=_trial(user, known.now),
    )


def _began(finding: Finding, row: CheckResult | None) -> Finding:
    if not finding.level.rank or finding.since or row is None or not row.since:
        return finding
    return Finding(
        finding.level, finding.title, finding.value, finding.detail, finding.waits, finding.steps, since=row.since
    )


def _no_report(reported: datetime | None, known: Processes) -> Finding | None:
    """The workers said nothing lately. The reason is mostly that there is none, which is said by another finding."""
    if reported and known.now - reported < OLD_REPORT:
        return None
    title = NO_REPORT if reported else NO_REPORT_YET
    return Finding(Level.ACT, title, waits=NOT_LOST, steps=NO_REPORT_STEPS, since=reported)


def _problems(found: dict[str, Finding], silence: Finding | None) -> list[tuple[str, Finding]]:
    """The worst first; of several that are equally bad, the one that explains the others: the order of the checks."""
    wrong = [(name, finding) for name, finding in found.items() if finding.level.rank]
    order = ["database", "broker", "workers", "scheduler"]
    places = {name: place for place, name in enumerate([*order, "report", *(set(found) - set(order))])}
    if silence:
        wrong.append(("report", silence))
    return sorted(wrong, key=lambda item: (-item[1].level.rank, places.get(item[0], len(places))))


def _headline(wrong: list[Finding]) -> str:
    level = worst(wrong)
    if level == Level.OK:
        return _("All is well")
    count = sum(one.level == level for one in wrong)
    if level == Level.ACT:
        return ngettext("{count} thing to do", "{count} things to do", count).format(count=number(count))
    return ngettext("{count} thing to look at", "{count} things to look at", count).format(count=number(count))


def _counts(wrong: list[Finding]) -> list[dict[str, str]]:
    acts, looks = (sum(one.level == level for one in wrong) for level in (Level.ACT, Level.LOOK))
    told = []
    if acts:
        text = ngettext("{count} thing to do", "{count} things to do", acts).format(count=number(acts))
        told.append({"tone": "error", "icon": "error", "text": text})
    if looks:
        text = ngettext("{count} to look at", "{count} to look at", looks).format(count=number(looks))
        told.append({"tone": "warning", "icon": "warning", "text": text})
    return told or [{"tone": "ok", "icon": "check_circle", "text": _("All is well")}]


def _line(name: str, finding: Finding, row: CheckResult | None) -> Line:
    since = ""
    if finding.since and finding.level.rank:
        since = _("Since {moment} ({ago}).").format(moment=day_and_time(finding.since), ago=ago(finding.since))
    return Line(
        name=name,
        label=str(LABELS.get(name, "")),
        icon=ICONS[finding.level],
        tone=TONES[finding.level],
        title=translated(finding.title),
        value=_value(name, finding, row),
        detail=translated(finding.detail),
        waits=translated(finding.waits),
        since=since,
        steps=[{"text": translated(step.text), "command": step.command} for step in finding.steps],
    )


def _value(name: str, finding: Finding, row: CheckResult | None) -> str:
    """The fact in a few words. Moments are shown in the time zone of the reader."""
    noted = {"downloads": "next", "verified": "at", "anchors": "at"}.get(name, "")
    moment = row.memory.get(noted) if row and noted else None
    if moment and finding.level == Level.OK:
        at = datetime.fromisoformat(moment)
        return ago(at) if name == "downloads" else day_and_time(at)
    return translated(finding.value) or (_("ok") if finding.level == Level.OK else translated(finding.title))


def _queues(row: CheckResult | None, known: Processes) -> list[dict[str, Any]]:
    memory = row.memory if row else {}
    waiting, paces = memory.get("waiting", {}), memory.get("paces", {})
    return [_queue(name, waiting[name], paces.get(name, {}), len(known.serving(name))) for name in sorted(waiting)]


def _queue(name: str, waiting: dict[str, Any], pace: dict[str, Any], workers: int) -> dict[str, Any]:
    oldest = float(waiting["oldest"])
    if not workers:
        state = (_("No worker serves it"), "error", "error")
    elif oldest >= STUCK.total_seconds():
        state = (_("Stuck"), "error", "error")
    elif oldest >= SLOW.total_seconds():
        state = (_("Slow"), "warning", "hourglass_top")
    elif waiting["count"]:
        state = (_("Working"), "ok", "progress_activity")
    else:
        state = (pgettext("queue", "Idle"), "ok", "check_circle")
    return {
        "name": str(QUEUES.get(name, name)),
        "label": state[0],
        "tone": state[1],
        "icon": state[2],
        "waiting": number(waiting["count"]),
        "oldest": _seconds(oldest) if waiting["count"] else EMPTY,
        "took": EMPTY if pace.get("took") is None else _seconds(pace["took"], digits=1),
        "workers": number(workers),
    }


def _seconds(seconds: float, *, digits: int = 0) -> str:
    if seconds < 120:
        return _("{seconds} s").format(seconds=number(seconds, digits=digits))
    return _("{minutes} min").format(minutes=number(seconds // 60))


def _trial(user: User, now: datetime) -> dict[str, str]:
    """Return what happened to the reader's own test mail in the last hour."""
    last = MailTrial.objects.filter(user=user).first()
    if last is None or now - last.asked_at > SHOWN_TRIAL:
        return {}
    if last.ended_at is None:
        said = _("Your test mail waits for a worker. You asked for it {ago}.")
        return {"tone": "neutral", "text": said.format(ago=ago(last.asked_at))}
    if last.problem:
        said = _("Your test mail was not taken ({ago}): {problem}")
        return {"tone": "error", "text": said.format(ago=ago(last.ended_at), problem=translated(last.problem))}
    return {"tone": "ok", "text": _("The mail server took your test mail ({ago}).").format(ago=ago(last.ended_at))}
