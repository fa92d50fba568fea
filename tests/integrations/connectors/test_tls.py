"""TLS: a certificate without a trusted issuer, and the deadline below the encryption."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import requests.adapters
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from integrations.connectors.contract import ConfigError, OutcomeUnknown, TransientError
from integrations.connectors.rate_limit import LocalRateBudget
from tests.support.guards.network import AllowHttp
from tests.support.servers.scripted_server import DRIP_SECONDS
from tests.support.vendor.connector_sessions import QUICK, RATE, new_session


def write_certificate(path: Path) -> None:
    """A self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + certificate.public_bytes(pem))


WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Drip:
    """Sends the `whole` answers, then the head of an answer byte by byte, until the client leaves.

    `dripped` counts these bytes: they measure time by a clock that stands still when the machine does.
    """

    url: str
    certificate: Path
    requests: list[bytes] = field(default_factory=list)
    whole: list[bytes] = field(default_factory=list)
    dripped: int = 0


def serve(listener: socket.socket, context: ssl.SSLContext, drip: Drip) -> None:
    while True:
        try:
            raw, _ = listener.accept()
        except OSError:
            return  # the test is over
        try:
            with context.wrap_socket(raw, server_side=True) as client:
                drip.requests.append(client.recv(4096))
                while drip.whole:
                    client.sendall(drip.whole.pop())
                    drip.requests.append(client.recv(4096))
                for _ in range(200):
                    client.sendall(b"H")
                    drip.dripped += 1
                    time.sleep(DRIP_SECONDS)
        except OSError:
            continue  # the client refused the certificate, or went away


@pytest.fixture
def drip(tmp_path: Path, allow_http: AllowHttp) -> Iterator[Drip]:
    certificate = tmp_path / "certificate.pem"
    write_certificate(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))
    drip = Drip(url=f"https://127.0.0.1:{listener.getsockname()[1]}", certificate=certificate)
    threading.Thread(target=serve, args=(listener, context, drip), daemon=True).start()
    allow_http(drip.url)
    yield drip
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_a_self_signed_certificate_is_refused(drip: Drip, budget: LocalRateBudget) -> None:
    session = new_session(drip.url, budget)
    query: dict[str, str | int] = {"emails": "ada"}
    with pytest.raises(ConfigError, match="certificate") as caught:
        session.get("/x", rate=RATE, query=query)
    # The library's own error has the whole address in it, and must not be shown.
    assert "emails=" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(ConfigError, match="nothing was sent"):
        session.patch("/x", {}, rate=RATE)
    assert drip.requests == []


def test_the_deadline_holds_below_tls(drip: Drip, budget: LocalRateBudget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(drip.certificate))
    session = new_session(drip.url, budget, QUICK)
    with pytest.raises(TransientError, match="in time"):
        session.get("/x", rate=RATE)
    assert drip.dripped * DRIP_SECONDS < 2 * QUICK.total


def test_the_deadline_holds_on_a_tls_connection_that_is_used_again(
    drip: Drip, budget: LocalRateBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(drip.certificate))
    drip.whole.append(WHOLE)
    session = new_session(drip.url, budget, QUICK)
    session.get("/x", rate=RATE)
    with pytest.raises(TransientError, match="in time"):
        session.get("/x", rate=RATE)
    assert drip.dripped * DRIP_SECONDS < 2 * QUICK.total


def test_a_write_that_was_sent_over_tls_is_in_doubt(
    drip: Drip, budget: LocalRateBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(drip.certificate))
    with pytest.raises(OutcomeUnknown):
        new_session(drip.url, budget, QUICK).patch("/x", {}, rate=RATE)
    assert len(drip.requests) == 1
