"""Syslog messages arrive whole, in order and framed, over UDP, TCP and TLS."""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import transaction

from integrations import sending
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.audit.models import AuditEvent, Destination
from licensehub.audit.stream import syslog
from licensehub.audit.stream.streams import send_streams
from tests.support.anchors import act
from tests.support.guards.network import allow

MESSAGE = re.compile(rb"<(\d+)>1 (\S+Z) (\S+) licensehub (\d+) (\S+) - (\{.*\})", re.DOTALL)


@dataclass
class SyslogServer:
    """Keeps all bytes of each connection. `manner`: reads (to the end), resets, or holds (never closes)."""

    wrap: Callable[[socket.socket], socket.socket] = lambda connection: connection
    manner: str = "reads"
    received: list[bytes] = field(default_factory=list)
    held: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        allow(self.port)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self.socket.accept()
                self._take(plain)
            except OSError:
                if self.socket.fileno() < 0:
                    return

    def _take(self, plain: socket.socket) -> None:
        if self.manner == "resets":
            plain.recv(10)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            plain.close()
            return
        connection = self.wrap(plain)
        content = b""
        while chunk := connection.recv(65536):
            content += chunk
        self.received.append(content)
        if self.manner == "holds":
            self.held.append(connection)
            return
        connection.close()

    def close(self) -> None:
        for one in (*self.held, self.socket):
            one.close()


@pytest.fixture
def server():
    started = SyslogServer()
    yield started
    started.close()


def unframed(content: bytes) -> list[bytes]:
    messages = []
    while content:
        length, _, content = content.partition(b" ")
        messages.append(content[: int(length)])
        content = content[int(length) :]
    return messages


def sequences(messages: list[bytes]) -> list[int]:
    found = [MESSAGE.fullmatch(message) for message in messages]
    assert all(found)
    return [json.loads(match[6])["metadata"]["sequence"] for match in found if match]


def every_event() -> list[int]:
    return list(AuditEvent.objects.order_by("sequence").values_list("sequence", flat=True))


def test_a_message_is_that_of_the_rfc(db):
    with transaction.atomic():
        record(Action.PROFILE_CHANGED, actor=None, target=sending.control(), data={"name": "Zoë\n<34>1 forged\u2028"})
    sending.hold("It looks like a restored backup.")
    first, last = (syslog.message_of(event) for event in AuditEvent.objects.order_by("sequence"))
    priority, moment, _host, _pid, name, line = MESSAGE.fullmatch(first).groups()
    assert (int(priority), name) == (13 * 8 + 6, b"profile.changed")
    assert datetime.datetime.fromisoformat(moment.decode()) == AuditEvent.objects.last().at
    assert first.isascii() and b"\n" not in first, "a name in the data cannot begin another message"
    assert json.loads(line)["unmapped"]["data"]["name"].startswith("Zoë\n")
    assert MESSAGE.fullmatch(last)[1] == str(13 * 8 + 4).encode()


def test_tcp_counts_octets_and_waits_until_all_is_read(db, settings, server):
    settings.AUDIT_STREAM_SYSLOG = f"tcp://127.0.0.1:{server.port}"
    act(5)
    send_streams()
    (content,) = server.received
    assert sequences(unframed(content)) == every_event()

    server.manner = "resets"
    act(800)
    send_streams()
    row = Destination.objects.get(name="stream.syslog")
    assert (row.position, row.failures) == (5, 1)
    assert "cannot be reached" in row.error
    server.manner = "reads"
    Destination.objects.update(next_try_at=None)
    send_streams()
    assert sequences(unframed(b"".join(server.received))) == every_event()


def test_a_receiver_that_never_closes_has_taken_what_it_acknowledged(db, settings, server, monkeypatch):
    monkeypatch.setattr(syslog, "TIMEOUT", 0.3)
    settings.AUDIT_STREAM_SYSLOG, server.manner = f"tcp://127.0.0.1:{server.port}", "holds"
    act(3)
    send_streams()
    assert Destination.objects.get(name="stream.syslog").position == 3


def test_udp_sends_one_datagram_for_each_event_and_shortens_what_does_not_fit(db, settings):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        allow(receiver.getsockname()[1])
        settings.AUDIT_STREAM_SYSLOG = f"udp://127.0.0.1:{receiver.getsockname()[1]}"
        act()
        with transaction.atomic():
            record(Action.PROFILE_CHANGED, actor=None, target=sending.control(), data={"names": ["x" * 100] * 900})
        send_streams()
        messages = [receiver.recv(65536) for _ in range(2)]
    assert sequences(messages) == every_event()
    assert json.loads(MESSAGE.fullmatch(messages[1])[6])["unmapped"]["data"] == {
        "left_out": "The details are too long for a datagram."
    }


def certificate(folder) -> tuple[str, str]:
    """A certificate of 127.0.0.1 that signs itself: the paths of certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(built.public_bytes(serialization.Encoding.PEM))
    pkcs8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths[1].write_bytes(key.private_bytes(*pkcs8))
    return str(paths[0]), str(paths[1])


def test_tls_checks_the_receiver(db, settings, tmp_path):
    public, private = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    server = SyslogServer(wrap=lambda plain: context.wrap_socket(plain, server_side=True))
    settings.AUDIT_STREAM_SYSLOG = f"tls://127.0.0.1:{server.port}"
    act(4)
    send_streams()
    assert "SSLCertVerificationError" in Destination.objects.get(name="stream.syslog").error
    settings.AUDIT_CA_BUNDLE = public
    Destination.objects.update(next_try_at=None)
    send_streams()
    assert sequences(unframed(b"".join(server.received))) == every_event()
    server.close()


def test_addresses():
    assert syslog.receiver_of("tls://siem.example") == syslog.Receiver("tls", "siem.example", 6514)
    assert syslog.receiver_of("udp://[::1]:5140") == syslog.Receiver("udp", "::1", 5140)
    for wrong in (
        "siem.example:514",
        "https://siem.example",
        "tcp://",
        "tcp://user@siem.example",
        "tcp://h:1/p",
        "",
    ):
        with pytest.raises(ValueError):
            syslog.receiver_of(wrong)
