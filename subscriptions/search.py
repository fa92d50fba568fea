"""The text that the lists search in: name and e-mail address of each subscription, in capitals.

The merge does not write it. A step after the download does, for new people and for changed names and addresses. Before
that step a new person is in every list, but no search finds them.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Upper

from integrations.models import IntegrationProfile
from licensehub.ui.lists import counts
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.bulk_sql import large_tables
from subscriptions.models import SearchText, Subscription

# An id of the vendor is longer than any number in a name.
ID_DIGITS = 10
WRITE = """
INSERT INTO subscriptions_searchtext (subscription_id, text, address)
SELECT id, new_text, new_address
  FROM (SELECT s.id, t.text, t.address,
               SUBSTR(UPPER(s.name || ' ' || s.email), 1, %s) AS new_text, UPPER(s.email) AS new_address
          FROM subscriptions_subscription AS s
          LEFT JOIN subscriptions_searchtext AS t ON t.subscription_id = s.id
         WHERE s.profile_id = %s) AS read
 WHERE text IS NULL OR text <> new_text OR address <> new_address
    ON CONFLICT (subscription_id) DO UPDATE SET text = excluded.text, address = excluded.address
"""


def refresh_search(profile: IntegrationProfile) -> int:
    """Write the texts that differ. Returns how many."""
    with large_tables(), connection.cursor() as cursor:
        cursor.execute(WRITE, [SearchText._meta.get_field("text").max_length, profile.pk])
        return int(cursor.rowcount)


def matching(column: str, term: str) -> IdIn | Q:
    """A condition for `filter`: `column` is a subscription that the term finds."""
    ids = matching_ids(term, most=counts.STOP)
    if ids.number <= counts.STOP:
        return IdIn(column, ids)
    # With this many matches, walking the list finds a page of them soon.
    return Q(**{f"{column}__in": _containing(term.split()).values("pk")})


def matching_ids(term: str, *, most: int) -> IdList:
    """The subscriptions that the term finds, at most `most` and one more.

    A whole id of the vendor or a whole e-mail address finds exactly that person. Any other term finds the subscriptions
    that have each of its words in their name or address.
    """
    if term.isdecimal() and len(term) >= ID_DIGITS:
        profiles = list(IntegrationProfile.objects.values_list("pk", flat=True))
        return IdList.read(Subscription.objects.filter(profile__in=profiles, external_id=term).order_by())
    words = term.split()
    if len(words) == 1 and "@" in term:
        ids = IdList.read(SearchText.objects.filter(address=_capitals(words[0])).order_by()[: most + 1])
        if ids.number:
            return ids
    return IdList.read(_containing(words)[: most + 1])


def _containing(words: Sequence[str]) -> QuerySet[SearchText]:
    """On PostgreSQL, a trigram index finds the words: https://www.postgresql.org/docs/current/pgtrgm.html"""
    texts = SearchText.objects.order_by()
    for word in words:
        texts = texts.filter(text__contains=_capitals(word))
    return texts


def _capitals(word: str) -> Upper:
    """The word in capitals, converted by the database, as the texts are."""
    return Upper(Value(word))
