"""The meaning of an error while a mail is handed over: may it be tried again, and what do people read about it?"""

from __future__ import annotations

from enum import StrEnum
from smtplib import SMTPDataError, SMTPHeloError, SMTPRecipientsRefused, SMTPSenderRefused


class Failure(StrEnum):
    """Why a mail was not handed over."""

    LATER = "later"  # not taken: try this mail again
    DOWN = "down"  # not taken, and the server would take no other mail either
    REFUSED = "refused"  # the server never takes mail for this person
    DOUBT = "doubt"  # the server may have taken it


def failure_of(error: Exception) -> Failure:
    """The meaning of this error (RFC 5321, section 4.2.1: 4xx is temporary, 5xx is permanent).

    Only an answer of the server proves that it did not take the mail. A lost connection may have lost that answer.
    """
    if isinstance(error, (SMTPSenderRefused, SMTPHeloError)):
        return Failure.DOWN
    if isinstance(error, SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
    elif isinstance(error, SMTPDataError):
        codes = [error.smtp_code]
    else:
        return Failure.DOUBT
    if any(400 <= code < 500 for code in codes):
        return Failure.LATER
    return Failure.REFUSED if all(500 <= code < 600 for code in codes) else Failure.DOUBT


def message_of(error: Exception) -> str:
    """The answer of the server, in a sentence for people."""
    if isinstance(error, SMTPRecipientsRefused):
        code, answer = next(iter(error.recipients.values()))
    elif isinstance(error, (SMTPSenderRefused, SMTPHeloError, SMTPDataError)):
        code, answer = error.smtp_code, error.smtp_error  # type: ignore[assignment]
    else:
        return f"The mail server could not be reached, or was lost: {error}"[:500]
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer)
    return f"The mail server answered: {code} {text}"[:500]
