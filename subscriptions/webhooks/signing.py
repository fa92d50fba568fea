"""The headers of a delivery. They follow Standard Webhooks, so that receivers can use a library that exists.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
docs/webhooks.md shows how a receiver verifies them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from integrations.webhooks.secrets import PREFIX


def signed_headers(secrets: Sequence[str], body: bytes, *, event_id: str, seconds: int) -> Mapping[str, str]:
    """Id, time and one signature for each secret. `seconds`: the Unix time of this try."""
    signatures = [f"v1,{_signature(secret, body, event_id=event_id, seconds=seconds)}" for secret in secrets]
    return {"webhook-id": event_id, "webhook-timestamp": str(seconds), "webhook-signature": " ".join(signatures)}


def _signature(secret: str, body: bytes, *, event_id: str, seconds: int) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    content = f"{event_id}.{seconds}.".encode() + body
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
