"""The scope of an account: its roles hold for all profiles, or only for those that an admin chose.

A chosen profile stands for its organization: for the archived profiles before it, too. A superuser has no scope: they
open every page, and decide nothing.

What the pages show is read by the rows. An act asks the audit as well, since rows can be written in the database.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, QuerySet

from integrations.models import AccountScope, IntegrationProfile, IntegrationProfileQuerySet
from integrations.scopes.visibility import Profiles
from licensehub.audit.actions import Action
from licensehub.audit.chain.signed import NotSigned, newest_signed
from licensehub.audit.log import Actor
from licensehub.audit.models import AuditEvent

Chosen = AccountScope.profiles.through
# What these permissions open belongs to the whole company. They do not count for an account with a scope.
COMPANY_APPS: Final = ("auth", "audit")
COMPANY_WIDE: Final = frozenset(
    {
        "integrations.add_integrationprofile",
        "integrations.stop_all_sending",
        "integrations.view_checkresult",
        "subscriptions.change_company",
        "subscriptions.change_monthlyreport",
        "subscriptions.erase_person",
        "subscriptions.view_company",
        "subscriptions.view_monthlyreport",
        "subscriptions.view_rightschange",
    }
)


def is_company_wide(permission: str) -> bool:
    return permission in COMPANY_WIDE or permission.partition(".")[0] in COMPANY_APPS


def within_scope(user: User | AnonymousUser, permissions: set[str]) -> set[str]:
    """Those of these permissions that count for this account: without a scope, all of them."""
    if scope_of(user) is None:
        return permissions
    return {one for one in permissions if not is_company_wide(one)}


def scope_of(user: User | AnonymousUser) -> Profiles:
    """The profiles for which the roles of this account hold; None for all. It is kept with this object of the account,
    which is that of one page. Without a scope it takes no query where the account was loaded with `profile_scope`.
    """
    rows = _scope_rows(user)
    return None if rows is None else frozenset(row.pk for row in rows)


def names_in_scope(user: User | AnonymousUser) -> list[str]:
    """The names of the profiles that are not archived, for the reader; empty for all. It takes no query of its own."""
    return [row.name for row in _scope_rows(user) or () if not row.is_archived]


def _scope_rows(user: User | AnonymousUser) -> list[IntegrationProfile] | None:
    scope = getattr(user, "profile_scope", None)
    if not isinstance(user, User) or user.is_superuser or scope is None:
        return None
    kept: dict[str, list[IntegrationProfile]] = scope.__dict__
    if "_rows" not in kept:
        kept["_rows"] = list(_organizations_of(chosen_by(user)).only("name", "state").order_by("name", "pk"))
    return kept["_rows"]


def narrow(user: User, profiles: Iterable[int]) -> None:
    """For as long as this object of the account is used, its roles hold only for those of these profiles that are in
    its scope, e.g. since its owner made an API token for them. Nothing is stored.
    """
    own = scope_of(user)
    chosen = _every_profile().filter(pk__in=list(profiles))
    rows = _organizations_of(chosen).only("name", "state").order_by("name", "pk")
    scope = AccountScope(user=user)
    scope.__dict__["_rows"] = [row for row in rows if own is None or row.pk in own]
    user._state.fields_cache["profile_scope"] = scope


def chosen_by(user: User) -> QuerySet[IntegrationProfile]:
    """The chosen profiles, as an admin chose them; none for an account without a scope."""
    chosen = Chosen.objects.filter(accountscope=user.pk)
    return _every_profile().filter(pk__in=chosen.values("integrationprofile")).order_by("name", "pk")


def stored_choice(user: User) -> Profiles:
    """The ids of the chosen profiles now, read again; None for all."""
    if not AccountScope.objects.filter(user=user.pk).exists():
        return None
    return frozenset(chosen_by(user).values_list("pk", flat=True))


def covering(users: QuerySet[User], profile_id: int | None) -> QuerySet[User]:
    """Those of these accounts whose scope has the profile. None: those without a scope."""
    scoped = AccountScope.objects.filter(user=OuterRef("pk"))
    unscoped = Q(is_superuser=True) | ~Exists(scoped)
    if profile_id is None:
        return users.filter(unscoped)
    chosen = Chosen.objects.filter(accountscope=OuterRef("pk"), integrationprofile__in=_organization_of(profile_id))
    return users.filter(unscoped | Exists(chosen))


def is_inside(user: User, profile_id: int | None) -> bool:
    """Whether an act on this profile (None: on the whole company) is within the scope of this account now: by the rows,
    and by the newest event about its scope.
    """
    if not covering(User.objects.filter(pk=user.pk), profile_id).exists():
        return False
    try:
        signed = signed_choice(user)
    except NotSigned:
        return False
    if signed is None:
        return True
    return profile_id is not None and _organization_of(profile_id).filter(pk__in=signed).exists()


def signed_choice(user: User) -> Profiles:
    """The chosen profiles by the newest event about this scope; None for all. An event whose text was erased gives
    none. Raises NotSigned.
    """
    events = AuditEvent.objects.filter(target_type=User._meta.label_lower, target_id=user.pk)
    newest = newest_signed(events.filter(action=Action.SCOPE_CHANGED).order_by("-sequence")[:1])
    if newest is None or newest.data.get("profiles", []) is None:
        return None
    return frozenset(newest.data.get("profiles", []))


def _every_profile() -> IntegrationProfileQuerySet:
    """Return all profiles, also those that the reader of the page may not see."""
    return IntegrationProfileQuerySet(IntegrationProfile)


def deny_outside(actor: Actor, profile_id: int | None) -> None:
    """Raise PermissionDenied when this profile is not in the scope of the actor now."""
    if actor is not None and not is_inside(actor, profile_id):
        raise PermissionDenied("The roles of this account do not hold for this profile.")


def organizations_of(profiles: Iterable[int]) -> frozenset[int]:
    """The ids of these profiles, with those of the archived profiles of the same organizations."""
    chosen = _every_profile().filter(pk__in=list(profiles))
    return frozenset(_organizations_of(chosen).values_list("pk", flat=True))


def _organization_of(profile_id: int) -> QuerySet[IntegrationProfile]:
    return _organizations_of(_every_profile().filter(pk=profile_id))


def _organizations_of(chosen: QuerySet[IntegrationProfile]) -> QuerySet[IntegrationProfile]:
    same = chosen.order_by().filter(kind=OuterRef("kind"), organization_id=OuterRef("organization_id"))
    return _every_profile().filter(Q(pk__in=chosen.order_by().values("pk")) | Exists(same.exclude(organization_id="")))
