"""The facts that the page *My license* and the mail show about one person: only what that person knows anyway."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from licensehub.ui.formatting import ago
from subscriptions.approvals.collecting import answer_by
from subscriptions.eligibility.terms import Terms
from subscriptions.models import Answer, Reclaim, RequestedRemoval
from subscriptions.notices.answers import Phase, keep_is_final, phase_of


def facts_of(person: RequestedRemoval, *, deadline: datetime) -> dict[str, Any]:
    """The facts that the page and the mail both show."""
    evidence = person.evidence
    last = evidence["last_activity_at"]
    days = (timezone.localdate(deadline) - timezone.localdate()).days
    return {
        "organization": person.request.profile.name,
        "texts": person.request.profile.texts,
        "first_name": next(iter(evidence["name"].split()), ""),
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


def page_of(person: RequestedRemoval, *, until: datetime) -> dict[str, Any]:
    """The context of the page. `until` is when the link ends."""
    phase = phase_of(person)
    cooldown = person.candidate.subscription.cooldown_until
    taken = Reclaim.objects.filter(removal=person).first()
    return {
        **facts_of(person, deadline=answer_by(person)),
        "phase": phase.value,
        "answer": person.answer,
        "may_keep": phase in (Phase.ASKED, Phase.APPROVED) and person.answer != Answer.KEEP,
        "may_release": phase == Phase.ASKED and person.answer != Answer.RELEASE,
        "decided_at": person.request.decided_at,
        "taken_at": taken.sending_at if taken else None,
        "left_alone_until": cooldown if cooldown and cooldown > timezone.now() else None,
        "until": until,
    }
