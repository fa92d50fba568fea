"""The readers of a mail about a change of rights: everybody whom it concerns, and whoever may have been kept from it.

Somebody whose roles hold for some profiles only is told what concerns these profiles. Those that an admin took away in
the last 30 days still count, and rows that no event says take nothing away: else a scope would be narrowed first, so
that nobody notices.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.contrib.auth.models import User
from django.db.models import Q
from django.db.models.functions import Now

from integrations.scopes.account_scopes import organizations_of, scope_of, signed_choice
from integrations.scopes.visibility import Profiles
from licensehub.audit.actions import Action
from licensehub.audit.chain.signed import NotSigned, is_genuine
from licensehub.audit.models import AuditEvent
from licensehub.database.clock import database_now
from subscriptions.accounts.rights import people_with
from subscriptions.accounts.rights_changes import ACCOUNTS
from subscriptions.accounts.scope import profiles_in, stored_choice
from subscriptions.models import ChangeKind, RightsChange

# Somebody whose right or profile ended so short a time ago is told, too.
ENDED_LATELY: Final = timedelta(days=30)


def readers_of(change: RightsChange) -> dict[str, User]:
    """Address -> account: those who decide on these profiles or did lately, the admins, and the person concerned, at
    both addresses.
    """
    lately = Q(deciding_right__ended_at=None) | Q(deciding_right__ended_at__gte=Now() - ENDED_LATELY)
    deciding = User.objects.filter(lately, deciding_right__isnull=False).order_by("pk")
    profiles = concerned(change)
    readers = [change.account, *people_with(ACCOUNTS), *(user for user in deciding if is_told(user, profiles))]
    found = {user.email.strip(): user for user in readers}
    if change.kind == ChangeKind.ADDRESS:
        found |= {change.before: change.account, change.after: change.account}
    return {address: user for address, user in found.items() if address}


def concerned(change: RightsChange) -> Profiles:
    """The profiles on which the account decides if the change takes effect, by the rows or the audit; None for all."""
    if change.kind == ChangeKind.SUPERUSER:
        return None
    try:
        signed = signed_choice(change.account)
    except NotSigned:
        return None
    if change.kind == ChangeKind.SCOPE:
        stored = signed = profiles_in(change.after)
    else:
        stored = stored_choice(change.account)
    return None if stored is None or signed is None else organizations_of(stored | signed)


def is_told(user: User, profiles: Profiles) -> bool:
    """Whether the roles of this account hold for one of these profiles, or held in the last 30 days."""
    now, lately = scope_of(user), _signed_lately(user)
    if profiles is None or now is None or lately is None:
        return True
    return bool(profiles & (now | organizations_of(lately)))


def _signed_lately(user: User) -> Profiles:
    """All profiles of the last 30 days by the events of the audit; None for all, or if an event cannot be believed."""
    events = AuditEvent.objects.filter(
        target_type=User._meta.label_lower, target_id=user.pk, action=Action.SCOPE_CHANGED
    ).order_by("-sequence")
    since, found = database_now() - ENDED_LATELY, frozenset[int]()
    for event in events:
        chosen = event.data.get("profiles") if is_genuine(event) else None
        if chosen is None:
            return None
        found |= frozenset(chosen)
        if event.at < since:  # the scope at the begin of these days
            return found
    return None
