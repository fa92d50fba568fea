"""Anchors in an S3 bucket with object lock: one object for each."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import Any, Final

from django.conf import settings
from django.utils.translation import gettext_noop
from urllib3 import HTTPResponse

from licensehub.audit.anchors.anchor import Anchor
from licensehub.audit.outgoing import exchange
from licensehub.audit.outside import NotTaken, refuse_in_transaction
from licensehub.database.clock import database_now

# So many of the newest anchors are read. Older ones are in the file.
MAX_READ: Final = 5000
MAX_ANSWER: Final = 2 * 1024 * 1024  # bytes: a page of a list has 1000 names
LIST_SECONDS: Final = 300
MAX_NAMES: Final = 1_000_000  # a hundred years of an anchor each hour


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
        """All names in the bucket. Raises NotTaken, also for a list that never ends."""
        names: list[str] = []
        more: dict[str, str] = {}
        ends_at = time.monotonic() + LIST_SECONDS
        while time.monotonic() < ends_at and len(names) < MAX_NAMES:
            page = self._ask(
                "list_objects_v2", Bucket=settings.ANCHOR_S3_BUCKET, Prefix=settings.ANCHOR_S3_PREFIX, **more
            )
            names += [entry.get("Key", "") for entry in page.get("Contents", [])]
            if not page.get("IsTruncated"):
                return sorted(names)
            if (token := page.get("NextContinuationToken", "")) in ("", more.get("ContinuationToken")):
                raise NotTaken("The bucket's list does not go on.")
            more = {"ContinuationToken": token}
        raise NotTaken("The bucket's list has no end.")

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

    client = boto3.session.Session().client(
        "s3",
        region_name=settings.ANCHOR_S3_REGION or None,
        endpoint_url=settings.ANCHOR_S3_ENDPOINT or None,
        config=Config(retries={"total_max_attempts": 2}),
    )
    # https://boto3.amazonaws.com/v1/documentation/api/latest/guide/events.html
    client.meta.events.register("before-send.s3", _send)
    return client


def _send(request: Any, **_: Any) -> Any:
    """Sends in place of botocore, which reads an answer of any size for as long as bytes come. Raises NotTaken."""
    from botocore.awsrequest import AWSResponse

    body = request.body.read() if hasattr(request.body, "read") else request.body or b""
    headers = {name: text if isinstance(text, str) else text.decode() for name, text in request.headers.items()}
    headers.pop("Transfer-Encoding", None)  # the body is here as a whole, and its length is known
    answer = exchange(request.method, request.url, body, headers, most=MAX_ANSWER)
    raw = HTTPResponse(BytesIO(answer.body), preload_content=False)
    return AWSResponse(request.url, answer.status, answer.headers, raw)
