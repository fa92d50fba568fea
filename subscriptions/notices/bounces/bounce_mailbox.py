"""Reads the mailbox to which mails come back (IMAP, RFC 9051). It marks each mail that it read as seen."""

from __future__ import annotations

import imaplib
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from django.conf import settings

from integrations.connectors.request import is_loopback
from licensehub.outbound.connecting import connect
from licensehub.outbound.deadlines import Deadline
from subscriptions.models import Notice, NoticeState
from subscriptions.notices.bounces.delivery_reports import Failure, read_report
from subscriptions.notices.bounces.returned_mail import came_back

logger = logging.getLogger(__name__)

PORTS: Final = {"imaps": 993, "imap+tls": 143, "imap": 143}
SECONDS: Final = 20
# The number of mails that one task reads. The next task reads the others.
MAX_MAILS: Final = 200
# The number of bytes of a mail that are read. A report may contain a whole mail; the fields that count come first.
MAX_BYTES: Final = 262_144
# For one task: the seconds that the server has, and the bytes that it may send.
TASK_SECONDS: Final = 120
TASK_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Mailbox:
    """`scheme`: imaps (TLS), imap+tls (STARTTLS), or imap (plain, for this machine)."""

    scheme: str
    host: str
    port: int
    user: str
    password: str
    folder: str


def mailbox_of(url: str) -> Mailbox:
    """The parts of imaps://user:password@host:993/INBOX. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname or not parts.username:
        raise ValueError("This is not the address of a mailbox.")
    if parts.scheme == "imap" and not is_loopback(parts.hostname):
        raise ValueError("The password would cross the network in plain text.")
    return Mailbox(
        scheme=parts.scheme,
        host=parts.hostname,
        port=parts.port or PORTS[parts.scheme],
        user=unquote(parts.username),
        password=unquote(parts.password or ""),
        folder=unquote(parts.path.strip("/")) or "INBOX",
    )


def read_bounces() -> int:
    """Note which mails came back. Two processes may read at once. Returns how many.

    Raises OSError and imaplib.IMAP4.error.
    """
    if not settings.BOUNCE_MAILBOX_URL:
        return 0
    found = 0
    with _opened(mailbox_of(settings.BOUNCE_MAILBOX_URL)) as box:
        for number, raw in _unseen(box):
            failure = _failure_in(raw)
            notice = Notice.objects.filter(pk=failure.notice_id).first() if failure else None
            if failure and notice:
                if notice.state == NoticeState.SENDING:
                    continue  # faster than our own note that the server took it; the next task reads it again
                found += came_back(notice, reason=failure.reason, actor=None)
            # The mail is marked only now, so that it is read again after a crash.
            box.store(number, "+FLAGS", r"(\Seen)")
    return found


def _failure_in(raw: bytes) -> Failure | None:
    """A mail that nobody can read must not hide those after it: anybody can write to this mailbox."""
    try:
        return read_report(raw)
    except Exception:  # a parser of foreign mails, e.g. RecursionError
        logger.warning("A mail in the mailbox of bounces cannot be read, and is left out.", exc_info=True)
        return None


def tls_context() -> ssl.SSLContext:
    """Trusts the public authorities, and those of the company beside them: a mailbox may be at either."""
    context = ssl.create_default_context()
    if settings.VENDOR_CA_BUNDLE:
        context.load_verify_locations(settings.VENDOR_CA_BUNDLE)
    return context


class _Imap(imaplib.IMAP4):
    """`imaplib` believes the server: it reads as many bytes as that one announces, for as long as they come."""

    _left = TASK_BYTES

    def _create_socket(self, timeout: float) -> socket.socket:
        return connect(self.host, self.port, seconds=timeout)

    def read(self, size: int) -> bytes:
        self._count(size)
        return super().read(size)

    def readline(self) -> bytes:
        line = super().readline()
        self._count(len(line))
        return line

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise self.error("The server sends more than a mailbox has.")


class _TlsImap(_Imap, imaplib.IMAP4_SSL):
    def _create_socket(self, timeout: float) -> socket.socket:
        context: ssl.SSLContext = self.ssl_context
        return context.wrap_socket(super()._create_socket(timeout), server_hostname=self.host)


@contextmanager
def _opened(mailbox: Mailbox) -> Iterator[imaplib.IMAP4]:
    with Deadline(TASK_SECONDS), _connected(mailbox) as box:
        yield box


@contextmanager
def _connected(mailbox: Mailbox) -> Iterator[imaplib.IMAP4]:
    context = tls_context()
    if mailbox.scheme == "imaps":
        box: imaplib.IMAP4 = _TlsImap(mailbox.host, mailbox.port, ssl_context=context, timeout=SECONDS)
    else:
        box = _Imap(mailbox.host, mailbox.port, timeout=SECONDS)
    try:
        if mailbox.scheme == "imap+tls":
            box.starttls(context)
        box.login(mailbox.user, mailbox.password)
        status, answer = box.select(f'"{mailbox.folder}"')
        if status != "OK":
            raise imaplib.IMAP4.error(f"The folder {mailbox.folder} cannot be opened: {answer!r}")
        yield box
    finally:
        try:
            if box.state != "NONAUTH":
                box.logout()
        finally:
            with suppress(OSError):  # a log-out that worked has closed it
                box.shutdown()


def _unseen(box: imaplib.IMAP4) -> Iterator[tuple[str, bytes]]:
    _, found = box.search(None, "UNSEEN")
    for number in (found[0] or b"").split()[:MAX_MAILS]:
        _, parts = box.fetch(number.decode(), f"(BODY.PEEK[]<0.{MAX_BYTES}>)")
        yield number.decode(), next((part[1] for part in parts if isinstance(part, tuple)), b"")
