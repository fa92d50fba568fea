"""The vendor's words for licenses and roles: those of its connector, and those that its people have.

A vendor may add a license type at any time. It is out of the scope of each rule until somebody chooses it. So it must
be among the choices.
"""

from __future__ import annotations

from integrations.connectors.contract import UNKNOWN_WORDS
from integrations.models import IntegrationProfile
from integrations.scopes.visibility import visible
from subscriptions.bulk_sql import fetch_column
from subscriptions.models import ProtectionKind, Subscription

COLUMNS = {ProtectionKind.LICENSE: "license", ProtectionKind.ROLE: "role"}
# Each value of an indexed column, in their order. It looks up the next larger value in the index again and again: a
# DISTINCT would read all rows. https://wiki.postgresql.org/wiki/Loose_indexscan
DISTINCT = """
WITH RECURSIVE seen AS (
    SELECT MIN({column}) AS word FROM subscriptions_subscription
     UNION ALL
    SELECT (SELECT MIN({column}) FROM subscriptions_subscription WHERE {column} > seen.word)
      FROM seen WHERE seen.word IS NOT NULL)
SELECT word FROM seen WHERE word IS NOT NULL
"""


def seen_words(kind: ProtectionKind) -> list[str]:
    """The licenses or roles of all people of all profiles that the reader may see."""
    column = COLUMNS[kind]
    if visible() is None:
        words = fetch_column(DISTINCT.format(column=column))
    else:
        words = list(Subscription.objects.order_by(column).values_list(column, flat=True).distinct())
    return [word for word in words if word not in UNKNOWN_WORDS]


def words_of(profile: IntegrationProfile, kind: ProtectionKind) -> dict[str, str]:
    """Word -> its label, first those of the connector. A word that only people have is its own label."""
    connector = profile.connector
    labels = connector.licenses if kind == ProtectionKind.LICENSE else connector.roles
    known = {word: label for word, label in labels.items() if word not in UNKNOWN_WORDS}
    new = [word for word in seen_words(kind) if word not in known]
    theirs = [word for word in new if Subscription.objects.filter(profile=profile, **{COLUMNS[kind]: word}).exists()]
    return {**known, **{word: word for word in theirs}}
