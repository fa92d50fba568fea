"""Find who decides: active accounts with a role whose right has taken effect, and that administer no accounts.

Superusers hold every permission, so `has_perm` says nothing here. Somebody who makes accounts or changes them could
decide with another account on the own request, and so does not decide at all.
"""

from __future__ import annotations

from functools import cache

from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from integrations.scopes.account_scopes import covering, is_company_wide
from licensehub.sign_in.factors import credentials
from subscriptions.accounts import signed_rights
from subscriptions.errors import Refused
from subscriptions.models import ChangeKind, RightsChange

DECIDE = "subscriptions.decide_reclaimrequest"
RAISE = "subscriptions.raise_cap_reclaimrequest"
DECIDING = (DECIDE, RAISE)
ADMINISTERING = ("auth.add_user", "auth.change_user", "auth.add_group", "auth.change_group")
# The role that a right comes with at installation. What a role of one's own may do can be changed in the database.
APPROVER = "Approver"
BACKEND = "django.contrib.auth.backends.ModelBackend"


def people_with(permission: str, profile_id: int | None = None) -> QuerySet[User]:
    """Active accounts that can sign in and have this permission. Of a right to decide: those that may use it.

    With a profile, only those whose scope has it.
    """
    if permission in DECIDING:
        people = deciders(permission)
    else:
        people = User.objects.with_perm(permission, backend=BACKEND).filter(is_active=True, is_staff=True)
    everywhere = profile_id is None and not is_company_wide(permission)
    return people if everywhere else covering(people, profile_id)


def permissions_named(names: tuple[str, ...]) -> QuerySet[Permission]:
    wanted = Q(pk__in=[])
    for name in names:
        app, codename = name.split(".")
        wanted |= Q(content_type__app_label=app, codename=codename)
    return Permission.objects.filter(wanted)


def holders_of(names: tuple[str, ...]) -> QuerySet[User]:
    """The accounts with one of these permissions by a role or directly, whether active or not."""
    return _holders_of(names).all()


# Django takes longer to build this query than the database to answer it, and every page asks: it is built once.
@cache
def _holders_of(names: tuple[str, ...]) -> QuerySet[User]:
    wanted = permissions_named(names).values("pk")
    roles = Group.objects.filter(permissions__in=wanted).values("pk")
    by_role = User.groups.through.objects.filter(group__in=roles).values("user")
    directly = User.user_permissions.through.objects.filter(permission__in=wanted).values("user")
    return User.objects.filter(Q(pk__in=by_role) | Q(pk__in=directly))


def able(names: tuple[str, ...] = DECIDING) -> QuerySet[User]:
    """The accounts that would decide: as soon as their right has taken effect. Never one of a program."""
    return _able(names).all()


@cache
def _able(names: tuple[str, ...]) -> QuerySet[User]:
    administering = holders_of(ADMINISTERING).values("pk")
    holders = holders_of(names).filter(is_active=True, is_staff=True, is_superuser=False, service_account=None)
    return holders.exclude(pk__in=administering)


def deciders(permission: str = DECIDE, profile_id: int | None = None) -> QuerySet[User]:
    """The accounts that may decide now: on this profile, or on any."""
    found = able((permission,)).filter(deciding_right__isnull=False, deciding_right__ended_at=None)
    return found if profile_id is None else covering(found, profile_id)


def may(user: User | AnonymousUser, permission: str) -> bool:
    """`has_perm`, except for a right to decide: that one is asked by role. For screens: like `has_perm`, the answer is
    kept with this object of the account, which is that of one page. Most accounts need no query: who decides is no
    superuser, and has the permission.
    """
    if permission not in DECIDING or not isinstance(user, User):
        return user.has_perm(permission)
    if user.is_superuser or not user.has_perm(permission):
        return False
    kept: dict[str, bool] = user.__dict__.setdefault("_may_decide", {})
    if permission not in kept:
        kept[permission] = deciders(permission).filter(pk=user.pk).exists()
    return kept[permission]


def refuse_without(user: User, permission: str) -> None:
    """Raise Refused, with the reason, when this account may not use this right to decide now.

    Rows can be written in the database, so the audit must say the same.
    """
    if not deciders(permission).filter(pk=user.pk).exists():
        raise Refused(_why_not(user, permission))
    if not signed_rights.is_granted(user):
        raise Refused(
            _(
                "The audit has no event that gives you the right to decide, so somebody gave it in the database. "
                "Nothing was changed. Ask an admin to take your role away and to give it again, and find out who can "
                "write to the database."
            )
        )
    if credentials.doubts(user):
        raise Refused(
            _(
                "Your account has, or lately had, a password, a second factor or a link to the sign-on that LicenseHub "
                "did not set, as far as the audit knows. Somebody may have written it in the database. Nothing was "
                "changed. Ask an operator to check your account, and then to run “manage.py confirm_account”."
            )
        )


def why_not(user: User, permission: str = DECIDE) -> str:
    """Return why this account may not use this right; empty when it may. For screens."""
    return "" if may(user, permission) else _why_not(user, permission)


def _why_not(user: User, permission: str) -> str:
    if not holders_of((permission,)).filter(pk=user.pk).exists():
        if permission == RAISE:
            return _("Only an Approver can raise the cap.")
        return _("You can read this request. Only an Approver can decide.")
    if user.is_superuser or holders_of(ADMINISTERING).filter(pk=user.pk).exists():
        return _("Your account administers accounts, so it cannot decide. An Approver must decide.")
    return _(
        "Your right to decide has not taken effect. A second admin can confirm it under “Changes of rights”, or an "
        "operator at the console (confirm_account)."
    )


def is_watched(user: User) -> bool:
    """Return whether a new address or password of this account must wait, because it decides or will decide."""
    return holders_of(DECIDING).filter(pk=user.pk).exists()


def is_waiting(user: User) -> bool:
    """Return whether the account has a right to decide that has not taken effect."""
    return RightsChange.objects.waiting().filter(account=user, kind=ChangeKind.GRANT).exists()


def refuse_both(groups: QuerySet[Group] | list[Group]) -> None:
    """Raise Refused when these roles together let one account decide and administer accounts."""
    pks = [group.pk for group in groups]
    both = Permission.objects.filter(group__in=pks)
    if all(both.filter(pk__in=permissions_named(names).values("pk")).exists() for names in (DECIDING, ADMINISTERING)):
        raise Refused(
            _(
                "One account cannot both decide and administer accounts, since one person would then be enough for a "
                "reclaim. Choose either “Company admin” or “Approver”."
            )
        )
