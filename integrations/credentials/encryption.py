"""Encrypts stored secrets: MultiFernet with keys from the environment, the newest first.

Fernet (https://github.com/fernet/spec) has no associated data. So the plaintext names the connection of the secret
(`place`), and `decrypt` compares it: a ciphertext that somebody moves to another row cannot be used.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from integrations.connectors.contract import english


class CredentialError(Exception):
    """A stored secret cannot be used. The text says what to do."""


def encrypt(secrets: Mapping[str, str], *, place: str) -> str:
    """The ciphertext of `secrets`. It can be decrypted only with the same `place`."""
    plain = json.dumps({"place": place, "secrets": dict(secrets)})
    return _fernet().encrypt(plain.encode()).decode()


def decrypt(ciphertext: str, *, place: str) -> dict[str, str]:
    """The secrets. Raises CredentialError for a value that was not encrypted here, or for another `place`."""
    try:
        plain = json.loads(_fernet().decrypt(ciphertext.encode()))
    except (InvalidToken, UnicodeEncodeError):
        raise CredentialError(
            english(
                "The stored credentials cannot be decrypted: CREDENTIAL_KEYS lacks the key they were encrypted with, "
                "or they were changed. Put the former key back behind the new one, or set the credentials again."
            )
        ) from None
    if plain["place"] != place:
        raise CredentialError(english("The stored credentials belong to another connection. Set them again."))
    return dict(plain["secrets"])


def is_newest(ciphertext: str) -> bool:
    """Whether it is encrypted with the first of CREDENTIAL_KEYS. Raises CredentialError without any key."""
    _fernet()
    try:
        Fernet(settings.CREDENTIAL_KEYS[0]).decrypt(ciphertext.encode())
    except InvalidToken:
        return False
    return True


def fingerprint(secrets: Mapping[str, str]) -> str:
    """Eight hexadecimal digits: two people can compare a secret without seeing it."""
    plain = json.dumps(dict(secrets), sort_keys=True)
    digest = hmac.new(settings.AUDIT_KEY.encode(), plain.encode(), hashlib.sha256).hexdigest()
    return f"{digest[:4]}-{digest[4:8]}"


def _fernet() -> MultiFernet:
    if not settings.CREDENTIAL_KEYS:
        raise CredentialError(
            english("CREDENTIAL_KEYS is empty. Run `make install`, or set it as .env.example explains.")
        )
    return MultiFernet([Fernet(key) for key in settings.CREDENTIAL_KEYS])
