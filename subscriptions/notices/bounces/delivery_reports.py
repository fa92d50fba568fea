"""Delivery status notifications: the mails that say that a mail did not arrive (RFC 3464).

Anybody can write to the mailbox of the bounces. So a report counts only with the token of our own mail. Only the mail's
readers and the mail servers on its way have seen that token. A wrong report takes no seat: it only says that somebody
did not get the question.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage, Message

from django.core import signing

from subscriptions.models import Notice
from subscriptions.notices.mail_failures import kept

# The header of our mails that a report sends back. Some mail servers replace the Message-ID.
HEADER = "X-LicenseHub-Notice"
PURPOSE = "subscriptions.notices: a mail of ours"
MAX_TOKEN_LENGTH = 200
MAX_REASON_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Failure:
    """One mail of ours that was not delivered. `reason` is the answer of a mail server."""

    notice_id: int
    reason: str


def token_of(notice: Notice) -> str:
    """The value of HEADER for this mail."""
    return signing.Signer(salt=PURPOSE).sign(str(notice.pk))


def read_report(raw: bytes) -> Failure | None:
    """The failure that a mail reports; None for every other mail, e.g. one that is only delayed."""
    message = message_from_bytes(raw, policy=policy.default)
    if not isinstance(message, EmailMessage) or message.get_content_type() != "multipart/report":
        return None
    failed = next(filter(_failed, _recipients(message)), None)
    notice_id = _notice_id(message)
    if failed is None or notice_id is None:
        return None
    return Failure(notice_id, _reason(failed))


def _recipients(message: EmailMessage) -> Iterator[Message]:
    """The fields about each recipient: each block after the first one of the part message/delivery-status."""
    for part in message.walk():
        if part.get_content_type() == "message/delivery-status" and isinstance(blocks := part.get_payload(), list):
            yield from (block for block in blocks[1:] if isinstance(block, Message))


def _failed(recipient: Message) -> bool:
    """Whether the mail failed for this recipient. The other actions are: delayed, delivered, relayed, expanded."""
    return str(recipient.get("Action", "")).strip().lower() == "failed"


def _reason(recipient: Message) -> str:
    """`550 5.1.1 No such user`, or else the status code alone."""
    diagnostic = str(recipient.get("Diagnostic-Code", "")).partition(";")[2] or str(recipient.get("Status", ""))
    return kept(diagnostic, MAX_REASON_LENGTH) or "without a reason"


def _notice_id(message: EmailMessage) -> int | None:
    """The notice whose mail, or whose headers, the report sends back."""
    for part in message.walk():
        text = str(part.get(HEADER, ""))
        if not text and part.get_content_type() == "text/rfc822-headers":
            text = _header_in(part.get_payload(decode=True))
        if text and len(text) <= MAX_TOKEN_LENGTH:
            try:
                return int(signing.Signer(salt=PURPOSE).unsign("".join(text.split())))
            except (signing.BadSignature, ValueError):
                continue
    return None


def _header_in(headers: object) -> str:
    return str(message_from_bytes(headers, policy=policy.default).get(HEADER, "")) if isinstance(headers, bytes) else ""
