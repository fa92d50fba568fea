"""The text that the lists search in: name and e-mail address of each subscription, in capitals.

The merge does not write it. It follows in the step after a download, for whoever differs: new people, other names,
other addresses. Until then somebody new is in every list, and is not yet found by a search.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import StrIndex, Upper
from django.db.models.lookups import GreaterThan

from integrations.models import IntegrationProfile
from licensehub.ui.lists import counts
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.bulk_sql import large_tables
from subscriptions.models import SearchText, Subscription

# An id of the vendor is longer than any number in a name.
ID_DIGITS = 10
# Texts of the sample.
FEW = 3
SAMPLE = """
SELECT histogram_bounds::text FROM pg_stats WHERE schemaname = current_schema() AND tablename = %s AND attname = 'text'
"""
WRITE = """
INSERT INTO subscriptions_searchtext (subscription_id, text)
SELECT id, capitals
  FROM (SELECT s.id, t.text, SUBSTR(UPPER(s.name || ' ' || s.email), 1, %s) AS capitals
          FROM subscriptions_subscription AS s
          LEFT JOIN subscriptions_searchtext AS t ON t.subscription_id = s.id
         WHERE s.profile_id = %s) AS read
 WHERE text IS NULL OR text <> capitals
    ON CONFLICT (subscription_id) DO UPDATE SET text = excluded.text
"""


def refresh_search(profile: IntegrationProfile) -> int:
    """Write what differs. Returns how many texts were written."""
    with large_tables(), connection.cursor() as cursor:
        cursor.execute(WRITE, [SearchText._meta.get_field("text").max_length, profile.pk])
        return int(cursor.rowcount)


def matching(column: str, term: str) -> IdIn | Q:
    """For `filter`: `column` is a subscription that the term finds."""
    ids = matching_ids(term, most=counts.STOP)
    if ids.number <= counts.STOP:
        return IdIn(column, ids)
    # Of so many, whoever lists them walks past the few others.
    return Q(**{f"{column}__in": _with_words(term.split()).values("pk")})


def matching_ids(term: str, *, most: int) -> IdList:
    """The subscriptions that have each word of the term in their text, or it as their vendor's id.

    At most so many, and one more.
    """
    if term.isdecimal() and len(term) >= ID_DIGITS:
        profiles = list(IntegrationProfile.objects.values_list("pk", flat=True))
        return IdList.read(Subscription.objects.filter(profile__in=profiles, external_id=term).order_by())
    return IdList.read(_with_words(term.split())[: most + 1])


def _with_words(words: Sequence[str]) -> QuerySet[SearchText]:
    texts = SearchText.objects.order_by()
    sample = _sample() if connection.vendor == "postgresql" else ""
    for word in words:
        rare = rare_letters(word, sample) if sample else []
        for letters in rare or [word]:
            texts = texts.filter(text__contains=_capitals(letters))
        if rare and word not in rare:
            texts = texts.filter(GreaterThan(StrIndex("text", _capitals(word)), 0))
    return texts


def _capitals(letters: str) -> Upper:
    """As the database writes them, which wrote the texts."""
    return Upper(Value(letters))


def rare_letters(word: str, sample: str) -> list[str]:
    """Threes of letters of the word by which the index finds it: those that few of the sample have, else the rarest.

    The index reads a list for each three of a word. Those that nearly everybody has, as in the domain of an address,
    are the longest, and leave nobody out.
    """
    threes = dict.fromkeys(word[start : start + 3] for start in range(len(word) - 2))
    count = {three: sample.count(three.upper()) for three in threes if three.isascii() and three.isalnum()}
    rarest = sorted(count, key=lambda three: count[three])
    return [three for three in rarest[:3] if count[three] <= FEW] or rarest[:1]


def _sample() -> str:
    """Some hundred of the texts, as PostgreSQL keeps them for its planner; empty before it has any.

    https://www.postgresql.org/docs/current/view-pg-stats.html
    """
    with connection.cursor() as cursor:
        cursor.execute(SAMPLE, [SearchText._meta.db_table])
        found = cursor.fetchone()
    return str(found[0]) if found and found[0] else ""
