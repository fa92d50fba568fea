"""The text that the lists search in: name and e-mail address of each subscription.

The merge does not write it. It follows in the step after a download, for whoever differs: new people, other names,
other addresses. Until then somebody new is in every list, and is not yet found by a search.
"""

from __future__ import annotations

from django.db import connection
from django.db.models import QuerySet

from integrations.models import IntegrationProfile
from subscriptions.models import Subscription

# An id of the vendor is longer than any number in a name.
ID_DIGITS = 10
WRITE = """
INSERT INTO subscriptions_searchtext (subscription_id, text)
SELECT s.id, s.name || ' ' || s.email
  FROM subscriptions_subscription AS s LEFT JOIN subscriptions_searchtext AS t ON t.subscription_id = s.id
 WHERE s.profile_id = %s AND (t.text IS NULL OR t.text <> s.name || ' ' || s.email)
    ON CONFLICT (subscription_id) DO UPDATE SET text = excluded.text
"""


def refresh_search(profile: IntegrationProfile) -> int:
    """Write what differs. Returns how many texts were written."""
    with connection.cursor() as cursor:
        cursor.execute(WRITE, [profile.pk])
        return int(cursor.rowcount)


def by_id(term: str) -> QuerySet[Subscription] | None:
    """The subscriptions of this whole id; None where the term cannot be one."""
    if not term.isdecimal() or len(term) < ID_DIGITS:
        return None
    profiles = list(IntegrationProfile.objects.values_list("pk", flat=True))
    return Subscription.objects.filter(profile__in=profiles, external_id=term)
