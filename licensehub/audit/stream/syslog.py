"""Syslog (RFC 5424) over UDP (RFC 5426), TCP with octet counting (RFC 6587) and TLS (RFC 5425)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import ssl
import struct
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

from licensehub.audit.models import AuditEvent
from licensehub.audit.outside import NotTaken, refuse_in_transaction
from licensehub.audit.stream.events import as_line, as_ocsf
from licensehub.outbound.connecting import connect
from licensehub.outbound.deadlines import Deadline
from licensehub.outbound.names import rows_of

PORTS: Final = {"udp": 514, "tcp": 601, "tls": 6514}
AUDIT_FACILITY, WARNING, INFORMATIONAL = 13, 4, 6
TIMEOUT: Final = 10.0  # seconds between two bytes of the receiver
MAX_SECONDS: Final = 30.0  # for one batch: many times what 500 events take
# A longer message does not fit into a datagram. Its details are left out.
MAX_DATAGRAM: Final = 60_000  # bytes


@dataclass(frozen=True, slots=True)
class Receiver:
    """`kind` is udp, tcp or tls."""

    kind: str
    host: str
    port: int


def receiver_of(url: str) -> Receiver:
    """The receiver of an address such as `tls://siem.example:6514`. Raises ValueError."""
    parts = urlsplit(url)
    behind = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme not in PORTS or not parts.hostname or behind:
        raise ValueError("The address of a syslog receiver is udp://host:port, tcp://host:port or tls://host:port.")
    return Receiver(parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme])


def message_of(event: AuditEvent, *, longest: int | None = None) -> bytes:
    """One message: the audit facility, the action as its MSGID, and the line of JSON."""
    fields = as_ocsf(event)
    line = as_line(fields)
    if longest and len(line) > longest:
        fields["unmapped"]["data"] = {"left_out": "The details are too long for a datagram."}
        line = as_line(fields)
    severity = WARNING if fields["severity_id"] > 1 else INFORMATIONAL
    host = socket.gethostname()[:255] or "-"
    header = f"<{AUDIT_FACILITY * 8 + severity}>1 {event.at:%Y-%m-%dT%H:%M:%S.%fZ} {host} licensehub {os.getpid()}"
    return f"{header} {event.action[:32]} - {line}".encode()


def send(receiver: Receiver, events: Sequence[AuditEvent]) -> None:
    """Send the events in order, until the receiver has read them, as far as the protocol tells. Raises NotTaken."""
    refuse_in_transaction()
    try:
        if receiver.kind == "udp":
            _send_datagrams(receiver, events)
        else:
            messages = map(message_of, events)
            _send_stream(receiver, b"".join(f"{len(message)} ".encode() + message for message in messages))
    except OSError as error:  # ssl.SSLError is one
        raise NotTaken(f"The syslog receiver cannot be reached ({type(error).__name__}).") from error


def _send_datagrams(receiver: Receiver, events: Sequence[AuditEvent]) -> None:
    family, kind, protocol, _, address = rows_of(receiver.host, receiver.port, seconds=TIMEOUT, kind=socket.SOCK_DGRAM)[
        0
    ]
    with socket.socket(family, kind, protocol) as sender:
        sender.settimeout(TIMEOUT)
        sender.connect(address)
        for event in events:
            sender.send(message_of(event, longest=MAX_DATAGRAM))


def _send_stream(receiver: Receiver, frames: bytes) -> None:
    """One connection for one batch. It is closed in both directions, since nothing else tells that all was read."""
    with Deadline(MAX_SECONDS) as deadline, connect(receiver.host, receiver.port, seconds=TIMEOUT) as plain:
        if receiver.kind == "tls":
            _send_encrypted(plain, receiver.host, frames)
        else:
            plain.sendall(frames)
            _wait_until_read(plain)
        if deadline.expired:
            # The end of what the receiver sends looks the same as our own cut.
            raise TimeoutError


def _send_encrypted(plain: socket.socket, host: str, frames: bytes) -> None:
    context = ssl.create_default_context(cafile=settings.AUDIT_CA_BUNDLE or None)
    with context.wrap_socket(plain, server_hostname=host) as encrypted:
        encrypted.sendall(frames)
        ended: socket.socket = encrypted
        with contextlib.suppress(ssl.SSLError, TimeoutError):
            # The receiver may close without an answer.
            ended = encrypted.unwrap()
        _wait_until_read(ended)


def _wait_until_read(connection: socket.socket) -> None:
    """Wait until the receiver closes, which it does after it has read all. Raises OSError if it was reset before."""
    try:
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    except TimeoutError:
        # It keeps the connection open. Then its kernel must have acknowledged every byte.
        if _unacknowledged(connection):
            raise


def _unacknowledged(connection: socket.socket) -> int:
    """The number of bytes that the other side has not acknowledged."""
    return int(struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0])
