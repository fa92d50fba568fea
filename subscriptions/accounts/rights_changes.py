"""Changes of rights: they wait until a second admin confirms them, or a day has passed since the mails about them.

A role is given at once, and only its right to decide waits, also until the person has joined (see `joining`). A new
address, a new password and the superuser status of an account that decides are kept in the change, and written when it
takes effect. A right that somebody gave outside of the pages is found by the sweep, and waits in the same way.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.mail_config import NOWHERE
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from licensehub.database.clock import database_now
from licensehub.sign_in.factors import credentials
from licensehub.sign_in.sessions import generations
from subscriptions.accounts import rights, scope, signed_rights
from subscriptions.accounts.joining import has_joined, joining_of
from subscriptions.accounts.mailbox import mailbox
from subscriptions.accounts.origins import TIED_FOR, opened_with, openers, tied_to
from subscriptions.accounts.persons import find_everywhere
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import ChangeKind, ChangeState, DecidingRight, RightsChange
from subscriptions.models.rights import WAIT

logger = logging.getLogger(__name__)

ACCOUNTS = "auth.change_user"
NOT_JOINED = gettext_lazy(
    "{account} has not joined: nobody can sign in with this account yet. Until then, the right to decide does not take "
    "effect."
)
LOST = "The account has no role with this right any more, or is deactivated."
CONSOLE = "Set up at the console."
BY_SIGN_ON = "By a group of the company's sign-on."


# --- Ask --------------------------------------------------------------------------------------------------------------


def ask(
    account: User, kind: ChangeKind, *, actor: Actor, before: str = "", after: str = "", password: str = ""
) -> RightsChange:
    """Make a change that waits. `password` is a hash. Raises NotActionable while one of this kind waits already."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=account.pk)
        if RightsChange.objects.waiting().filter(account=account, kind=kind).exists():
            raise NotActionable(
                _(
                    "A change of this kind already waits for {account}. First confirm, refuse or withdraw it under "
                    "“Changes of rights”."
                ).format(account=account.get_username())
            )
        change = RightsChange.objects.create(
            account=account, kind=kind, asked_by=actor, before=before, after=after, password=password
        )
        data = _data(change)
        if kind == ChangeKind.PASSWORD:
            data["passwords"] = signed_rights.passwords_digest(account.pk, password)
        record(Action.RIGHTS_ASKED, actor=actor, target=account, data=data)
    return change


def follow(*, actor: Actor, accounts: QuerySet[User] | None = None, at_once: str = "") -> None:
    """Compare the rights with the roles of all accounts, or of these: call it after roles have changed.

    Rights of accounts that lost the role end. New ones wait. `at_once` is the reason why an operator at the console
    need not wait.
    """
    everybody = User.objects.all() if accounts is None else accounts
    able = rights.able().filter(pk__in=everybody.values("pk"))
    with transaction.atomic():
        for right in DecidingRight.objects.filter(ended_at=None, user__in=everybody).exclude(user__in=able):
            if DecidingRight.objects.filter(pk=right.pk, ended_at=None).update(ended_at=Now()) == 1:
                record(Action.RIGHTS_ENDED, actor=actor, target=right.user, data={"since": right.since})
        grants = RightsChange.objects.waiting().filter(kind=ChangeKind.GRANT, account__in=everybody)
        for change in grants.exclude(account__in=able):
            _close(change, ChangeState.WITHDRAWN, Action.RIGHTS_WITHDRAWN, actor=actor, comment=LOST)
        effective = DecidingRight.objects.filter(ended_at=None)
        for user in able.exclude(pk__in=effective.values("pk")).order_by("pk"):
            waiting = grants.filter(account=user).first()
            change = waiting or ask(user, ChangeKind.GRANT, actor=actor, after=_roles_of(user))
            if at_once:
                if at_once != BY_SIGN_ON:  # that one has its mails
                    RightsChange.objects.filter(pk=change.pk, announced_at=None).update(announced_at=Now())
                _take_effect(change, actor=None, comment=at_once)


def follow_all() -> None:
    """For the sweep: an account whose rights cannot be followed holds up none of the others. Raises its error last."""
    failed: Exception | None = None
    able, effective = rights.able(), DecidingRight.objects.filter(ended_at=None)
    ended = effective.exclude(user__in=able).values_list("user", flat=True)
    grants = RightsChange.objects.waiting().filter(kind=ChangeKind.GRANT)
    lost = grants.exclude(account__in=able).values_list("account", flat=True)
    new = able.exclude(pk__in=effective.values("pk")).values_list("pk", flat=True)
    for pk in sorted({*ended, *lost, *new}):
        try:
            follow(actor=None, accounts=User.objects.filter(pk=pk))
        except Exception as error:
            logger.exception("The rights of account %s cannot be followed", pk)
            failed = error
    if failed:
        raise failed


def follow_sign_on(user: User, *, added: set[str]) -> None:
    """The provider has just replaced the roles of this account, and `added` are new.

    Who maps a group to the role Approver runs the provider, so that right does not wait for a second admin. A right
    that somebody gave in LicenseHub still waits: a grant that waits already, a single right, and a right of a role of
    one's own.
    """
    deciding = rights.permissions_named(rights.DECIDING)
    given_here = (
        rights.is_waiting(user)
        or user.user_permissions.filter(pk__in=deciding.values("pk")).exists()
        or user.groups.filter(permissions__in=deciding).exclude(name=rights.APPROVER).exists()
    )
    at_once = BY_SIGN_ON if rights.APPROVER in added and not given_here else ""
    follow(actor=None, accounts=User.objects.filter(pk=user.pk), at_once=at_once)


def _roles_of(user: User) -> str:
    deciding = rights.permissions_named(rights.DECIDING)
    names = user.groups.filter(permissions__in=deciding).distinct().order_by("name").values_list("name", flat=True)
    chosen = scope.stored_choice(user)
    text = ", ".join(names)
    return (text if chosen is None else f"{text} ({scope.names_in(chosen)})")[:254]


# --- Confirm, refuse, withdraw, wait ----------------------------------------------------------------------------------


def confirm(change: RightsChange, *, actor: User) -> None:
    """A second admin confirms: it takes effect now. Raises Refused or NotActionable."""
    if sentence := why_not_confirm(change, actor):
        raise Refused(sentence)
    _take_effect(change, actor=actor)


def refuse(change: RightsChange, *, actor: User, comment: str) -> None:
    """An admin or an approver refuses: what was asked is not done, and a role that gives the right is taken away."""
    if not may_refuse(actor):
        raise Refused(_("Only an admin or an Approver can refuse this change."))
    if not comment.strip():
        raise Refused(_("Say in a few words why, for the admin who asked, and for an auditor."))
    with transaction.atomic():
        _close(change, ChangeState.REFUSED, Action.RIGHTS_REFUSED, actor=actor, comment=comment.strip())
        if change.kind == ChangeKind.GRANT:
            _take_roles(change.account, actor=actor)


def withdraw(change: RightsChange, *, actor: User) -> None:
    """The admin who asked withdraws. Raises Refused or NotActionable."""
    if change.asked_by_id != actor.pk:
        raise Refused(_("Only the admin who asked for this change can withdraw it."))
    with transaction.atomic():
        _close(change, ChangeState.WITHDRAWN, Action.RIGHTS_WITHDRAWN, actor=actor)
        if change.kind == ChangeKind.GRANT:
            _take_roles(change.account, actor=actor)


def take_due() -> int:
    """Let the changes take effect whose day is over, by the event of their mails. Returns how many did.

    One that cannot take effect holds up none of the others. Raises its error last.
    """
    done, failed = 0, None
    for change in RightsChange.objects.due():
        announced = signed_rights.announcement(change)
        if announced is None or announced.at > database_now() - WAIT:
            logger.error("%s waits, and its row has another time of the mails than the audit", change)
            continue
        if why_not_by_time(change):
            continue
        try:
            _take_effect(change, actor=None)
        except NotActionable:
            continue  # somebody has just ended it, or the account or the row has changed since
        except Exception as error:
            logger.exception("Change %s of rights cannot take effect", change.pk)
            failed = error
            continue
        done += 1
    if failed:
        raise failed
    return done


def why_not_confirm(change: RightsChange, actor: User) -> str:
    """Return why this user cannot confirm the change; empty when they can. Only somebody with no part in it can."""
    if not actor.has_perm(ACCOUNTS) or not scope.is_inside(actor, None):
        return _("Only a second admin can confirm this change.")
    if _same(actor, change.asked_by):
        return _("You asked for this change. Another admin must confirm it.")
    if _same(actor, change.account):
        return _("This change is about your own account. Another admin must confirm it.")
    parties = {pk for pk in (change.account_id, change.asked_by_id) if pk is not None}
    if actor.pk in tied_to(parties):
        sentence = _(
            "Your account is tied to one of these accounts: in the last {days} days, one of the two made or changed "
            "the other. Another admin must confirm this change."
        )
        return sentence.format(days=TIED_FOR.days)
    if actor.pk in opened_with(parties):
        return _(
            "Your account and one of these could belong to one person: somebody saw the link of the invitation, or set "
            "the password. Another admin must confirm this change, or an operator first confirms your account at the "
            "console (confirm_account)."
        )
    if change.kind == ChangeKind.GRANT and not has_joined(change.account):
        return NOT_JOINED.format(account=change.account.get_username())
    return ""


def why_not_by_time(change: RightsChange) -> str:
    """Return why a day is not enough for this change; empty when it is."""
    is_grant = change.kind == ChangeKind.GRANT
    if is_grant and not has_joined(change.account):
        return NOT_JOINED.format(account=change.account.get_username())
    if is_grant and openers().get(change.account_id):
        return _(
            "Somebody else saw the link of the invitation, or set the password. So this right takes effect only when a "
            "second admin confirms it, or an operator at the console (confirm_account)."
        )
    if change.announced_at is None and settings.EMAIL_BACKEND in NOWHERE:
        return _(
            "No mail server is set up, so LicenseHub cannot tell the people who can refuse this change. It takes "
            "effect only when a second admin confirms it; a right to decide also when an operator confirms the account "
            "at the console (confirm_account)."
        )
    if change.announced_at and not _somebody_else_was_told(change):
        return _(
            "No mail reached anybody else who can refuse this change. It takes effect only when a second admin "
            "confirms it; a right to decide also when an operator confirms the account at the console "
            "(confirm_account)."
        )
    return ""


def _somebody_else_was_told(change: RightsChange) -> bool:
    """Return whether a mail reached somebody who can refuse the change, and who has no part in it. The owner of an
    account that decides already counts: a new address or password is not theirs.
    """
    announced = signed_rights.announcement(change)
    told = User.objects.filter(email__in=announced.data.get("to", ())) if announced else User.objects.none()
    gains = change.kind in (ChangeKind.GRANT, ChangeKind.SUPERUSER)
    parties = [user for user in (change.asked_by, change.account if gains else None) if user is not None]
    ids = {party.pk for party in parties}
    involved = tied_to(ids) | opened_with(ids)
    others = (user for user in told if user.pk not in involved and not any(_same(user, party) for party in parties))
    return any(map(may_refuse, others))


def may_refuse(user: User) -> bool:
    """Only users whose roles hold for all profiles: the page of these changes is closed to others."""
    decides = user.has_perm(ACCOUNTS) or rights.deciders().filter(pk=user.pk).exists()
    return decides and scope.is_inside(user, None)


def _same(one: User, other: User | None) -> bool:
    """Return whether two accounts are the same, or have the same mailbox."""
    if other is None:
        return False
    return one.pk == other.pk or mailbox(one.email) == mailbox(other.email) != ("", "")


# --- What happens then ------------------------------------------------------------------------------------------------


def _take_effect(change: RightsChange, *, actor: Actor, comment: str = "") -> None:
    password = change.password
    with transaction.atomic():
        if not signed_rights.was_asked(change):
            raise NotActionable(
                _(
                    "This change differs from what was asked for: somebody wrote it in the database, or the password "
                    "was changed in the meantime. Nothing was done. Refuse it, and ask again."
                )
            )
        _close(change, ChangeState.EFFECTIVE, Action.RIGHTS_CONFIRMED if actor else None, actor=actor, comment=comment)
        user = User.objects.select_for_update().get(pk=change.account_id)
        data = {**_data(change), "comment": comment, "confirmed_by": actor.get_username() if actor else ""}
        data |= _carry_out(change, user, password)
        record(Action.RIGHTS_TOOK_EFFECT, actor=None, target=user, data=data)


def _carry_out(change: RightsChange, user: User, password: str) -> dict[str, object]:
    """Do what was asked, with the locked account. Returns what the event says beside it. Raises NotActionable."""
    if change.kind == ChangeKind.GRANT:
        if not rights.able().filter(pk=user.pk).exists():
            raise NotActionable(_("The account has no role with this right any more. Nothing was changed."))
        if not has_joined(user):
            raise NotActionable(NOT_JOINED.format(account=user.get_username()))
        DecidingRight.objects.update_or_create(user=user, defaults={"since": Now(), "ended_at": None})
        return joining_of(user).as_data()
    if change.kind == ChangeKind.ADDRESS:
        _write(user, "email", change.before, change.after)
        find_everywhere(user)
    elif change.kind == ChangeKind.SCOPE:
        scope.take_effect(change)
    elif change.kind == ChangeKind.PASSWORD:
        _write(user, "password", user.password, password)
        generations.end_sessions(user)
        return {credentials.ONE: credentials.of_password(user)}
    else:
        _write(user, "is_superuser", False, True)
        generations.end_sessions(user)
    return {}


def _write(user: User, field: str, before: object, after: object) -> None:
    if User.objects.filter(pk=user.pk, **{field: before}).update(**{field: after}) != 1:
        raise NotActionable(
            _(
                "The account was changed in the meantime, so nothing was done. Withdraw this change of rights, and ask "
                "again."
            )
        )
    user.refresh_from_db()


def _close(change: RightsChange, state: ChangeState, action: Action | None, *, actor: Actor, comment: str = "") -> None:
    values = {"state": state, "closed_by": actor, "closed_at": Now(), "comment": comment[:500], "password": ""}
    if RightsChange.objects.waiting().filter(pk=change.pk).update(**values) != 1:
        raise NotActionable(_("This change of rights no longer waits. Nothing was changed."))
    if action is not None:
        record(action, actor=actor, target=change.account, data={**_data(change), "comment": comment})


def _take_roles(user: User, *, actor: User) -> None:
    """Take the roles and single permissions away that give a right to decide."""
    deciding = rights.permissions_named(rights.DECIDING)
    before = role_names(user)
    user.groups.remove(*user.groups.filter(permissions__in=deciding).distinct())
    single = list(user.user_permissions.filter(pk__in=deciding.values("pk")))
    user.user_permissions.remove(*single)
    record_roles(user, before, actor=actor, rights=[permission.codename for permission in single])
    follow(actor=actor, accounts=User.objects.filter(pk=user.pk))


def role_names(user: User) -> list[str]:
    return sorted(user.groups.values_list("name", flat=True))


def record_roles(user: User, before: list[str], *, actor: Actor, rights: list[str] | None = None) -> None:
    """Write the event of changed roles. `rights` are single permissions that were taken away."""
    after = role_names(user)
    data = {
        "before": before,
        "after": after,
        "added": sorted(set(after) - set(before)),
        "removed": sorted(set(before) - set(after)) + sorted(rights or []),
    }
    record(Action.USER_ROLES_CHANGED, actor=actor, target=user, data=data)


def _data(change: RightsChange) -> dict[str, object]:
    return {
        "change": change.pk,
        "kind": str(change.kind),
        "before": change.before,
        "after": change.after,
        "asked_by": change.asked_by.get_username() if change.asked_by else "",
        "asked_by_id": change.asked_by_id,
    }
