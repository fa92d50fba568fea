"""Each answer of a mail server has one meaning: only a clear refusal proves that it did not take the mail."""

from __future__ import annotations

from smtplib import (
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPHeloError,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)

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
        (SMTPAuthenticationError(535, b"5.7.8 Username and password not accepted"), Failure.DOWN),
        (SMTPDataError(454, b"4.7.0 Too many login attempts"), Failure.DOWN),
        (SMTPRecipientsRefused({PAT: (550, b"5.4.5 Daily user sending limit exceeded")}), Failure.DOWN),
        (SMTPRecipientsRefused({PAT: (421, b"4.4.5 closing")}), Failure.DOWN),
        (SMTPRecipientsRefused({PAT: (451, b"4.7.1 Greylisting in action")}), Failure.LATER),
        (
            SMTPRecipientsRefused({PAT: (550, b"5.7.60 Client does not have permissions to send as this sender")}),
            Failure.POLICY,
        ),
        (SMTPDataError(554, b"5.7.1 Message rejected under suspicion of spam"), Failure.POLICY),
        (SMTPRecipientsRefused({PAT: (550, b"5.1.1 No such user")}), Failure.REFUSED),
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
