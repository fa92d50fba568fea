"""The proof that PUBLIC_URL leads to this installation: an answer to a number that nobody else can make."""

from __future__ import annotations

from typing import Final

from django.utils.crypto import salted_hmac

from integrations.models import Installation

ADDRESS: Final = "/health/self"
MAX_NONCE: Final = 64


def proof(nonce: str) -> str:
    """An HMAC with SECRET_KEY over the number and the id of the instance that the database has.

    Another server does not have the key, and a copy of this installation has another id, once it was adopted.
    """
    instance = Installation.objects.values_list("instance_id", flat=True).get(pk=1)
    return salted_hmac("licensehub.site_proof", f"{nonce} {instance}", algorithm="sha256").hexdigest()
