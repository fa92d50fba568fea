"""Choose the profiles for which the roles of an account hold.

What is taken away ends at once. What is added to an account that decides waits for a second admin, like a role.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from integrations.scopes.account_scopes import stored_choice
from subscriptions.accounts import rights, rights_changes
from subscriptions.accounts.scope import text_of, write
from subscriptions.errors import Refused
from subscriptions.models import ChangeKind

# The length of the column in which a change of rights keeps the ids.
MAX_TEXT = 254


def choose(account: User, wanted: Iterable[int] | None, *, actor: User) -> bool:
    """Let the roles of this account hold for these profiles, or for all. Returns whether a part of it waits.

    Raises Refused or NotActionable.
    """
    profiles = None if wanted is None else frozenset(wanted)
    if len(text_of(profiles)) > MAX_TEXT:
        raise Refused(_("These are too many profiles to choose one by one."))
    with transaction.atomic():
        User.objects.select_for_update().get(pk=account.pk)
        now = stored_choice(account)
        if now == profiles:
            return False
        if account.is_superuser and profiles is not None:
            raise Refused(_("A superuser opens every page. First take this status away."))
        if actor.pk == account.pk:
            raise Refused(_("Another admin has to choose the profiles of your account."))
        kept = profiles if now is None else (now if profiles is None else now & profiles)
        waits = kept != profiles and rights.is_watched(account)
        write(account, kept if waits else profiles, actor=actor)
        if waits:
            rights_changes.ask(account, ChangeKind.SCOPE, actor=actor, before=text_of(kept), after=text_of(profiles))
    return waits
