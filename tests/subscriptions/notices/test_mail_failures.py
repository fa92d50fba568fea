"""Each answer of a mail server has one meaning: only a clear refusal proves that it did not take the mail."""

from __future__ import annotations

from smtplib import SMTPDataError, SMTPHeloError, SMTPRecipientsRefused, SMTPSenderRefused, SMTPServerDisconnected

import pytest

from subscriptions.notices.mail_failures import Failure, failure_of, message_of

PAT, KIM = "pat@northwind.example", "kim@northwind.example"


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (SMTPHeloError(550, b"no"), Failure.DOWN),
        (SMTPSenderRefused(550, b"no", "licensehub@northwind.example"), Failure.DOWN),
        (SMTPRecipientsRefused({PAT: (451, b"later")}), Failure.LATER),
        (SMTPRecipientsRefused({PAT: (550, b"unknown"), KIM: (451, b"later")}), Failure.LATER),
        (SMTPRecipientsRefused({PAT: (550, b"unknown")}), Failure.REFUSED),
        (SMTPDataError(452, b"full"), Failure.LATER),
        (SMTPDataError(554, b"spam"), Failure.REFUSED),
        (SMTPDataError(250, b"what?"), Failure.DOUBT),
        (SMTPServerDisconnected("lost"), Failure.DOUBT),
        (TimeoutError("timed out"), Failure.DOUBT),
    ],
)
def test_only_an_answer_proves_that_a_mail_was_not_taken(error, failure):
    assert failure_of(error) is failure


def test_the_answer_of_the_server_is_shown():
    assert message_of(SMTPRecipientsRefused({PAT: (550, b"unknown")})) == "The mail server answered: 550 unknown"
    assert message_of(SMTPDataError(554, "spam")) == "The mail server answered: 554 spam"
    assert message_of(OSError("refused")) == "The mail server could not be reached, or was lost: refused"
    assert len(message_of(OSError("x" * 900))) == 500
