"""The mails about API tokens: when one was made, and 14 and 3 days before its end.

They go to the account of the token, and to who made it. Nobody can switch them off: a token that somebody else made in
one's name would else stay unseen.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Exists
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from licensehub.audit.actions import Action
from licensehub.audit.log import Row, record_rows
from licensehub.database.clock import database_now
from licensehub.sign_in.events import ACCOUNT
from licensehub.sign_in.models import ApiToken
from licensehub.sign_in.tokens.tokens import open_tokens
from licensehub.translations.stored import translated
from licensehub.ui.formatting import day
from licensehub.ui.names import account_of
from subscriptions.accounts.scope import names_in
from subscriptions.notices.mail import HEADERS
from subscriptions.notices.transport import NoServer
from subscriptions.notifications.accounts.mandatory_mail import hand_over
from subscriptions.reclaims.switches import Operation, control_allowing

logger = logging.getLogger(__name__)

# Days before the end of a token. A token that lives no longer than that gets no such mail.
WARNINGS: Final = (3, 14)
# In place of days: the mail that the token was made.
MADE: Final = 0


def anything_to_tell() -> bool:
    return bool(_due())


def tell() -> int:
    """Hand over the mails that are due, outside of any transaction. Returns about how many tokens."""
    done = 0
    for token, days in _due():
        try:
            readers = {user.email.strip(): user for user in (token.made_by, token.user) if user.email.strip()}
            sent, failed = hand_over(readers, partial(message_about, token, days))
        except NoServer as error:
            logger.warning("The mails about the API token %s wait for the mail server (%s)", token.pk, error)
            return done
        if failed and not sent:
            logger.warning("Nobody got the mail about the API token %s: %s", token.pk, failed)
            continue
        done += _note(token, days, {"to": sent, "failed": failed})
    return done


def _due() -> list[tuple[ApiToken, int]]:
    """Each token with the mail that it needs now: one that was made, also if it has ended since, or one that ends."""
    known = ApiToken.objects.filter(Exists(control_allowing(Operation.ASK))).select_related("user", "made_by", "role")
    found = [(token, MADE) for token in known.filter(told_at=None)]
    now = database_now()
    ending = known.filter(pk__in=open_tokens(), told_at__isnull=False, user__is_active=True)
    for token in ending.filter(expires_at__lte=now + timedelta(days=max(WARNINGS))):
        days = next(days for days in WARNINGS if token.expires_at <= now + timedelta(days=days))
        is_new = token.warned_days is None or token.warned_days > days
        if is_new and token.expires_at - token.made_at > timedelta(days=days):
            found.append((token, days))
    return found


def _note(token: ApiToken, days: int, data: dict[str, object]) -> bool:
    rows = ApiToken.objects.filter(pk=token.pk, **({"warned_days": token.warned_days} if days else {"told_at": None}))
    with transaction.atomic():
        if rows.update(**({"warned_days": days} if days else {"told_at": database_now()})) != 1:
            return False
        about = {"token": token.pk, "name": token.name, "prefix": token.prefix, "days": days, **data}
        row = Row(ACCOUNT, token.user_id, token.user.get_username(), about)
        record_rows(Action.API_TOKEN_MAILED, actor=None, rows=[row])
    return True


def message_about(token: ApiToken, days: int, user: User, address: str) -> EmailMessage:
    if days:
        subject = ngettext(
            "LicenseHub: the API token “{name}” ends in {days} day",
            "LicenseHub: the API token “{name}” ends in {days} days",
            days,
        )
        body = _(
            "The API token “{name}” of {account} ends on {ends}. From then on, programs that use it are refused.\n\n"
            "{facts}\n\nIf it is still needed, make another one and give it to the program: sign in at {url}, then "
            "“Your account”, then “API tokens”. If not, end it there.\n"
        )
    else:
        subject = _("LicenseHub: a new API token “{name}” for {account}")
        body = _(
            "{maker} made the API token “{name}”. Who has it acts as {account}.\n\n{facts}\n\nIf you do not know about "
            "it, end it at once, change your password, and tell a company admin: sign in at {url}, then “Your "
            "account”, then “API tokens”. You cannot switch this mail off.\n"
        )
    values = {
        "name": token.name,
        "account": account_of(token.user),
        "maker": account_of(token.made_by),
        "ends": day(token.expires_at),
        "facts": _facts(token),
        "url": f"{settings.PUBLIC_URL}/admin/",
        "days": days,
    }
    return EmailMessage(subject=subject.format(**values), body=body.format(**values), to=[address], headers=HEADERS)


def _facts(token: ApiToken) -> str:
    role = translated(token.role.name) if token.role else "–"
    lines = [
        _("Begins with: {prefix}").format(prefix=f"lh_{token.prefix}"),
        _("Role: {role}").format(role=role),
        _("Profiles: {profiles}").format(profiles=names_in(frozenset(token.profiles) or None)),
        _("Valid until: {ends}").format(ends=day(token.expires_at)),
    ]
    if token.factor_at is not None:
        hours = settings.API_DECIDE_HOURS
        lines.append(
            ngettext(
                "A second factor was proved for it, so with the role Approver it decides for {hours} hour.",
                "A second factor was proved for it, so with the role Approver it decides for {hours} hours.",
                hours,
            ).format(hours=hours)
        )
    return "\n".join(lines)
