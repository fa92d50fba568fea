"""The steps that follow a sign-in, a sign-out and a change of an account. The signals are those of Django and axes."""

from __future__ import annotations

from typing import Any, Final

from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.socialaccount.signals import social_account_added
from axes.signals import user_locked_out
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.dispatch import receiver
from django.http import HttpRequest

from licensehub.audit.actions import Action
from licensehub.sign_in import step_up
from licensehub.sign_in.events import record_for, record_often
from licensehub.sign_in.factors import credentials, second_factor
from licensehub.sign_in.sessions import sessions
from licensehub.sign_in.sessions.methods import FACTORS, INVITATION, PASSWORD, SSO, methods_of

# What must not change under a session.
RIGHTS: Final = ("password", "is_active", "is_staff", "is_superuser")
CHANGED: Final = "password, state or rights changed"
OVER: Final = {"idle": "no activity", "age": "longest time", "rights": CHANGED, "update": "began before an update"}


def _is_of_a_person(request: HttpRequest | None) -> bool:
    """Whether it came over the network. A script that signs somebody in has a request without an address."""
    return request is not None and "REMOTE_ADDR" in request.META


@receiver(user_logged_in)
def signed_in(request: HttpRequest, user: User, **_: Any) -> None:
    methods = methods_of(request, user)
    method = " + ".join(methods) or INVITATION
    sessions.begin(request, user, method)
    is_factor = bool(FACTORS & set(methods)) or (settings.SSO_IS_ENOUGH and SSO in methods)
    second_factor.note(request, user, used=is_factor)
    # The provider may have asked for nothing, so it confirms only for accounts that have nothing else.
    if SSO not in methods or FACTORS & set(methods) or not step_up.ways_of(user):
        step_up.note(request)
    if _is_of_a_person(request):
        data: dict[str, Any] = {"method": method, **credentials.mark(user)}
        if not settings.LOCAL_ACCOUNTS and SSO not in methods:
            data["emergency"] = True
        record_for(Action.SIGNED_IN, user, request, **data)


@receiver(user_logged_out)
def signed_out(request: HttpRequest, user: User | None, **_: Any) -> None:
    if user is None or not _is_of_a_person(request):
        return
    sessions.forget(request)
    if why := OVER.get(getattr(request, "ended_because", "")):
        record_for(Action.SESSIONS_ENDED, user, request, why=why, sessions=1)
    else:
        record_for(Action.SIGNED_OUT, user, request)


@receiver(user_login_failed)
def failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """A wrong password. One that was refused unread is not counted: the lockout has its own event."""
    if request is not None and not getattr(request, "axes_locked_out", False):
        user = User.objects.filter(username=credentials.get("username") or "").first()
        record_often(Action.SIGN_IN_FAILED, user, request, method=credentials.get("method", PASSWORD))


@receiver(user_locked_out)
def locked_out(request: HttpRequest, username: str | None = None, **_: Any) -> None:
    record_often(Action.SIGN_IN_LOCKED, User.objects.filter(username=username or "").first(), request)


@receiver(pre_save, sender=User)
def compare_rights(instance: User, update_fields: Any = None, **_: Any) -> None:
    if instance.pk is None or (update_fields is not None and not set(RIGHTS) & set(update_fields)):
        return
    if _is_new_hash(instance, update_fields):
        former = User.objects.get(pk=instance.pk)
        instance._was_signed = credentials.PASSWORD not in credentials.unsigned(former)  # type: ignore[attr-defined]  # read after the save
        return
    before = User.objects.filter(pk=instance.pk).values(*RIGHTS).first()
    instance._rights_changed = before is not None and any(  # type: ignore[attr-defined]  # read after the save
        before[name] != getattr(instance, name) for name in RIGHTS
    )


def _is_new_hash(user: User, update_fields: Any) -> bool:
    """Whether Django stores the same password with a newer hash, which it does at a sign-in."""
    # Django keeps the typed password from `set_password` to `save`.
    typed = getattr(user, "_password", None)
    return update_fields is not None and set(update_fields) == {"password"} and typed is None


@receiver(post_save, sender=User)
def end_after_change(instance: User, **_: Any) -> None:
    if instance.__dict__.pop("_rights_changed", False):
        sessions.end_everywhere(instance, why=CHANGED)
    if instance.__dict__.pop("_was_signed", False):
        record_for(Action.PASSWORD_REHASHED, instance, None, credential=credentials.of_password(instance))


def end_after_role(instance: Any, action: str, reverse: bool, pk_set: set[int] | None, **_: Any) -> None:
    """Also for changes from the side of the role: then `instance` is the role, and `pk_set` are its accounts."""
    if action not in ("post_add", "post_remove", "pre_clear"):
        return
    if not reverse:
        users = [instance] if pk_set or action == "pre_clear" else []
    elif action == "pre_clear":
        users = list(instance.user_set.all())
    else:
        users = list(User.objects.filter(pk__in=pk_set or ()))
    for user in users:
        sessions.end_everywhere(user, why="roles changed")


def end_after_rights_of_role(instance: Any, action: str, reverse: bool, pk_set: set[int] | None, **_: Any) -> None:
    """A role that gets or loses a right changes what all its accounts may do, and whether they need a factor."""
    if action not in ("post_add", "post_remove", "pre_clear") or not (pk_set or action == "pre_clear"):
        return
    if not reverse:
        roles = [instance.pk]
    else:
        roles = list(instance.group_set.values_list("pk", flat=True)) if action == "pre_clear" else [*(pk_set or ())]
    for user in User.objects.filter(groups__in=roles).distinct():
        sessions.end_everywhere(user, why="rights of a role changed")


m2m_changed.connect(end_after_rights_of_role, sender=Group.permissions.through)
m2m_changed.connect(end_after_role, sender=User.groups.through)
m2m_changed.connect(end_after_role, sender=User.user_permissions.through)


@receiver(post_save, sender=Authenticator)
def factor_added(instance: Authenticator, created: bool, **_: Any) -> None:
    """In the transaction of the act. The first factor of a session that had to set one up lets it go on."""
    if not created:
        return
    request, is_codes = context.request, instance.type == Authenticator.Type.RECOVERY_CODES
    action = Action.RECOVERY_CODES_MADE if is_codes else Action.FACTOR_ADDED
    record_for(action, instance.user, request, method=instance.type, credential=credentials.of_factor(instance))
    if request is not None and request.user == instance.user and not is_codes:
        second_factor.note(request, instance.user, used=True)


@receiver(post_delete, sender=Authenticator)
def factor_removed(instance: Authenticator, **_: Any) -> None:
    if instance.type != Authenticator.Type.RECOVERY_CODES:
        data = {"method": instance.type, credentials.ONE: credentials.of_factor(instance)}
        record_for(Action.FACTOR_REMOVED, instance.user, context.request, **data)


@receiver(social_account_added)
def linked(request: HttpRequest, sociallogin: Any, **_: Any) -> None:
    account = sociallogin.account
    data = {"provider": account.provider, "subject": account.uid, credentials.ONE: credentials.of_link(account)}
    record_for(Action.SIGN_ON_LINKED, account.user, request, **data)
