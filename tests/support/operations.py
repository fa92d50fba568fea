"""An installation at 03:12 in the night, as an operator finds it: mails are not sent, all else is nearly well."""

from __future__ import annotations

from datetime import timedelta

from integrations.models import CheckResult, Heartbeat, ProcessKind
from licensehub.build import version
from licensehub.database.clock import database_now
from licensehub.logs.known_secrets import keys_mark
from licensehub.operations.doctor.checks.mail import _waiting
from licensehub.operations.doctor.findings import CHECKS, Context, Finding, Level, Step
from licensehub.operations.results import _keep

QUEUES = ("default", "download", "mail", "reclaim")
WELL = {
    "database": ("The database answers", "PostgreSQL 16.4"),
    "connections": ("The database has connections left", "31 of 100 connections"),
    "broker": ("The broker answers and keeps its queues", "Valkey 8.1, kept on disk"),
    "disk": ("The disks have space", "61.0 GB free of 80.0 GB"),
    "clocks": ("The clocks agree with the database", "0.2 s apart"),
    "tokens": ("All connections work", "2 connections"),
    "audit": ("The audit ends where it should", "#48201"),
    "anchors": ("Each destination has taken everything", "A-2204, 2026-11-23 03:00 UTC"),
    "open_items": ("Approved seats are sent", "13 days"),
    "public_url": ("PUBLIC_URL leads to this installation", "licenses.northwind.example"),
}


def processes(now=None) -> None:
    now = now or database_now()
    shared = {"version": version(), "seen_at": now, "facts": {"keys": keys_mark()}}
    for host in ("app-1", "app-2"):
        for name in ("reclaim", "mail", "default"):
            queues = ["download", "reclaim"] if name == "reclaim" else [name]
            Heartbeat.objects.create(
                kind=ProcessKind.WORKER, name=f"{name}@{host}", host=host, queues=queues, started_at=now, **shared
            )
    Heartbeat.objects.create(
        kind=ProcessKind.BEAT, name="gen7@app-1", host="app-1", started_at=now, scheduled_at=now, **shared
    )


def an_evening() -> None:
    now = database_now()
    processes(now)
    for name in CHECKS:
        title, value = WELL.get(name, ("All is well", ""))
        _keep(name, Finding(Level.OK, title, value), None, {})
    began = (now - timedelta(minutes=77)).isoformat()
    problem = "The mail server answered: 535 5.7.8 Authentication credentials invalid."
    _keep("mail", _waiting(12, 2, problem, Context({"since": began})), None, {})
    doubt = (Step("Open R-0139: each item says what the vendor shows now, and what you can do."),)
    waits = "Nothing is sent again before a person decides."
    since = now - timedelta(days=3)
    found = Finding(Level.LOOK, "The answer of the vendor was lost", "1", "R-0139", waits, doubt, since)
    _keep("in_doubt", found, None, {})
    old = Finding(Level.LOOK, "The history was not verified for three months", "2026-08-17")
    _keep("verified", old, None, {})
    waiting = {
        name: {"count": 14 if name == "mail" else 0, "oldest": 4620.0 if name == "mail" else 0.0} for name in QUEUES
    }
    paces = {name: {"count": 9, "failed": 0, "waited": 0.1, "took": 0.9} for name in QUEUES if name != "mail"}
    CheckResult.objects.filter(check_id="queues").update(memory={"waiting": waiting, "paces": paces})
    CheckResult.objects.filter(check_id="downloads").update(
        title="Downloads run as planned", memory={"next": (now + timedelta(hours=2, minutes=47)).isoformat()}
    )
