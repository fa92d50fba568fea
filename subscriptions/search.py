"""The text that the lists search in: name and e-mail address of each subscription, in one column.

The merge does not write it, since the index of its letters (PostgreSQL's pg_trgm) costs more than all others together.
It follows in the step after a download, for whoever differs: new people, other names, other addresses. Until then
somebody new is in every list and is not yet found by a search.
"""

from __future__ import annotations

from django.db.models import F, QuerySet, Value
from django.db.models.functions import Concat

from integrations.models import IntegrationProfile
from subscriptions.models import Subscription

TEXT = Concat("name", Value(" "), "email")
# An id of the vendor: never part of a name.
ID_DIGITS = 10


def text_of(row: Subscription) -> str:
    return f"{row.name} {row.email}"


def refresh_search(profile: IntegrationProfile) -> int:
    """Write what differs. Returns how many rows were written."""
    rows = Subscription.objects.filter(profile=profile).annotate(wanted=TEXT)
    return rows.exclude(search=F("wanted")).update(search=TEXT)


def by_id(term: str) -> QuerySet[Subscription] | None:
    """The subscriptions of this whole id; None where the term cannot be one."""
    if not term.isdecimal() or len(term) < ID_DIGITS:
        return None
    profiles = list(IntegrationProfile.objects.values_list("pk", flat=True))
    return Subscription.objects.filter(profile__in=profiles, external_id=term)
