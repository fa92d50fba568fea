"""The destinations of anchors. Each takes one anchor, or raises NotTaken. The file is in `anchor_file`, the bucket
in `bucket`."""

from __future__ import annotations

import base64
import smtplib
from typing import Protocol

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import translation
from django.utils.translation import gettext as _

from licensehub.audit.anchors.anchor import Anchor
from licensehub.audit.anchors.anchor_file import AnchorFile
from licensehub.audit.anchors.bucket import Bucket
from licensehub.audit.anchors.keys import current_keys
from licensehub.audit.outgoing import post
from licensehub.audit.outside import NotTaken, refuse_in_transaction

# The name of its row.
MAIL = "anchor.mail"


class AnchorDestination(Protocol):
    """A place that takes anchors."""

    def take(self, anchor: Anchor) -> object:
        """Take one anchor. Raises NotTaken."""
        ...


class ByMail:
    """A mail with the anchor as its last line."""

    def take(self, anchor: Anchor) -> None:
        refuse_in_transaction()
        with translation.override(settings.DEFAULT_LANGUAGE):
            text = _(
                "Keep this mail. It proves the audit log of LicenseHub up to event {sequence}, which was its last "
                "event at {at} (UTC). The next line is the signed anchor. docs/anchors.md says how to check it."
            ).format(sequence=anchor.sequence, at=f"{anchor.at:%Y-%m-%d %H:%M:%S}")
            subject = _("LicenseHub: audit anchor for event {sequence}").format(sequence=anchor.sequence)
        try:
            EmailMessage(subject, f"{text}\n\n{anchor.text()}\n", to=settings.ANCHOR_MAIL_TO).send()
        except (smtplib.SMTPException, OSError) as error:
            raise NotTaken(f"The mail server did not take the mail ({type(error).__name__}).") from error


class ByHttps:
    """POST of the anchor as JSON. The header `LicenseHub-Signature` has the key id and the signature of the body."""

    def take(self, anchor: Anchor) -> None:
        keys, body = current_keys(), anchor.text().encode()
        if keys.signing is None:
            raise NotTaken("There is no private key.")
        signature = base64.b64encode(keys.signing.sign(body)).decode()
        headers = {
            "Content-Type": "application/json",
            "LicenseHub-Signature": f'keyid="{keys.signing_id}", alg="ed25519", signature="{signature}"',
        }
        if settings.ANCHOR_HTTPS_TOKEN:
            headers["Authorization"] = f"Bearer {settings.ANCHOR_HTTPS_TOKEN}"
        post(settings.ANCHOR_HTTPS_URL, body, headers)


def configured(host: str) -> dict[str, AnchorDestination]:
    """All destinations that are set up, by the names of their rows."""
    found: dict[str, AnchorDestination] = {"anchor.file": AnchorFile()}
    if settings.ANCHOR_MAIL_TO:
        found[MAIL] = ByMail()
    if settings.ANCHOR_HTTPS_URL:
        found["anchor.https"] = ByHttps()
    if settings.ANCHOR_S3_BUCKET:
        found["anchor.bucket"] = Bucket(host)
    if settings.ANCHOR_TSA_URL:
        # Here, since few installations need what it imports.
        from licensehub.audit.anchors.time_stamp import TimeStampAuthority

        found["anchor.time_stamp"] = TimeStampAuthority()
    return found
