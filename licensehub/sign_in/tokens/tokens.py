"""Tokens of the REST API: made, found and ended.

A token is `lh_PREFIX_SECRET`. The prefix finds its row; the row has the SHA-256 of the whole token. The secret has 256
bits, so a fast digest is as good as a slow one: nobody can try them all.
https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from licensehub.audit.actions import Action
from licensehub.audit.chain.signature import is_believed
from licensehub.audit.chain.signed import is_genuine
from licensehub.audit.log import Actor, Row, record_rows
from licensehub.audit.models import AuditEvent
from licensehub.database.clock import database_now
from licensehub.sign_in.events import ACCOUNT
from licensehub.sign_in.factors import second_factor
from licensehub.sign_in.models import ApiToken, ServiceAccount
from licensehub.sign_in.passwords.guessing import needs_sign_on
from licensehub.sign_in.sessions.generations import stored_generation

DEFAULT_DAYS: Final = 90
MAX_DAYS: Final = 365
DAYS: Final = (7, 30, DEFAULT_DAYS, 180, MAX_DAYS)
# Tokens of one account that are in use at the same time.
MAX_TOKENS: Final = 20
NOTED_EVERY: Final = timedelta(minutes=1)
# If only the provider says whether somebody still works here, a token stops working when its owner has not signed in
# for so many days, until the next sign-in.
SIGN_ON_DAYS: Final = 7
# Anybody who gets only this role writes nothing.
READER: Final = "Auditor"

_SIGNS: Final = string.ascii_lowercase + string.digits
_FORM: Final = re.compile(r"lh_([a-z0-9]{12})_[A-Za-z0-9_-]{43}")


class CannotMake(Exception):
    """The token was not made. The text is a sentence for the person who asked."""


def prefix_in(text: str) -> str:
    """The prefix of a text that has the form of a token, else an empty text."""
    found = _FORM.fullmatch(text)
    return found[1] if found else ""


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def standing_of(user: User) -> str:
    """A digest of what must not change under a token: state, roles, single rights, sessions that a worker ended.

    It finds what was changed past Django's models. Every other change, also of the password, comes to `end_all`.
    """
    roles = sorted(user.groups.values_list("pk", flat=True))
    single = sorted(user.user_permissions.values_list("pk", flat=True))
    facts = (user.is_active, user.is_staff, user.is_superuser, stored_generation(user), roles, single)
    return hashlib.sha256(str(facts).encode()).hexdigest()


def is_service(user: User) -> bool:
    return ServiceAccount.objects.filter(user=user).exists()


def roles_for(user: User) -> QuerySet[Group]:
    """The roles that a token of this account can have: its own, and the one that only reads."""
    roles = Group.objects.order_by("name")
    return roles if user.is_superuser else roles.filter(Q(user=user) | Q(name=READER)).distinct()


def make(
    user: User,
    *,
    name: str,
    role: Group,
    actor: User,
    profiles: Collection[int] = (),
    days: int = DEFAULT_DAYS,
    factor_at: datetime | None = None,
    holder: User | None = None,
) -> tuple[ApiToken, str]:
    """Make a token of this account. Returns its row, and the token itself, which nobody can read again.

    `factor_at`: the owner has proved a second factor for it, at that moment. `holder`: who gets the token of a service
    account beside the actor. Raises CannotMake.
    """
    _refuse(user, name=name, role=role, actor=actor, days=days, has_factor=factor_at is not None)
    prefix = "".join(secrets.choice(_SIGNS) for _ in range(12))
    text = f"lh_{prefix}_{secrets.token_urlsafe(32)}"
    now = database_now()
    with transaction.atomic():
        for account in ServiceAccount.objects.select_for_update().filter(user=user):
            account.holders = sorted({*account.holders, actor.pk, *([holder.pk] if holder else [])})
            account.save(update_fields=["holders"])
        token = ApiToken.objects.create(
            user=user,
            role=role,
            name=name.strip(),
            prefix=prefix,
            digest=digest_of(text),
            profiles=sorted(profiles),
            standing=standing_of(user),
            factor_at=None if is_service(user) else factor_at,
            made_by=actor,
            made_at=now,
            expires_at=now + timedelta(days=days),
        )
        _record(Action.API_TOKEN_MADE, token, actor=actor, data=_data_of_new(token, role, holder))
    return token, text


def _refuse(user: User, *, name: str, role: Group, actor: User, days: int, has_factor: bool) -> None:
    """Raises CannotMake if this account cannot have such a token, or the actor cannot make it."""
    service = is_service(user)
    if not name.strip() or len(name.strip()) > 60:
        raise CannotMake(_("Give the token a name of at most 60 characters, e.g. of the program that uses it."))
    if not 1 <= days <= MAX_DAYS:
        raise CannotMake(_("A token is valid for 1 to {days} days.").format(days=MAX_DAYS))
    if not roles_for(user).filter(pk=role.pk).exists():
        raise CannotMake(_("The account does not have this role, so its token cannot have it."))
    if not service and actor.pk != user.pk:
        raise CannotMake(_("A person makes their own tokens. Nobody else can."))
    if not service and not has_factor and second_factor.is_needed(user):
        raise CannotMake(_("Your account needs a second factor. Sign in with it, then make the token."))
    if open_tokens().filter(user=user).count() >= MAX_TOKENS:
        raise CannotMake(_("This account has {count} tokens. End one first.").format(count=MAX_TOKENS))


def _data_of_new(token: ApiToken, role: Group, holder: User | None) -> dict[str, object]:
    """Return what the signed event of a new token says. A token counts only with it."""
    return {
        **_data(token),
        "role": role.name,
        "profiles": token.profiles,
        "expires_at": token.expires_at,
        "factor": token.factor_at is not None,
        "digest": token.digest,
        **({"holder": holder.get_username(), "holder_id": holder.pk} if holder else {}),
    }


def make_service_account(*, username: str, email: str, role: Group, actor: User) -> User:
    """Make an account for a program. It signs in nowhere. The caller writes the event of the new account."""
    with transaction.atomic():
        user = User(username=username, email=email, is_staff=False)
        user.set_unusable_password()
        user.save()
        user.groups.add(role)
        ServiceAccount.objects.create(user=user, holders=[actor.pk], made_at=database_now())
    return user


def open_tokens() -> QuerySet[ApiToken]:
    """The tokens that were not ended and are not too old. The account may have changed under one of them."""
    return ApiToken.objects.filter(ended_at=None, expires_at__gt=database_now())


def find(text: str, *related: str) -> ApiToken | None:
    """The row of this token, also of one that is over, with these related rows. Only a text with a known prefix costs a
    digest. A row that is open, and not by its signed event, is no token: somebody wrote it into the database.
    """
    token = ApiToken.objects.select_related("user", "role", *related).filter(prefix=prefix_in(text)).first()
    if token is None or not constant_time_compare(token.digest, digest_of(text)):
        return None
    return token if token.ended_at is not None or _made(token) else None


def why_over(token: ApiToken) -> str:
    """Return why a token is over, e.g. `ended` (a key of `OVER` in `licensehub.api`); empty for one that is valid.

    A token whose account has changed is ended by this.
    """
    if token.ended_at is not None:
        return "ended"
    if token.expires_at <= database_now():
        return "expired"
    if not token.user.is_active or token.standing != standing_of(token.user):
        end(token, actor=None, why="account changed")
        return "account_changed"
    if token.factor_at is None and second_factor.is_needed(token.user) and not is_service(token.user):
        return "second_factor"
    return "sign_on" if _waits_for_the_provider(token.user) else ""


def _waits_for_the_provider(user: User) -> bool:
    asked = user.last_login
    lately = asked is not None and asked > database_now() - timedelta(days=SIGN_ON_DAYS)
    return not lately and needs_sign_on(user) and not is_service(user)


def rights_of(token: ApiToken) -> frozenset[str]:
    """Return the rights of the token: those that both its account and its role have now."""
    if token.role is None:
        return frozenset()
    held = Permission.objects.filter(group=token.role_id).values_list("content_type__app_label", "codename")
    of_role = {f"{app}.{codename}" for app, codename in held.order_by()}
    return frozenset(of_role if token.user.is_superuser else of_role & token.user.get_all_permissions())


def proved_at(token: ApiToken) -> datetime | None:
    """Return when the owner proved a second factor for this token, by the audit; None if the audit does not say so."""
    made = _made(token)
    proved = made is not None and made.data.get("factor") is True and is_believed(made)
    return made.at if made is not None and proved else None


def _made(token: ApiToken) -> AuditEvent | None:
    """The event that says that LicenseHub made this token, with this digest, and has not ended it; None without one.

    Somebody who can write to the database can write a token in the name of an approver, change the digest of one, or
    open one that was ended. Nobody can write the event without AUDIT_KEY.
    """
    events = AuditEvent.objects.filter(target_type=ACCOUNT, target_id=token.user_id, data__token=token.pk)
    about = events.filter(action__in=[Action.API_TOKEN_MADE.value, Action.API_TOKEN_ENDED.value])
    newest = about.order_by("-sequence").first()
    if newest is None or newest.action != Action.API_TOKEN_MADE or not is_genuine(newest):
        return None
    return newest if newest.data.get("digest") == token.digest else None


def end(token: ApiToken, *, actor: Actor, why: str = "ended by a person") -> bool:
    """End the token at once. Returns False if it was over already."""
    with transaction.atomic():
        ended = ApiToken.objects.filter(pk=token.pk, ended_at=None).update(ended_at=database_now(), ended_by=actor)
        if ended:
            _record(Action.API_TOKEN_ENDED, token, actor=actor, data={**_data(token), "why": why})
    return ended == 1


def end_all(user: User, *, why: str) -> None:
    """End the tokens of an account, as its sessions: its password, state, roles or rights have changed."""
    for token in ApiToken.objects.filter(user=user, ended_at=None):
        end(token, actor=None, why=why)


def note_use(token: ApiToken, address: str | None) -> None:
    now = database_now()
    if token.used_at is None or token.used_at < now - NOTED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(used_at=now, used_from=address)


def _data(token: ApiToken) -> dict[str, object]:
    return {"token": token.pk, "name": token.name, "prefix": token.prefix}


def _record(action: Action, token: ApiToken, *, actor: Actor, data: dict[str, object]) -> None:
    record_rows(action, actor=actor, rows=[Row(ACCOUNT, token.user_id, token.user.get_username(), data)])
