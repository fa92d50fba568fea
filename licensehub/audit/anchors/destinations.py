"""The destinations of anchors. Each takes one anchor, or raises NotTaken. The file is in `anchor_file`."""

from __future__ import annotations

import base64
import re
import smtplib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from licensehub.audit.anchors.anchor import Anchor
from licensehub.audit.anchors.anchor_file import AnchorFile
from licensehub.audit.anchors.keys import current_keys
from licensehub.audit.anchors.time_stamp import TimeStampAuthority
from licensehub.audit.outgoing import post
from licensehub.audit.outside import NotTaken, refuse_in_transaction
from licensehub.database.clock import database_now

# The name of its row.
MAIL = "anchor.mail"
# So many of the newest anchors are read from a bucket. Older ones are in the file.
MAX_READ = 5000


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


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An anchor that was read from a bucket, and the host whose file has it."""

    anchor: Anchor
    host: str


class Bucket:
    """One object for each anchor in an S3 bucket, locked against change and deletion (S3 Object Lock)."""

    def __init__(self, host: str) -> None:
        self._host = re.sub(r"[^A-Za-z0-9.-]", "-", host)

    def take(self, anchor: Anchor) -> None:
        refuse_in_transaction()
        until = database_now() + timedelta(days=settings.ANCHOR_S3_DAYS)
        self._ask(
            "put_object",
            Bucket=settings.ANCHOR_S3_BUCKET,
            Key=f"{settings.ANCHOR_S3_PREFIX}{anchor.sequence:015d}_{anchor.at:%Y%m%dT%H%M%S%f}_{self._host}.json",
            Body=anchor.text().encode(),
            ContentType="application/json",
            ChecksumAlgorithm="SHA256",
            ObjectLockMode=settings.ANCHOR_S3_MODE,
            ObjectLockRetainUntilDate=until,
        )

    def read(self) -> Iterator[StoredObject]:
        """The newest anchors, oldest first. An object that is no anchor is left out. Raises NotTaken."""
        names = self._names()[-MAX_READ:]
        where = gettext_noop("the bucket {name}").format(name=settings.ANCHOR_S3_BUCKET)
        with ThreadPoolExecutor(8) as pool:
            for name, text in zip(names, pool.map(self._read_one, names), strict=True):
                try:
                    anchor = Anchor.from_text(text, where=where)
                except ValueError:
                    continue
                yield StoredObject(anchor, name.removesuffix(".json").rpartition("_")[2])

    def is_of_this_host(self, found: StoredObject) -> bool:
        return found.host == self._host

    def _names(self) -> list[str]:
        names: list[str] = []
        more: dict[str, str] = {}
        while True:
            page = self._ask(
                "list_objects_v2", Bucket=settings.ANCHOR_S3_BUCKET, Prefix=settings.ANCHOR_S3_PREFIX, **more
            )
            names += [entry["Key"] for entry in page.get("Contents", [])]
            if not page.get("IsTruncated"):
                return sorted(names)
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _read_one(self, name: str) -> str:
        # An overwritten object has its first version still; that one is locked as well.
        found = self._ask("get_object", Bucket=settings.ANCHOR_S3_BUCKET, Key=name)
        return str(found["Body"].read(16 * 1024).decode(errors="replace"))

    def _ask(self, operation: str, **parameters: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(_client(), operation)(**parameters)
        except ClientError as error:
            raise NotTaken(f"The bucket answered {error.response['Error'].get('Code', 'with an error')}.") from error
        except BotoCoreError as error:
            raise NotTaken(f"The bucket cannot be reached ({type(error).__name__}).") from error


def _client() -> Any:
    """A client with the credentials of the environment. boto3 is imported late: it takes a third of a second."""
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        "s3",
        region_name=settings.ANCHOR_S3_REGION or None,
        endpoint_url=settings.ANCHOR_S3_ENDPOINT or None,
        verify=settings.AUDIT_CA_BUNDLE or None,
        config=Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2}),
    )


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
        found["anchor.time_stamp"] = TimeStampAuthority()
    return found
