"""Time stamps of anchors by a time stamp authority (RFC 3161): somebody else says that an anchor existed at a time."""

from __future__ import annotations

import base64
from datetime import datetime
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificates
from django.conf import settings
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from licensehub.audit.anchors.anchor import Anchor
from licensehub.audit.anchors.anchor_file import AnchorFile
from licensehub.audit.models import StoredAnchor
from licensehub.audit.outgoing import post
from licensehub.audit.outside import NotTaken


class TimeStampAuthority:
    """Asks for a time stamp of an anchor's line, checks it, and keeps it in the database and in the file."""

    def take(self, anchor: Anchor) -> None:
        """Raises NotTaken."""
        request = TimestampRequestBuilder().data(anchor.text().encode()).hash_algorithm(HashAlgorithm.SHA256).build()
        headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
        # The answer is signed, and many authorities have plain http only.
        answer = post(settings.ANCHOR_TSA_URL, request.as_bytes(), headers, plain_http=True)
        stamped_at(anchor, answer, nonce=request.nonce)
        token = base64.b64encode(answer).decode()
        AnchorFile().take_time_stamp(anchor, token)
        StoredAnchor.objects.filter(signature=anchor.signature).update(time_stamp=token)


def stamped_at(anchor: Anchor, answer: bytes, *, nonce: int | None = None) -> datetime:
    """The moment for which the authority has stamped this anchor. Raises NotTaken for an answer that proves nothing."""
    try:
        response: TimeStampResponse = decode_timestamp_response(answer)
        builder = VerifierBuilder()
        for certificate in load_pem_x509_certificates(Path(settings.ANCHOR_TSA_CA_FILE).read_bytes()):
            builder = builder.add_root_certificate(certificate)
        if nonce is not None:
            builder = builder.nonce(nonce)
        builder.build().verify_message(response, anchor.text().encode())
    except OSError as error:
        raise NotTaken("The file ANCHOR_TSA_CA_FILE cannot be read.") from error
    except (VerificationError, ValueError) as error:
        raise NotTaken(f"The time stamp is not valid: {error}") from error
    return response.tst_info.gen_time
