"""The meaning of an error while a mail is handed over: may it be tried again, and what do people read about it?"""

from __future__ import annotations

import re
from enum import StrEnum
from smtplib import SMTPAuthenticationError, SMTPDataError, SMTPHeloError, SMTPRecipientsRefused, SMTPSenderRefused
from urllib.parse import urlsplit

from django.conf import settings

from integrations.connectors.contract import english
from licensehub.logs.known_secrets import MASK, without_secrets
from licensehub.outbound.foreign_text import one_line

MAX_TEXT = 500  # characters that are kept


class Failure(StrEnum):
    """The reason for which a mail was not handed over."""

    LATER = "later"  # not taken: try this mail again
    DOWN = "down"  # not taken, and the server would take no other mail either
    REFUSED = "refused"  # the server never takes mail for this person
    POLICY = "policy"  # a rule of the server refused it: about this person, or about all our mails
    DOUBT = "doubt"  # the server may have taken it


# Replies that say nothing about the person: closing, no sign-in (RFC 5321, RFC 4954).
ABOUT_US = frozenset({421, 454, 530, 534, 535, 538})
# The same in enhanced status codes (RFC 3463): the server is full or off, and the sender's quota is used up.
ABOUT_US_ENHANCED = ("4.3.1", "4.3.2", "5.3.2", "5.4.5", "4.7.0")
ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})\b")


def failure_of(error: Exception) -> Failure:
    """The meaning of this error (RFC 5321, section 4.2.1: 4xx is temporary, 5xx is permanent).

    Only an answer of the server proves that it did not take the mail. A lost connection may have lost that answer.
    """
    if isinstance(error, (SMTPSenderRefused, SMTPHeloError, SMTPAuthenticationError)):
        return Failure.DOWN
    if isinstance(error, SMTPRecipientsRefused):
        replies: list[tuple[int, bytes | str]] = list(error.recipients.values())
    elif isinstance(error, SMTPDataError):
        replies = [(error.smtp_code, error.smtp_error)]
    else:
        return Failure.DOUBT
    found = {_meaning(code, _text(reply)) for code, reply in replies}
    # If a failure has several meanings, the one that says least about the person counts.
    return next((meaning for meaning in BY_CAUTION if meaning in found), Failure.DOUBT)


BY_CAUTION = (Failure.DOWN, Failure.LATER, Failure.DOUBT, Failure.POLICY, Failure.REFUSED)


def _meaning(code: int, text: str) -> Failure:
    enhanced = found.group(1) if (found := ENHANCED.match(text)) else ""
    if code in ABOUT_US or enhanced in ABOUT_US_ENHANCED:
        return Failure.DOWN
    if 400 <= code < 500:
        return Failure.LATER
    if not 500 <= code < 600:
        return Failure.DOUBT
    return Failure.POLICY if enhanced.startswith("5.7.") else Failure.REFUSED


def _text(reply: bytes | str) -> str:
    return reply.decode(errors="replace") if isinstance(reply, bytes) else reply


def message_of(error: Exception) -> str:
    """The answer of the server, in a sentence for people."""
    if isinstance(error, SMTPRecipientsRefused):
        code, answer = next(iter(error.recipients.values()))
    elif isinstance(error, (SMTPSenderRefused, SMTPHeloError, SMTPAuthenticationError, SMTPDataError)):
        code, answer = error.smtp_code, error.smtp_error  # type: ignore[assignment]  # typed as bytes or text
    else:
        return kept(english("The mail server could not be reached, or was lost: {error}").format(error=error))
    return kept(english("The mail server answered: {code} {text}").format(code=code, text=_text(answer)))


def kept(text: str, most: int = MAX_TEXT) -> str:
    """The words of a mail server as they are stored and shown.

    It has our password and the links of the mail, and may repeat both, e.g. the link that it takes for spam.
    """
    host = urlsplit(settings.PUBLIC_URL).netloc
    bare = re.sub(rf"{re.escape(host)}/\S*", f"{host}/{MASK}", one_line(text), flags=re.IGNORECASE)
    return without_secrets(bare)[:most]
