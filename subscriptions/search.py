"""The texts by which lists search, sort and filter.

Lists search in name and e-mail address, as `folded` makes them. They sort and filter by copies of department and cost
center. The merge does not write these texts. A step of the follow-up does, for new people and for changed values.
Before that step a new person is in every list, but no search finds them. Plain ASCII is folded by the database, 100,000
rows at once; all other texts are folded in Python, by the function that folds what somebody searches for.

A candidate has copies of all three (`docs/adr/0036-texts-beside-candidates.md`), which the same step keeps equal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from django.db import connection
from django.db.models import Q, QuerySet

from integrations.models import IntegrationProfile
from integrations.scopes.visibility import visible
from licensehub.ui.lists import counts
from licensehub.ui.lists.folding import MAX_WORDS, folded, search_words
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.bulk_sql import execute, fetch_all, fetch_row, large_tables
from subscriptions.models import DownloadRun, RunState, SearchText, Subscription

# An id of the vendor is longer than any number in a name.
ID_DIGITS = 10
# The rows are read in spans of so many ids.
SPAN = 20_000
UPDATED = ", ".join(f"{name} = excluded.{name}" for name in ("text", "address", "department", "cost_center"))
# The parts that differ between the databases. A locale may lower ASCII in its own way, e.g. an I in Turkish.
PARTS = {
    "postgresql": {
        "is_ascii": "OCTET_LENGTH(s.name || s.email) = LENGTH(s.name || s.email)",
        "lower": 'LOWER({} COLLATE "C")',
        "values": "(value->>0)::int, value->>1, value->>2, NULLIF(value->>3, ''), NULLIF(value->>4, '') "
        "FROM jsonb_array_elements(%s::jsonb)",
        "updated": UPDATED,
        "lock": "FOR NO KEY UPDATE OF c",
    },
    "sqlite": {
        "is_ascii": "LENGTH(CAST(s.name || s.email AS BLOB)) = LENGTH(s.name || s.email)",
        "lower": "LOWER({})",
        "values": "value->>0, value->>1, value->>2, NULLIF(value->>3, ''), NULLIF(value->>4, '') FROM json_each(%s)",
        "updated": UPDATED,
        "lock": "",
    },
}
# Only PARTS go into the braces; all values are parameters.
WRITE_ASCII = """
INSERT INTO subscriptions_searchtext (subscription_id, text, address, department, cost_center)
SELECT id, new_text, new_address, NULLIF(new_department, ''), NULLIF(new_cost_center, '')
  FROM (SELECT s.id, t.text, t.address, t.department, t.cost_center, SUBSTR({text}, 1, %s) AS new_text,
               {address} AS new_address, s.department AS new_department, s.cost_center AS new_cost_center
          FROM subscriptions_subscription AS s
          LEFT JOIN subscriptions_searchtext AS t ON t.subscription_id = s.id
         WHERE s.profile_id = %s AND {is_ascii}) AS read
 WHERE text IS NULL OR text <> new_text OR address <> new_address
    OR COALESCE(department, '') <> new_department OR COALESCE(cost_center, '') <> new_cost_center
    ON CONFLICT (subscription_id) DO UPDATE SET {updated}
"""
OTHERS = "SELECT MIN(s.id), MAX(s.id) FROM subscriptions_subscription AS s WHERE s.profile_id = %s AND NOT ({is_ascii})"
READ_OTHERS = """
SELECT s.id, s.name, s.email, s.department, s.cost_center,
       t.text, t.address, COALESCE(t.department, ''), COALESCE(t.cost_center, '')
  FROM subscriptions_subscription AS s
  -- Both tables are read in this span, so that no plan reads a whole table for each span.
  LEFT JOIN subscriptions_searchtext AS t ON t.subscription_id = s.id AND t.subscription_id BETWEEN %s AND %s
 WHERE s.profile_id = %s AND s.id BETWEEN %s AND %s AND NOT ({is_ascii})
"""
# Parameter: rows of id, text, address, department and cost center as JSON.
WRITE_OTHERS = """
INSERT INTO subscriptions_searchtext (subscription_id, text, address, department, cost_center)
SELECT {values} WHERE TRUE
    ON CONFLICT (subscription_id) DO UPDATE SET {updated}
"""

# The candidates' copies that differ. The subquery locks the candidates in the order of their ids, as all code does.
COPY_TO_CANDIDATES = """
UPDATE subscriptions_removalcandidate
   SET person_text = new.text, person_department = new.department, person_cost_center = new.cost_center
  FROM (SELECT c.id, t.text, t.department, t.cost_center
          FROM subscriptions_removalcandidate AS c
          JOIN subscriptions_searchtext AS t ON t.subscription_id = c.subscription_id
         WHERE c.profile_id = %s
           AND (c.person_text <> t.text
                OR c.person_department IS DISTINCT FROM t.department
                OR c.person_cost_center IS DISTINCT FROM t.cost_center)
         ORDER BY c.id {lock}) AS new
 WHERE new.id = subscriptions_removalcandidate.id
"""


def refresh_search(profile: IntegrationProfile) -> int:
    """Write the texts that differ, and copy them to the candidates. Returns how many texts."""
    parts = PARTS[connection.vendor]
    lower = parts["lower"].format
    statement = WRITE_ASCII.format(
        text=lower("(s.name || ' ' || s.email)"), address=lower("s.email"), is_ascii=parts["is_ascii"], updated=UPDATED
    )
    with large_tables():
        written = execute(statement, [SearchText.MAX_TEXT, profile.pk])
        for first, last in _spans(profile):
            written += _write_others(profile, first, last)
        execute(COPY_TO_CANDIDATES.format(lock=parts["lock"]), [profile.pk])
    return written


def _spans(profile: IntegrationProfile) -> Iterator[tuple[int, int]]:
    """Spans of ids that have all texts with other letters than ASCII."""
    lowest, highest = fetch_row(OTHERS.format(**PARTS[connection.vendor]), [profile.pk])
    if lowest is not None:
        for first in range(lowest, highest + 1, SPAN):
            yield first, min(first + SPAN - 1, highest)


def _write_others(profile: IntegrationProfile, first: int, last: int) -> int:
    parts = PARTS[connection.vendor]
    differing = []
    for pk, name, email, *copied in fetch_all(READ_OTHERS.format(**parts), [first, last, profile.pk, first, last]):
        new = [text_of(name, email), folded(email)[: SearchText.MAX_ADDRESS], *copied[:2]]
        if new != copied[2:]:
            differing.append((pk, *new))
    return execute(WRITE_OTHERS.format(**parts), [json.dumps(differing)]) if differing else 0


def text_of(name: str, email: str) -> str:
    """The text of a person with this name and address, by which lists search and sort."""
    return folded(f"{name} {email}")[: SearchText.MAX_TEXT]


def matching(column: str, term: str) -> IdIn | Q:
    """A condition for `filter`: `column` is a subscription that the term finds."""
    ids = matching_ids(term, most=counts.STOP)
    if ids.number <= counts.STOP:
        return IdIn(column, ids)
    # With this many matches, walking the list finds a page of them soon.
    return Q(**{f"{column}__in": _containing(search_words(term)).values("pk")})


def matching_ids(term: str, *, most: int) -> IdList:
    """The subscriptions that the term finds, at most `most` and one more.

    A whole id of the vendor or a whole e-mail address finds exactly that person. Any other term finds the subscriptions
    that have each of its words in their name or address.
    """
    words = search_words(term)
    if len(words) == 1 and words[0].isdecimal() and len(words[0]) >= ID_DIGITS:
        profiles = list(IntegrationProfile.objects.values_list("pk", flat=True))
        return IdList.read(Subscription.objects.filter(profile__in=profiles, external_id=words[0]).order_by())
    if len(words) == 1 and "@" in words[0]:
        ids = IdList.read(SearchText.objects.filter(address=words[0][: SearchText.MAX_ADDRESS]).order_by()[: most + 1])
        if ids.number:
            return ids
    return IdList.read(_containing(words)[: most + 1])


def _containing(words: Sequence[str]) -> QuerySet[SearchText]:
    """On PostgreSQL, a trigram index finds the words: https://www.postgresql.org/docs/current/pgtrgm.html"""
    texts = SearchText.objects.order_by()
    if len(words) > MAX_WORDS:
        return texts.none()
    for word in words:
        texts = texts.filter(text__contains=word)
    return texts


def has_all_texts() -> bool:
    """Whether each subscription has its texts. After a merge, new people have none until the follow-up writes them."""
    newest = SearchText.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    if Subscription.objects.filter(pk__gt=newest).exists():
        return False
    return not DownloadRun.objects.filter(state=RunState.EVALUATING).exists()


# Finds the next value after the last one by an index, at any number of people.
NEXT_VALUES = """
WITH RECURSIVE seen(value) AS (
    SELECT MIN({column}) FROM subscriptions_searchtext
     UNION ALL
    SELECT (SELECT MIN({column}) FROM subscriptions_searchtext WHERE {column} > seen.value)
      FROM seen WHERE seen.value IS NOT NULL
)
SELECT value FROM seen WHERE value IS NOT NULL LIMIT %s
"""


def seen_values(column: str, *, most: int) -> list[str]:
    """The first departments or cost centers in the order of their names, each once."""
    if visible() is not None:
        rows = SearchText.objects.exclude(**{column: None}).order_by(column)
        return list(rows.values_list(column, flat=True).distinct()[:most])
    return [value for (value,) in fetch_all(NEXT_VALUES.format(column=column), [most])]
