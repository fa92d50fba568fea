"""A device with passkeys, in software: it signs what it is asked, also wrongly."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth.models import User
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

FLAG = AuthenticatorData.FLAG


@dataclass
class Device:
    """`counter` is that of the next answer; 0 for ever, if it `counts` not."""

    host: str = "testserver"
    origin: str = "http://testserver"
    counts: bool = False
    counter: int = 0
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    def register(self, user: User) -> Authenticator:
        """The row that the page *Add a passkey* makes."""
        known = AttestedCredentialData.create(b"\0" * 16, self.id, ES256.from_cryptography_key(self.key.public_key()))
        data = AuthenticatorData.create(self._host_hash(self.host), FLAG.UP | FLAG.UV | FLAG.AT, self._count(), known)
        client = CollectedClientData.create("webauthn.create", b"x" * 32, self.origin)
        attestation = AttestationObject.create("none", data, {})
        credential = {
            "id": websafe_encode(self.id),
            "rawId": websafe_encode(self.id),
            "type": "public-key",
            "response": {
                "clientDataJSON": websafe_encode(bytes(client)),
                "attestationObject": websafe_encode(bytes(attestation)),
            },
            "clientExtensionResults": {"credProps": {"rk": True}},
        }
        return Authenticator.objects.create(user=user, type="webauthn", data={"name": "Key", "credential": credential})

    def answer(
        self, challenge: str, user: User, *, origin: str = "", host: str = "", kind: str = "webauthn.get"
    ) -> dict[str, Any]:
        """The JSON that a browser sends after the person has touched the device."""
        client = CollectedClientData.create(kind, challenge, origin or self.origin)
        data = AuthenticatorData.create(self._host_hash(host or self.host), FLAG.UP | FLAG.UV, self._count())
        signature = self.key.sign(bytes(data) + sha256(bytes(client)).digest(), ec.ECDSA(hashes.SHA256()))
        return {
            "id": websafe_encode(self.id),
            "rawId": websafe_encode(self.id),
            "type": "public-key",
            "response": {
                "clientDataJSON": websafe_encode(bytes(client)),
                "authenticatorData": websafe_encode(bytes(data)),
                "signature": websafe_encode(signature),
                "userHandle": websafe_encode(user_pk_to_url_str(user).encode()),
            },
            "clientExtensionResults": {},
        }

    def _count(self) -> int:
        self.counter += self.counts
        return self.counter

    @staticmethod
    def _host_hash(host: str) -> bytes:
        return sha256(host.encode()).digest()
