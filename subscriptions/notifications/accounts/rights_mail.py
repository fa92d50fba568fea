"""The mails about a change of rights: at once, to those who decide, to the admins, and to the person concerned.

Nobody can switch them off. The day after which a change takes effect begins when they were handed over, so it is later
while the mail server is away. Without a mail server nobody is told, so no change takes effect by time.
"""

from __future__ import annotations

import logging
from functools import partial

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Exists
from django.db.models.functions import Now
from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.scopes.account_scopes import scope_of
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.ui.formatting import name_of
from subscriptions.accounts.rights_changes import BY_SIGN_ON
from subscriptions.accounts.scope import names_for_reader, profiles_in
from subscriptions.models import ChangeKind, RightsChange
from subscriptions.notices.mail import plain_mail
from subscriptions.notices.transport import NoServer
from subscriptions.notifications.accounts.mandatory_mail import hand_over
from subscriptions.notifications.accounts.rights_readers import readers_of
from subscriptions.reclaims.switches import Operation, control_allowing

logger = logging.getLogger(__name__)


def anything_to_announce() -> bool:
    return RightsChange.objects.filter(announced_at=None).exists()


def announce() -> int:
    """Hand over the mails about new changes, outside of any transaction. Returns for how many changes."""
    done = 0
    for change in RightsChange.objects.filter(Exists(control_allowing(Operation.ASK)), announced_at=None):
        try:
            sent, failed = hand_over(readers_of(change), partial(message_about, change))
        except NoServer as error:
            logger.warning("The mails about %s wait for the mail server (%s)", change, error)
            return done
        if failed and not sent:
            logger.warning("Nobody got the mail about %s: %s", change, failed)
            continue
        with transaction.atomic():
            if RightsChange.objects.filter(pk=change.pk, announced_at=None).update(announced_at=Now()) == 1:
                data = {"change": change.pk, "to": sent, "failed": failed}
                record(Action.RIGHTS_ANNOUNCED, actor=None, target=change.account, data=data)
                done += 1
    return done


def message_about(change: RightsChange, user: User, address: str) -> EmailMessage:
    page = settings.PUBLIC_URL + reverse("admin:subscriptions_rightschange_change", args=[change.pk])
    body = _text_for(change, user).format(sentence=sentence_of(change), when=_when(change), page=page)
    subject = _("LicenseHub: {what} for {account}").format(
        what=ChangeKind(change.kind).label, account=name_of(change.account)
    )
    return plain_mail(address, subject, body)


def _text_for(change: RightsChange, user: User) -> str:
    if change.comment == BY_SIGN_ON:
        return _(
            "{sentence}\n\nThis right is in effect: a group of the company's sign-on gives the role. If you do not "
            "know about it, have the group taken away at the provider, and tell your admins:\n\n{page}\n\nYou cannot "
            "switch this mail off.\n"
        )
    if scope_of(user) is None:
        return _(
            "{sentence}\n\n{when} Until then, the account cannot use it to decide. Every admin and Approver can refuse "
            "it:\n\n{page}\n\nIf you do not know about this change, refuse it now. You cannot switch this mail off.\n"
        )
    return _(
        "{sentence}\n\n{when} Until then, the account cannot use it to decide. Your roles hold for some profiles "
        "only, so you cannot open the page of this change:\n\n{page}\n\nIf you do not know about this change, tell "
        "your admins, or an Approver for all profiles. They can refuse it there. You cannot switch this mail off.\n"
    )


def _when(change: RightsChange) -> str:
    if change.kind != ChangeKind.GRANT:
        return _("This change takes effect when a second admin confirms it, or a day after this mail.")
    return _(
        "This right takes effect when a second admin confirms it after the person has joined. A day after this mail it "
        "takes effect without an admin, if the person has joined then with a link or a password that nobody else has "
        "seen."
    )


def sentence_of(change: RightsChange) -> str:
    """Say in one sentence what was asked."""
    if change.comment == BY_SIGN_ON:
        asked_by = _("The company's sign-on")
    elif change.asked_by:
        asked_by = name_of(change.asked_by)
    else:
        asked_by = _("Somebody outside of the pages, e.g. at the console,")
    values = {"name": asked_by, "account": name_of(change.account), "username": change.account.get_username()}
    if change.kind == ChangeKind.GRANT:
        text = _("{name} gives {account} ({username}) the right to decide on requests: {after}.")
    elif change.kind == ChangeKind.ADDRESS:
        text = _("{name} asks to change the address of {account} ({username}) from {before} to {after}.")
    elif change.kind == ChangeKind.PASSWORD:
        text = _("{name} asks to set a new password for {account} ({username}).")
    elif change.kind == ChangeKind.SCOPE:
        text = _("{name} asks that the roles of {account} ({username}) hold for {after}. Today they hold for {before}.")
    else:
        text = _("{name} asks to make {account} ({username}) a superuser.")
    before, after = values_of(change)
    return text.format(**values, before=before or "–", after=after or _("single rights"))


def values_of(change: RightsChange) -> tuple[str, str]:
    """Return the values before and after the change, for readers: names of profiles in place of their ids, as far as
    the reader may see them.
    """
    if change.kind != ChangeKind.SCOPE:
        return change.before, change.after
    return names_for_reader(profiles_in(change.before)), names_for_reader(profiles_in(change.after))
