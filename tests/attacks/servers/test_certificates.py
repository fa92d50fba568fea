"""Mail servers, mailboxes and syslog receivers with a certificate of another name, or of nobody that we trust."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from licensehub.audit.outside import NotTaken
from licensehub.audit.stream import syslog
from subscriptions.notices.bounces.bounce_mailbox import read_bounces
from subscriptions.notices.transport import MailServer, NoServer
from tests.support.guards.network import allow
from tests.support.servers.webhooks import write_certificate

PASSWORD = "s3cret-of-the-mail"


def smtp(line: str) -> str:
    """The answer of a mail server without TLS, or after it."""
    return {"EHLO": "250-here\r\n250 AUTH PLAIN LOGIN\r\n", "AUTH": "235 in\r\n"}.get(
        line.split()[0].upper(), "250 done\r\n"
    )


def imap(line: str) -> str:
    tag, word = line.split()[:2]
    more = {"CAPABILITY": "* CAPABILITY IMAP4rev1\r\n", "SEARCH": "* SEARCH\r\n", "UID": "* SEARCH\r\n"}.get(word, "")
    return f"{more}{tag} OK done\r\n"


@dataclass
class Server:
    """One protocol. It begins with TLS, or changes to it where it `offers` that. `lines` are those of the caller."""

    certificate: Path
    greeting: str
    answer: Callable[[str], str]
    tls_first: bool
    offers: bool = True
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        allow(self.port)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as open_ones:
            plain = open_ones.enter_context(self.socket.accept()[0])
            if self.tls_first:
                plain = open_ones.enter_context(self.context.wrap_socket(plain, server_side=True))
            plain.sendall(self.greeting.encode())
            if self._talk(plain):
                encrypted = open_ones.enter_context(self.context.wrap_socket(plain, server_side=True))
                self._talk(encrypted)

    def _talk(self, connection: socket.socket) -> bool:
        """Answer until the caller leaves, or begins TLS."""
        offers = self.offers and not isinstance(connection, ssl.SSLSocket)
        with connection.makefile("rb") as lines:
            for raw in lines:
                line = raw.decode()
                self.lines.append(line)
                if offers and "STARTTLS" in line.upper():
                    connection.sendall(
                        f"{line.split()[0]} OK go\r\n".encode() if self.answer is imap else b"220 go\r\n"
                    )
                    return True
                answer = self.answer(line)
                if offers:
                    answer = answer.replace("250 AUTH", "250-STARTTLS\r\n250 AUTH").replace("rev1", "rev1 STARTTLS")
                connection.sendall(answer.encode())
        return False


def send_mail(settings, port: int, *, tls_first: bool) -> None:
    settings.EMAIL_BACKEND = "licensehub.outbound.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "localhost", port, 20.0
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "ada", PASSWORD
    settings.EMAIL_USE_SSL, settings.EMAIL_USE_TLS = tls_first, not tls_first
    with MailServer() as mails:
        mails.ready()


def read_mail(settings, port: int, *, tls_first: bool) -> None:
    scheme = "imaps" if tls_first else "imap+tls"
    settings.BOUNCE_MAILBOX_URL = f"{scheme}://ada:{PASSWORD}@localhost:{port}/INBOX"
    read_bounces()


def send_events(settings, port: int, *, tls_first: bool) -> None:
    syslog.send(syslog.Receiver("tls", "localhost", port), [])


REFUSED = (NoServer, NotTaken, OSError)
DOORS = {
    "SMTP over TLS": (send_mail, "220 ready\r\n", smtp, True),
    "SMTP with STARTTLS": (send_mail, "220 ready\r\n", smtp, False),
    "IMAP over TLS": (read_mail, "* OK ready\r\n", imap, True),
    "IMAP with STARTTLS": (read_mail, "* OK ready\r\n", imap, False),
    "syslog over TLS": (send_events, "", smtp, True),
}


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def one(door: str, name: str, *, offers: bool = True) -> Server:
        write_certificate(tmp_path / "server.pem", name)
        started.append(Server(tmp_path / "server.pem", *DOORS[door][1:], offers=offers))
        return started[-1]

    yield one
    for server in started:
        server.socket.close()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("certificate", ["right", "of another name", "of nobody"])
def test_a_server_must_prove_its_name(start, settings, monkeypatch, door, certificate):
    """Control: with contexts that check nothing, or no name, each of the wrong servers gets the password."""
    server = start(door, "other.example" if certificate == "of another name" else "localhost")
    if certificate != "of nobody":
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
    call, _greeting, _answer, tls_first = DOORS[door]
    if certificate == "right":
        call(settings, server.port, tls_first=tls_first)
        assert door.startswith("syslog") or any("AUTH" in line or "LOGIN" in line for line in server.lines)
        return
    with pytest.raises(REFUSED):
        call(settings, server.port, tls_first=tls_first)
    assert not [line for line in server.lines if "AUTH" in line or "LOGIN" in line or PASSWORD in line]


@pytest.mark.parametrize("door", ["SMTP with STARTTLS", "IMAP with STARTTLS"])
def test_a_server_that_takes_tls_away_gets_no_password(start, settings, monkeypatch, door):
    """Somebody between removes STARTTLS from the answer."""
    server = start(door, "localhost", offers=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
    with pytest.raises((*REFUSED, Exception), match=r"(?i)starttls|TLS"):
        DOORS[door][0](settings, server.port, tls_first=False)
    assert not [line for line in server.lines if "AUTH" in line or "LOGIN" in line or PASSWORD in line]
