"""System checks of the anchors and the streams of the audit. `docs/configuration.md` lists their ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

from licensehub.audit.anchors.keys import WrongKeys, current_keys
from licensehub.audit.findings import Problem, audit_findings
from licensehub.audit.outgoing import may_use
from licensehub.audit.stream.syslog import receiver_of

MIN_KEY = 32  # characters
SENTENCES = {
    Problem.NO_KEY: "No anchor of the audit is written, because there is no key.",
    Problem.MISSED: "An anchor of the audit was missed: events since {since} have none.",
    Problem.NOT_TAKEN: "{destination} has not taken an anchor of {since}. {detail}",
    Problem.CUT: "{destination}: anchors are missing that another copy has. It was cut or replaced.",
    Problem.FORGED: "{destination}: a line or an anchor is not signed by any of our keys.",
    Problem.OTHER_HISTORY: "{destination}: the database does not have the event that the newest anchor names.",
    Problem.STREAM_BEHIND: "{destination} has not taken the events since {since}. {detail}",
}


@register
def check_anchor_keys(**_: Any) -> list[CheckMessage]:
    """`make run` makes a key in the embedded mode. Production needs one that all hosts share."""
    hint = "Run `manage.py anchor_key make` once and give all hosts the file, or set ANCHOR_KEYS; see docs/anchors.md."
    try:
        missing = current_keys().signing is None
    except WrongKeys as wrong:
        return [Error(str(wrong), hint=hint, id="licensehub.E040")]
    if missing and not settings.REDIS_IS_EMBEDDED:
        return [Error("The key that signs the anchors of the audit is missing.", hint=hint, id="licensehub.E041")]
    return []


@register
def check_destinations(**_: Any) -> list[CheckMessage]:
    """The addresses to which anchors and events are sent."""
    hint = "Write https://; plain http is for a receiver on this machine."
    found: list[CheckMessage] = [
        Error(f"{name} is not an https address.", hint=hint, id="licensehub.E044")
        for name in ("ANCHOR_HTTPS_URL", "AUDIT_STREAM_HTTPS_URL")
        if getattr(settings, name) and not may_use(getattr(settings, name))
    ]
    if settings.AUDIT_STREAM_HTTPS_URL and len(settings.AUDIT_STREAM_HTTPS_KEY) < MIN_KEY:
        sentence = f"AUDIT_STREAM_HTTPS_KEY is missing or has fewer than {MIN_KEY} characters."
        found.append(Error(sentence, hint="Write a random text that the receiver knows.", id="licensehub.E045"))
    return [*found, *_time_stamps(), *_syslog()]


def _time_stamps() -> list[CheckMessage]:
    # Here, since few installations need it.
    from cryptography.x509 import load_pem_x509_certificates

    if not settings.ANCHOR_TSA_URL:
        return []
    try:
        load_pem_x509_certificates(Path(settings.ANCHOR_TSA_CA_FILE).read_bytes())
    except (OSError, ValueError):
        hint = "Name a PEM file with the root certificate of the time stamp authority."
        return [Error("ANCHOR_TSA_CA_FILE is not a file with certificates.", hint=hint, id="licensehub.E046")]
    return []


def _syslog() -> list[CheckMessage]:
    try:
        if settings.AUDIT_STREAM_SYSLOG:
            receiver_of(settings.AUDIT_STREAM_SYSLOG)
    except ValueError:
        hint = "Write tls://host:6514, tcp://host:601 or udp://host:514."
        return [Error("AUDIT_STREAM_SYSLOG is not the address of a receiver.", hint=hint, id="licensehub.E047")]
    return []


@register(Tags.database)
def check_outside(databases: Any = None, **_: Any) -> list[CheckMessage]:
    """The findings that an admin sees on the overview."""
    if not databases:
        return []
    try:
        found = audit_findings()
    except DatabaseError:
        return []
    hint = "See docs/anchors.md and docs/siem.md."
    return [
        Warning(
            SENTENCES[one.problem]
            .format(
                destination=one.destination,
                since=f"{one.since:%Y-%m-%d %H:%M} UTC" if one.since else "",
                detail=one.detail,
            )
            .strip(),
            hint=hint,
            id="licensehub.W010",
        )
        for one in found
        # `make run` makes the key, and check_anchor_keys reports one that is missing elsewhere.
        if one.problem != Problem.NO_KEY
    ]
