"""The mail that asks somebody, and its reminder: text and HTML, with the link to *My license*."""

from __future__ import annotations

from datetime import datetime

from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import translation

from licensehub.ui.languages import default_language, known_language
from subscriptions.approvals.collecting import answer_by
from subscriptions.models import Notice, NoticeKind, RequestedRemoval, Subscription
from subscriptions.notices.answers import ends_at, link_for
from subscriptions.notices.bounces.delivery_reports import HEADER, token_of
from subscriptions.notices.mail_and_page import shared_context

# Automatic replies (e.g. out of office) are not wanted.
HEADERS = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}


def plain_mail(address: str, subject: str, body: str) -> EmailMessage:
    """A mail to a colleague. It is plain text, from the default sender."""
    return EmailMessage(subject=subject, body=body, to=[address.strip()], headers=HEADERS)


def mail_for(notice: Notice) -> EmailMultiAlternatives:
    """The complete mail, in the language of its reader. The deadline of the first question is counted from now."""
    person = notice.removal
    with translation.override(language_of_person(person.candidate.subscription)):
        return _mail(notice, person, deadline=answer_by(person))


def language_of_person(person: Subscription) -> str:
    """The first language of the directory that LicenseHub speaks, else the default one. RFC 7643 has `de, en;q=0.7`."""
    wanted = (known_language(part.partition(";")[0]) for part in person.language.split(","))
    return next(filter(None, wanted), default_language())


def _mail(notice: Notice, person: RequestedRemoval, *, deadline: datetime) -> EmailMultiAlternatives:
    context = {
        **shared_context(person, deadline=deadline, kind=NoticeKind(notice.kind)),
        "link": link_for(person, until=ends_at(deadline), email=notice.email),
        "email": notice.email,
    }
    message = EmailMultiAlternatives(
        subject=context["wording"].subject,
        body=render_to_string("notices/mail.txt", context),
        to=[notice.email],
        reply_to=[context["reply_to"]] if context["reply_to"] else None,
        headers={**HEADERS, HEADER: token_of(notice)},
    )
    message.attach_alternative(render_to_string("notices/mail.html", context), "text/html")
    return message
