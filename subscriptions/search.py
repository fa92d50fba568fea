"""The text that the lists search in: name and e-mail address of each subscription.

The merge does not write it. It follows in the step after a download, for whoever differs: new people, other names,
other addresses. Until then somebody new is in every list, and is not yet found by a search.
"""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import QuerySet

from integrations.models import IntegrationProfile
from subscriptions.models import SearchText, Subscription

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


def found(term: str) -> list[int] | QuerySet[Any]:
    """The ids of the subscriptions that have each word of the term in their text, or the term as their vendor's id.

    For `pk__in` and the like. By words it is the question itself: whoever lists them asks it together with their own.
    """
    if term.isdecimal() and len(term) >= ID_DIGITS:
        profiles = list(IntegrationProfile.objects.values_list("pk", flat=True))
        rows = Subscription.objects.filter(profile__in=profiles, external_id=term)
        return list(rows.values_list("pk", flat=True))
    texts = SearchText.objects.all()
    for word in term.split():
        texts = texts.filter(text__icontains=word)
    return texts.values("pk")
