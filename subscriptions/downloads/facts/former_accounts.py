"""Find the former account of each new member: another row of the same person.

There are two cases. A person was deleted at the vendor and made again with a new id: then the address is that of an
account that left the organization. Or an archived profile had the same organization: then it has the same id.

The new row gets the cool-down of the former one, with its reason. Open requests and approvals are not carried over. If
the address belongs to somebody else by now, this person is left alone for some days, which is the safe mistake.
"""

from __future__ import annotations

from datetime import datetime

from integrations.models import IntegrationProfile
from subscriptions.activity.reactivation import REACTIVATED_COOLDOWN, REACTIVATED_REASON
from subscriptions.bulk_sql import execute
from subscriptions.models import DownloadRun, Subscription

# In all statements, `s` is a new row of the run, and `f` is the newest former row of the same person.
SAME_ID = """
SELECT external_id AS same, MAX(id) AS id FROM subscriptions_subscription
 WHERE profile_id IN ({profiles}) GROUP BY external_id
"""
# Rows of the organization that are no members any more: people who left, and rows of archived profiles.
SAME_ADDRESS = """
SELECT {address} AS same, MAX(o.id) AS id FROM subscriptions_subscription AS o
 WHERE o.email <> ''
   AND ((o.profile_id = %s AND o.gone_at IS NOT NULL)
        OR (o.profile_id IN ({profiles}) AND NOT EXISTS (
            SELECT 1 FROM subscriptions_subscription AS n
             WHERE n.profile_id = %s AND n.external_id = o.external_id AND n.gone_at IS NULL)))
 GROUP BY {address}
"""
LINK = """
UPDATE subscriptions_subscription AS s SET former_id = found.id
  FROM ({found}) AS found
 WHERE s.profile_id = %s AND s.first_run_id = %s AND s.former_id IS NULL AND found.same = {key}
"""
# A former account that was deactivated, and is active under its new id, was let back in by a human.
LET_BACK_IN = "(NOT f.active AND s.active AND (f.cooldown_until IS NULL OR f.cooldown_until < %s))"
CARRY_OVER = """
UPDATE subscriptions_subscription AS s
   SET cooldown_until = CASE WHEN {let_back_in} THEN %s ELSE f.cooldown_until END,
       cooldown_reason = CASE WHEN {let_back_in} THEN %s ELSE f.cooldown_reason END
  FROM subscriptions_subscription AS f
 WHERE s.profile_id = %s AND s.first_run_id = %s AND f.id = s.former_id
   AND (f.cooldown_until > %s OR {let_back_in})
"""


def address_of(alias: str) -> str:
    """The SQL form of `models.subscription.address_key`: addresses are compared by it."""
    return f"CASE WHEN {alias}.normalized_email = '' THEN LOWER({alias}.email) ELSE {alias}.normalized_email END"


def link_former_accounts(run: DownloadRun, *, now: datetime) -> int:
    """Link the new rows of this run to their former ones, and carry the cool-downs over. Returns how many were linked.

    Call it in the transaction that writes the facts, so that no verdict is given without the links.
    """
    archived = list(
        IntegrationProfile.objects.of_organization(run.profile).exclude(pk=run.profile_id).values_list("pk", flat=True)
    )
    gone = Subscription.objects.filter(profile=run.profile_id, gone_at__isnull=False)
    if not archived and not gone.exists():
        return 0
    profiles = ", ".join(["%s"] * len(archived)) or "NULL"
    of_run = [run.profile_id, run.pk]
    same_id = SAME_ID.format(profiles=profiles)
    linked = execute(LINK.format(found=same_id, key="s.external_id"), [*archived, *of_run]) if archived else 0
    same_address = SAME_ADDRESS.format(profiles=profiles, address=address_of("o"))
    parameters = [run.profile_id, *archived, run.profile_id, *of_run]
    linked += execute(LINK.format(found=same_address, key=address_of("s")), parameters)
    if linked:
        until = now + REACTIVATED_COOLDOWN
        statement = CARRY_OVER.format(let_back_in=LET_BACK_IN)
        execute(statement, [until, until, until, REACTIVATED_REASON, *of_run, now, until])
    return linked
