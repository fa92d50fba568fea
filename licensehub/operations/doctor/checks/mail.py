"""Mails: can they reach anybody, and does one wait because the mail server takes none?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.core.mail import EmailMessage

from integrations.connectors.contract import english, english_plural
from integrations.mail_config import NOWHERE, mail_problem
from licensehub.build import version
from licensehub.database.clock import database_now
from licensehub.operations.doctor.findings import Context, Finding, Level, Step, check, without_addresses
from subscriptions.models import Notice, NoticeState, NotificationMail
from subscriptions.notices.transport import MailServer, NoServer

LATELY: Final = timedelta(days=1)
CLOCK_STARTS: Final = english("The time to answer starts when the mail has been sent.")
RESTART_MAIL: Final = "sudo systemctl restart 'licensehub-worker@*'"


@check("mail")
def mail(context: Context) -> Finding:
    """No mail waits because of the mail server, and none was refused or lost lately."""
    if problem := mail_problem():
        said, _dot, step = problem.partition(". ")
        return Finding(
            Level.ACT, english("Mails reach nobody"), detail=f"{said}.", waits=CLOCK_STARTS, steps=(Step(step),)
        )
    asks = Notice.objects.filter(state=NoticeState.DUE).exclude(problem="")
    tells = NotificationMail.objects.filter(state=NoticeState.DUE).exclude(problem="")
    questions, notices = asks.count(), tells.count()
    if questions + notices:
        return _waiting(
            questions, notices, (asks.first() or tells.get(pk=tells.values_list("pk")[:1])).problem, context
        )
    context.memory.pop("since", None)
    failed = Notice.objects.filter(
        state__in=(NoticeState.FAILED, NoticeState.IN_DOUBT), due_at__gte=database_now() - LATELY
    )
    if count := failed.count():
        text = english_plural(
            "{count} mail was not taken in the last day.", "{count} mails were not taken in the last day.", count
        ).format(count=count)
        steps = (Step(english("Open the requests that ask people: each names whom it did not reach, and why.")),)
        return Finding(Level.LOOK, english("Some people could not be asked"), detail=text, steps=steps)
    if settings.EMAIL_BACKEND in NOWHERE:
        return _to_the_log()
    return Finding(Level.OK, english("No mail waits"), f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}")


def _to_the_log() -> Finding:
    """The installation has no HTTPS, so it may be one for trying out, where mails are read in the log."""
    detail = english(
        "People who are asked about their license, and colleagues who should be told, get nothing. Each mail is in the "
        "log of the workers."
    )
    step = english("Set EMAIL_URL on all hosts, and restart LicenseHub there. A trial on one machine works without it.")
    steps = (Step(step),)
    return Finding(Level.LOOK, english("Mails reach nobody"), english("to the log"), detail, steps=steps)


def _waiting(questions: int, notices: int, problem: str, context: Context) -> Finding:
    since = context.memory.setdefault("since", database_now().isoformat())
    count = questions + notices
    told = english_plural("{count} mail waits and is not lost.", "{count} mails wait, and none is lost.", count)
    waits = [told.format(count=count)]
    if questions:
        asked = english_plural("{count} asks a person.", "{count} ask people.", questions)
        waits.append(asked.format(count=questions))
    if notices:
        informed = english_plural("{count} tells a colleague.", "{count} tell colleagues.", notices)
        waits.append(informed.format(count=notices))
    return Finding(
        Level.ACT,
        english("Mails are not sent"),
        english_plural("{count} waits", "{count} wait", count).format(count=count),
        without_addresses(problem),
        " ".join([*waits, CLOCK_STARTS]),
        (
            Step(
                english(
                    "Repair the mail server, or put its new password into EMAIL_URL of all hosts and restart them."
                ),
                RESTART_MAIL,
            ),
            Step(english("Send a test mail to yourself. When it is sent, LicenseHub sends the others by itself.")),
        ),
        datetime.fromisoformat(since),
    )


def send_to(address: str) -> Finding:
    """Really send a mail, with the settings of this process."""
    if settings.EMAIL_BACKEND in NOWHERE:
        steps = (Step(english("Set EMAIL_URL.")),)
        return Finding(Level.LOOK, english("The mail went to the log, since EMAIL_URL is not set"), steps=steps)
    with MailServer() as server:
        try:
            server.ready()
            failure = server.hand_over(_test_mail(address))
            problem = failure[1] if failure else None
        except NoServer as error:
            problem = str(error)
    if problem is not None:
        steps = (
            Step(english("Compare EMAIL_URL with what the mail server expects: address, port, TLS, user, password.")),
        )
        return Finding(Level.ACT, english("The mail server did not take the mail"), detail=problem, steps=steps)
    steps = (
        Step(english("Look into your mailbox and its spam folder. If it does not come, ask who runs the mail server.")),
    )
    return Finding(Level.OK, english("The mail server took the mail"), steps=steps)


def _test_mail(address: str) -> EmailMessage:
    body = english(
        "This is a test mail of LicenseHub {version} at {url}.\n\nIt was sent because somebody with this address asked "
        "for it. There is nothing to do."
    )
    return EmailMessage(
        english("Test mail of LicenseHub"), body.format(version=version(), url=settings.PUBLIC_URL), to=[address]
    )
