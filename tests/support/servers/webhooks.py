"""A receiver of webhooks over TLS on the loopback, under the name endpoint.example."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from integrations.models import IntegrationProfile, Webhook, WebhookDelivery, WebhookFormat
from integrations.webhooks.secrets import sealed
from licensehub.outbound import addresses
from subscriptions.webhooks.setup import WebhookInput, create
from tests.support.guards.network import AllowHttp
from tests.support.servers.scripted_server import Reply, ScriptedServer, Seen

HOST = "endpoint.example"
# A part of the address that nobody may read.
SECRET_PATH = "/services/T000/B000/canary-of-the-path"


def write_certificate(path: Path, host: str) -> None:
    """A self-signed certificate for this name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(
            issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=x509.random_serial_number()
        )
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + certificate.public_bytes(pem))


class Receiver(ScriptedServer):
    """Answers 200 unless a test says otherwise. `names`: the number that a name has at each look-up, in turn."""

    def __init__(self, certificate: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        super().__init__(tls=context)
        self.replies = [Reply(data={"ok": True})]
        self.port = urlsplit(self.url).port or 0
        self.address = f"https://{HOST}:{self.port}{SECRET_PATH}"
        self.names: dict[str, Callable[[], list[str]]] = {HOST: lambda: ["127.0.0.1"]}
        self.looked_up: list[str] = []

    def look_up(self, host: str, port: int) -> list[str]:
        self.looked_up.append(host)
        if host not in self.names:
            raise OSError("no such name")
        return self.names[host]()


def verified(seen: Seen, secret: str, *, now: float | None = None) -> bool:
    """Whether a receiver that follows docs/webhooks.md takes it for genuine."""
    headers = {name.lower(): value for name, value in seen.headers.items()}
    stamp = headers["webhook-timestamp"]
    if now is not None and abs(now - int(stamp)) > 300:
        return False
    signed = b".".join([headers["webhook-id"].encode(), stamp.encode(), seen.body])
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    given = [one.removeprefix("v1,") for one in headers["webhook-signature"].split(" ") if one.startswith("v1,")]
    return any(hmac.compare_digest(expected, one) for one in given)


@pytest.fixture
def endpoint(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch, allow_http: AllowHttp) -> Iterator[Receiver]:
    certificate = tmp_path / "endpoint.pem"
    write_certificate(certificate, HOST)
    server = Receiver(certificate)
    allow_http(server.url)
    monkeypatch.setattr(addresses, "look_up", server.look_up)
    settings.WEBHOOK_HOSTS = [HOST]
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8")]
    settings.WEBHOOK_CA_BUNDLE = str(certificate)
    yield server
    server.stop()


def wanted(name: str = "On call", **values: Any) -> WebhookInput:
    """The entries of a webhook for the events that most tests raise."""
    common: dict[str, Any] = {
        "format": WebhookFormat.EVENT,
        "events": ("request.decided", "request.waits", "savings.monthly"),
    }
    return WebhookInput(name=name, **{**common, **values})


def make_webhook(endpoint: Receiver, name: str = "On call", **values: object) -> tuple[Webhook, str]:
    """A webhook to the endpoint, and its secret."""
    authorization = str(values.pop("authorization", ""))
    return create(wanted(name, **values), url=endpoint.address, authorization=authorization, actor=None)


def stored_webhook(*profiles: IntegrationProfile, **values: object) -> WebhookDelivery:
    """A webhook of these profiles, or of all, with one delivery, which is returned. Nothing is called."""
    columns = {"format": WebhookFormat.SLACK, "host": "hooks.slack.com", "events": ["request.waits"], **values}
    name = str(columns.pop("name", f"Channel {Webhook.objects.count() + 1}"))
    row = Webhook.objects.create(name=name, all_profiles=not profiles, ciphertext="", fingerprint="", **columns)
    row.profiles.set(profiles)
    stored = {"url": f"https://{row.host}{SECRET_PATH}", "secret": ""}
    Webhook.objects.filter(pk=row.pk).update(**sealed(row, stored))
    data = {"request": 1, "number": "R-0001", "direction": "deactivate", "people": 3}
    moments = dict.fromkeys(("requested_at", "expires_at"), "2026-11-30T10:00:00+00:00")
    content = {"data": {**data, **moments}, "path": "/admin/subscriptions/reclaimrequest/"}
    profile = profiles[0] if profiles else IntegrationProfile.objects.first()
    return WebhookDelivery.objects.create(webhook=row, event="request.waits", profile=profile, content=content)
