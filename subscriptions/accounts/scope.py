"""Store the scope of an account with its event, and refuse acts outside of it. `scope_changes` decides what waits."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser, User
from django.utils.translation import gettext as _

from integrations.models import AccountScope, IntegrationProfile
from integrations.scopes.account_scopes import is_inside as is_inside
from integrations.scopes.account_scopes import signed_choice
from integrations.scopes.account_scopes import stored_choice as stored_choice
from integrations.scopes.visibility import Profiles, seen_by
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import RightsChange

ALL = "all"


def refuse_outside(actor: Actor | AnonymousUser, profile_id: int | None) -> None:
    """Raise Refused when this profile is not in the scope of the actor now; None for the whole company.

    Tasks and commands act without an account. The sentence names nothing of the profile.
    """
    if isinstance(actor, User) and not is_inside(actor, profile_id):
        raise Refused(
            _("Your roles do not hold for this integration profile. Nothing was changed.")
            if profile_id is not None
            else _("This concerns all integration profiles, and your roles hold for some only. Nothing was changed.")
        )


def text_of(profiles: Profiles) -> str:
    """`all`, or ids: how a change of rights keeps it."""
    return ALL if profiles is None else ",".join(map(str, sorted(profiles)))


def profiles_in(text: str) -> Profiles:
    return None if text == ALL else frozenset(int(pk) for pk in text.split(",") if pk)


def names_in(profiles: Profiles) -> str:
    """For readers: the names of the profiles."""
    if profiles is None:
        return _("all profiles")
    with seen_by(None):
        names = list(IntegrationProfile.objects.filter(pk__in=profiles).values_list("name", flat=True))
    return ", ".join(names) or _("no profile")


def effective_choice(account: User) -> Profiles:
    """The ids of the chosen profiles for which both the rows and the newest signed event give the roles; None for all.

    Raises NotSigned.
    """
    stored, signed = stored_choice(account), signed_choice(account)
    return stored if signed is None else signed if stored is None else stored & signed


def names_for_reader(profiles: Profiles) -> str:
    """`all profiles`, or the names of those that the reader may see, e.g. `EU and other profiles`."""
    if profiles is None:
        return _("all profiles")
    names = list(
        IntegrationProfile.objects.filter(pk__in=profiles).order_by("name", "pk").values_list("name", flat=True)
    )
    if len(names) == len(profiles):
        return ", ".join(names) or _("no profile")
    return _("{names} and other profiles").format(names=", ".join(names)) if names else _("other profiles")


def write(account: User, profiles: Profiles, *, actor: Actor) -> None:
    """Store the scope, with its event, in a transaction of the caller."""
    former = stored_choice(account)
    if former == profiles:
        return
    if profiles is None:
        AccountScope.objects.filter(user=account).delete()
    else:
        AccountScope.objects.get_or_create(user=account)[0].profiles.set(profiles)
    data = {
        "before": names_in(former),
        "after": names_in(profiles),
        "profiles": None if profiles is None else sorted(profiles),
    }
    record(Action.SCOPE_CHANGED, actor=actor, target=account, data=data)


def take_effect(change: RightsChange) -> None:
    """The change waited long enough, or a second admin has confirmed it. Raises NotActionable."""
    if text_of(stored_choice(change.account)) != change.before:
        raise NotActionable(
            _(
                "The profiles of the account were changed in the meantime. Withdraw this change of rights, and ask "
                "again."
            )
        )
    write(change.account, profiles_in(change.after), actor=None)
