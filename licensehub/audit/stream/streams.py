"""Streams of the audit events to a SIEM: to a file, to stdout, by syslog, and by HTTPS."""

from __future__ import annotations

import hmac
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from django.conf import settings

from licensehub.audit.models import AuditEvent, ChainHead
from licensehub.audit.outgoing import post
from licensehub.audit.outside import NotTaken, send_pending
from licensehub.audit.stream import syslog
from licensehub.audit.stream.events import line_of
from licensehub.database.clock import database_now

BATCH = 500  # events
SECONDS = 45  # for one stream; the next minute goes on

Send = Callable[[Sequence[AuditEvent]], None]


def streams() -> dict[str, Send]:
    """All streams that are set up, by the names of their rows."""
    found: dict[str, Send] = {}
    if settings.AUDIT_STREAM_FILE:
        found["stream.file"] = to_file
    if settings.AUDIT_STREAM_STDOUT:
        found["stream.stdout"] = to_stdout
    if settings.AUDIT_STREAM_SYSLOG:
        found["stream.syslog"] = to_syslog
    if settings.AUDIT_STREAM_HTTPS_URL:
        found["stream.https"] = to_https
    return found


def send_streams() -> None:
    """Send each stream the events that its receiver has not taken."""
    for name, send in streams().items():
        send_pending(_Stream(name, send), seconds=SECONDS)


class _Stream:
    """The events after a position, in the order of the chain."""

    def __init__(self, name: str, send: Send) -> None:
        self.name = name
        self._send = send

    def start(self) -> int:
        return ChainHead.objects.get(pk=1).sequence if settings.AUDIT_STREAM_FROM == "now" else 0

    def start_again(self) -> int:
        """The database is another one than before, e.g. a restored backup. Receivers know an event by its uid."""
        return 0

    def mark_of(self, position: int) -> str:
        events = AuditEvent.objects.filter(sequence=position)
        return events.values_list("hash", flat=True).first() or ""

    def send_after(self, position: int) -> int:
        # The head is locked until an event is committed, so no event appears later behind a higher number.
        events = list(AuditEvent.objects.filter(sequence__gt=position).order_by("sequence")[:BATCH])
        if not events:
            return position
        self._send(events)
        return events[-1].sequence


def to_file(events: Sequence[AuditEvent]) -> None:
    """Append to a file, which may be rotated: it is opened for each batch."""
    try:
        handle = os.open(Path(settings.AUDIT_STREAM_FILE), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(_lines(events))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise NotTaken(f"The file of the stream cannot be written ({error.strerror}).") from error


def to_stdout(events: Sequence[AuditEvent]) -> None:
    """Write to the standard output of the process. Celery replaces `sys.stdout` by its log."""
    if sys.__stdout__ is None:
        raise NotTaken("This process has no standard output.")
    try:
        sys.__stdout__.write(_lines(events).decode())
        sys.__stdout__.flush()
    except OSError as error:
        raise NotTaken(f"The standard output cannot be written ({error.strerror}).") from error


def to_syslog(events: Sequence[AuditEvent]) -> None:
    try:
        receiver = syslog.receiver_of(settings.AUDIT_STREAM_SYSLOG)
    except ValueError as error:
        raise NotTaken(str(error)) from error
    syslog.send(receiver, events)


def to_https(events: Sequence[AuditEvent]) -> None:
    """POST a batch. `LicenseHub-Signature` is the HMAC-SHA-256 of the time, a dot and the body."""
    body, moment = _lines(events), str(int(database_now().timestamp()))
    key = settings.AUDIT_STREAM_HTTPS_KEY.encode()
    headers = {
        "Content-Type": "application/x-ndjson",
        "LicenseHub-Time": moment,
        "LicenseHub-Signature": "sha256=" + hmac.digest(key, f"{moment}.".encode() + body, "sha256").hex(),
    }
    post(settings.AUDIT_STREAM_HTTPS_URL, body, headers)


def _lines(events: Sequence[AuditEvent]) -> bytes:
    return "".join(f"{line_of(event)}\n" for event in events).encode()
