"""The secrets of a webhook, stored encrypted: its address, the secret that signs, the header for a ticket system."""

from __future__ import annotations

import base64
import secrets as random
from collections.abc import Mapping
from typing import Final

from integrations.credentials import encryption
from integrations.webhooks.records import Webhook

# The specification of Standard Webhooks names both: https://www.standardwebhooks.com
PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32


def new_secret() -> str:
    return PREFIX + base64.b64encode(random.token_bytes(SECRET_BYTES)).decode()


def sealed(row: Webhook, values: Mapping[str, str]) -> dict[str, str]:
    """The columns that hold these secrets. Needs the id of the row."""
    return {
        "ciphertext": encryption.encrypt(values, place=row.place),
        "fingerprint": encryption.fingerprint(values),
    }


def encrypt_again(row: Webhook) -> bool:
    """Encrypt with the newest key. False when the secrets have changed since they were read."""
    rows = Webhook.objects.filter(pk=row.pk, ciphertext=row.ciphertext)
    return rows.update(ciphertext=encryption.encrypt(row.secrets(), place=row.place)) == 1
