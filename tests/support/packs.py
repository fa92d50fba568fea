"""An evidence pack in tests: make it, open it, and read its tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from zipfile import ZipFile

from subscriptions.evidence import tables
from subscriptions.evidence.pack import make_pack
from subscriptions.evidence.scope import Scope

PROOF = {"events.jsonl", "anchors.jsonl", "public-keys.txt", "verify.py", "manifest.json", "manifest.sig"}
FILES = {table.file for table in tables.TABLES} | {"report.html", "report.pdf"} | PROOF
BESIDE = {"manifest.json", "manifest.sig"}


def make(scope: Scope, *, language: str = "en", actor=None) -> bytes:
    file = io.BytesIO()
    make_pack(scope, file, language=language, actor=actor)
    return file.getvalue()


@contextmanager
def opened(data: bytes) -> Iterator[ZipFile]:
    with ZipFile(io.BytesIO(data)) as files:
        yield files


def rows(files: ZipFile, name: str) -> list[dict[str, str]]:
    text = files.read(name).decode()
    return [json.loads(line) for line in text.splitlines()] if "jsonl" in name else [*csv.DictReader(io.StringIO(text))]
