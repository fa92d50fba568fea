"""Mails about accounts, which nobody can switch off: handed over at once, each in the language of its reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.utils import translation

from integrations.mail_config import NOWHERE
from integrations.scopes.account_scopes import scope_of
from integrations.scopes.visibility import seen_by
from subscriptions.accounts.settings import mail_language_of
from subscriptions.notices.transport import MailServer


def hand_over(
    readers: Mapping[str, User], message_for: Callable[[User, str], EmailMessage]
) -> tuple[list[str], dict[str, str]]:
    """Return the addresses that the server took, and the others with its words; neither without a mail server.

    `readers`: address -> account. `message_for(account, address)` names only profiles that the account sees. Call it
    outside of any transaction. Raises NoServer.
    """
    sent: list[str] = []
    failed: dict[str, str] = {}
    if settings.EMAIL_BACKEND in NOWHERE:
        return sent, failed
    with MailServer() as server:
        for address, user in readers.items():
            server.ready()
            with translation.override(mail_language_of(user)), seen_by(partial(scope_of, user)):
                message = message_for(user, address)
            if failure := server.hand_over(message):
                failed[address] = failure[1]
            else:
                sent.append(address)
    return sent, failed
