"""A small S3 on the loopback, with versions of no object and with object lock: a locked object is not deleted."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.support.servers.scripted_server import Reply, ScriptedServer, Seen

PAGE = 2  # keys on one page of a list


@dataclass
class StoredObject:
    body: bytes
    headers: dict[str, str]


@dataclass
class ObjectStore:
    """`objects` by their key. `forbid_reading`: as for credentials that may only write."""

    server: ScriptedServer = field(default_factory=ScriptedServer)
    objects: dict[str, StoredObject] = field(default_factory=dict)
    forbid_reading: bool = False

    def __post_init__(self) -> None:
        self.server.respond = self._answer

    def _answer(self, seen: Seen) -> Reply:
        parts = urlsplit(seen.path)
        key = unquote(parts.path.lstrip("/")).partition("/")[2]
        if seen.method == "PUT":
            self.objects[key] = StoredObject(seen.body, {k.lower(): v for k, v in seen.headers.items()})
            return Reply(raw=b"", headers={"ETag": '"1"'})
        if self.forbid_reading:
            return Reply(403, raw=b"<Error><Code>AccessDenied</Code><Message>No.</Message></Error>")
        if key:
            found = self.objects.get(key)
            return Reply(raw=found.body) if found else Reply(404, raw=b"<Error><Code>NoSuchKey</Code></Error>")
        return self._list(parse_qs(parts.query))

    def _list(self, query: dict[str, list[str]]) -> Reply:
        start = query.get("continuation-token", [""])[0]
        keys = [key for key in sorted(self.objects) if key.startswith(query["prefix"][0]) and key > start]
        page, more = keys[:PAGE], len(keys) > PAGE
        entries = "".join(f"<Contents><Key>{escape(key)}</Key></Contents>" for key in page)
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}"
        return Reply(raw=f"<ListBucketResult>{truncated}{entries}</ListBucketResult>".encode())
