"""The limits of a download: the least that a client of Miro has to do."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from django.db import connection

COLUMNS = "id text, email text, active boolean, license text, role text, assigned timestamptz, seen timestamptz"


@dataclass(frozen=True, slots=True)
class Member:
    id: str
    email: str
    active: bool
    license: str
    role: str
    assigned: datetime | None
    seen: datetime | None


def bare(url: str) -> None:
    """Fetch all pages over one socket, and read only their cursors."""
    where = urlsplit(url)
    with socket.create_connection((str(where.hostname), where.port or 80)) as wire:
        cursor = ""
        while True:
            wire.sendall(f"GET /v2/orgs/1/members?limit=100&cursor={cursor} HTTP/1.1\r\n\r\n".encode())
            cursor = _body(wire).rsplit(b'"cursor":"', 1)[1].split(b'"')[0].decode()
            if not cursor:
                return


def _body(wire: socket.socket) -> bytes:
    read = b""
    while b"\r\n\r\n" not in read:
        read += wire.recv(1 << 18)
    head, _, body = read.partition(b"\r\n\r\n")
    length = int(head.rsplit(b" ", 1)[1])
    while len(body) < length:
        body += wire.recv(1 << 18)
    return body


def pages(url: str) -> Any:
    """Loop over the pages with requests.Session. Yields lists of members as JSON."""
    session, cursor = requests.Session(), ""
    while True:
        tail = f"&cursor={cursor}" if cursor else ""
        data = orjson.loads(session.get(f"{url}/v2/orgs/1/members?limit=100{tail}", timeout=60).content)
        yield data["data"]
        cursor = data["cursor"]
        if not cursor:
            return


def limit(url: str) -> None:
    """The limit L: that loop, typed members, and one COPY per page into an unlogged table. Nothing else."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS benchmark_limit")
        cursor.execute(f"CREATE UNLOGGED TABLE benchmark_limit ({COLUMNS})")
    for page in pages(url):
        members = [typed(item) for item in page]
        with connection.cursor() as cursor, cursor.copy("COPY benchmark_limit FROM STDIN") as copy:
            for one in members:
                copy.write_row((one.id, one.email, one.active, one.license, one.role, one.assigned, one.seen))


def typed(item: dict[str, Any]) -> Member:
    return Member(
        item["id"],
        item["email"],
        item["active"],
        item["license"],
        item["role"],
        _moment(item.get("licenseAssignedAt")),
        _moment(item.get("lastActivityAt")),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
