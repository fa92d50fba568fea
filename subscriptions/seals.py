"""The seal of an approval: an HMAC over exactly what was approved, with a key outside the database."""

from __future__ import annotations

import hashlib
import hmac
import json

from django.conf import settings

from subscriptions.models import ReclaimRequest, RequestedRemoval


def seal(person: RequestedRemoval, request: ReclaimRequest) -> str:
    """HMAC-SHA-256 (RFC 2104) that binds an approval to this person, this evidence, this validity and this cap."""
    content = [
        request.pk,
        request.direction,
        request.requested_by_id,
        request.decided_by_id,
        request.cap_raised_by_id,
        request.cap,
        request.valid_until.isoformat() if request.valid_until else None,
        person.pk,
        person.candidate_id,
        person.restores_id,
        person.evidence,
    ]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.new(settings.APPROVAL_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


def is_sealed(person: RequestedRemoval) -> bool:
    """Whether this is what was approved, and was approved at all."""
    return hmac.compare_digest(person.seal, seal(person, person.request))
