"""The facts about one person in the mail and on the page *My license*. It has only facts that this person knows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from licensehub.ui.formatting import ago
from subscriptions.eligibility.terms import Terms
from subscriptions.models import RequestedRemoval
from subscriptions.notices.answers import keep_is_final


def shared_context(person: RequestedRemoval, *, deadline: datetime) -> dict[str, Any]:
    """The values for the templates of both: `templates/notices/` and `templates/self_service/`."""
    evidence = person.evidence
    last = evidence["last_activity_at"]
    days = (timezone.localdate(deadline) - timezone.localdate()).days
    return {
        "organization": person.request.profile.organization_label,
        "texts": person.request.profile.texts,
        # The first word of the name may be the family name, as in “Müller, Ana”.
        "first_name": person.candidate.subscription.given_name.strip(" ,;"),
        "email": evidence["email"],
        "last_activity": parse_datetime(last) if last else None,
        "idle_ago": ago(parse_datetime(last)) if last else "",
        "deadline": deadline,
        "deadline_in": f"in {days} days" if days > 1 else "tomorrow" if days == 1 else "today",
        "over": deadline <= timezone.now(),
        "keep_days": Terms.from_json(evidence["terms"]).threshold_for(evidence["license"]),
        "keep_is_final": keep_is_final(person),
        **contact(),
    }


def contact() -> dict[str, str]:
    """Name and address for questions."""
    return {"contact_name": settings.CONTACT_NAME, "contact_email": settings.CONTACT_EMAIL}
