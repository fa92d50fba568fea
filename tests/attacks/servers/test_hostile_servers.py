"""Servers that LicenseHub calls, and that answer for ever, byte by byte, or with more than the memory holds.

Each call ends at a time that is known before, whatever the server sends, and says that it failed.
"""

from __future__ import annotations

import gzip
import os
import random
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, repeat
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from licensehub.audit import outgoing
from licensehub.audit.anchors import bucket as buckets
from licensehub.audit.anchors.bucket import Bucket
from licensehub.audit.anchors.time_stamp import stamped_at
from licensehub.audit.outside import NotTaken
from licensehub.audit.stream import syslog
from licensehub.outbound import pinned
from licensehub.outbound.addresses import parse
from licensehub.outbound.deadlines import Deadline
from licensehub.outbound.pinned import Limits, NoAnswer
from licensehub.outbound.sessions import PlainSession
from subscriptions.notices.bounces import bounce_mailbox
from subscriptions.notices.bounces.bounce_mailbox import read_bounces
from subscriptions.notices.mail_failures import message_of
from subscriptions.notices.transport import MailServer, NoServer
from subscriptions.webhooks.guarded import policy
from tests.support.anchors import act
from tests.support.servers.object_store import ObjectStore
from tests.support.servers.raw_server import RawServer, deaf_port, endless
from tests.support.servers.scripted_server import Reply, Seen
from tests.support.servers.time_stamp_authority import Authority
from tests.support.servers.webhooks import endpoint

__all__ = ["endpoint"]

# Seconds that the calls have here, and that they take at most on a busy machine. Without an end they take minutes.
SHORT, MAX_SECONDS = 1.0, 40.0
MEMORY = 100 * 1024 * 1024


@contextmanager
def ends_in_time() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < MAX_SECONDS


@contextmanager
def takes_little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


@pytest.fixture
def raw() -> Iterator[Callable[..., RawServer]]:
    started: list[RawServer] = []

    def start(**manner: Any) -> RawServer:
        started.append(RawServer(**manner))
        return started[-1]

    yield start
    for server in started:
        server.stop()


# --- Connections ------------------------------------------------------------------------------------------------------


def test_a_name_with_many_dead_numbers_takes_no_longer_than_one(monkeypatch):
    """Control: by `urllib3`, each number has the whole time to connect, and nothing shuts a socket that is none yet."""
    with deaf_port() as port, ends_in_time(), Deadline(SHORT), PlainSession({}, None) as session:
        row = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [row] * 40)
        with pytest.raises(requests.ConnectionError):
            session.get(f"http://localhost:{port}/", timeout=(5, 5))


# --- Syslog -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drips", [False, True])
def test_a_syslog_receiver_that_never_stops_talking_takes_nothing(raw, monkeypatch, drips):
    """Control: with a limit for each wait only, this holds a worker for ever."""
    monkeypatch.setattr(syslog, "MAX_SECONDS", SHORT)
    server = raw(greets=lambda: endless(b"x" if drips else b"x" * 65536), drips=drips)
    with ends_in_time(), pytest.raises(NotTaken):
        syslog.send(syslog.Receiver("tcp", "127.0.0.1", server.port), [])


# --- Mail -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def mail_by_smtp(settings):
    settings.EMAIL_BACKEND = "licensehub.outbound.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_TIMEOUT = "127.0.0.1", SHORT
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "", ""
    return settings


# The beginning of a record of TLS that has 16,384 bytes.
RECORD = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"
ENDLESS_MAIL: dict[str, dict[str, Any]] = {
    "greeting": {"greets": lambda: endless(b"220-and so on\r\n" * 1000)},
    "greeting byte by byte": {"greets": lambda: endless(b"2"), "drips": True},
    "TLS byte by byte": {"greets": lambda: (bytes([one]) for one in chain(RECORD, repeat(0))), "drips": True},
    "answer": {"greets": lambda: [b"220 ready\r\n"], "answers": lambda line: endless(b"250-and so on\r\n" * 1000)},
    "answer byte by byte": {
        "greets": lambda: [b"220 ready\r\n"],
        "answers": lambda line: endless(b"2"),
        "drips": True,
    },
}


@pytest.mark.parametrize("manner", ENDLESS_MAIL)
def test_an_answer_of_the_mail_server_ends(raw, mail_by_smtp, manner):
    """Control: by `smtplib` it goes on for ever, and a fast one fills the memory with its lines."""
    server = raw(**ENDLESS_MAIL[manner])
    mail_by_smtp.EMAIL_PORT, mail_by_smtp.EMAIL_USE_SSL = server.port, manner.startswith("TLS")
    many = None if ENDLESS_MAIL[manner].get("drips") else "too many lines"
    with ends_in_time(), takes_little_memory(), MailServer() as mails, pytest.raises(NoServer, match=many):
        mails.ready()


def test_the_words_of_a_mail_server_hold_no_secret_and_no_odd_character(settings):
    """Control: without `kept`, whoever reads the audit comes in by the link, and PostgreSQL refuses the NUL."""
    import smtplib
    from base64 import b64encode

    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "ada@northwind.example", "pass word-of-mail"
    settings.PUBLIC_URL = "https://seats.northwind.example"
    plain = b64encode(b"\0ada@northwind.example\0pass word-of-mail").decode()
    login = b64encode(b"pass word-of-mail").decode()
    said = f"5.7.1 {plain} {login} pass word-of-mail https://SEATS.northwind.example/welcome/abc-123\0\r\n\udc80 spam"
    error = smtplib.SMTPDataError(554, said)
    assert message_of(error) == (
        "The mail server answered: 554 5.7.1 *** *** *** https://seats.northwind.example/*** spam"
    )


def answers_of_imap(line: bytes, then: Iterator[bytes]) -> Iterator[bytes]:
    tag = line.split()[0]
    if b"LOGIN" in line or b"SELECT" in line or b"CAPABILITY" in line:
        yield b"* CAPABILITY IMAP4rev1\r\n" + tag + b" OK done\r\n"
    elif b"SEARCH" in line:
        yield b"* SEARCH 1\r\n" + tag + b" OK done\r\n"
    else:
        yield from then


@pytest.mark.parametrize("manner", ["drips", "endless lines", "a literal of gigabytes"])
def test_a_mailbox_that_never_ends(raw, settings, monkeypatch, db, manner):
    """Control: `imaplib` reads as many bytes as the server announces, for as long as they come."""
    monkeypatch.setattr(bounce_mailbox, "TASK_SECONDS", SHORT)
    parts = {
        "drips": lambda: endless(b"* "),
        "endless lines": lambda: endless(b"* 1 EXISTS\r\n" * 1000),
        "a literal of gigabytes": lambda: iter([b"* 1 FETCH (BODY[] {9000000000}\r\n"]),
    }[manner]
    server = raw(
        greets=lambda: [b"* OK ready\r\n"], answers=lambda line: answers_of_imap(line, parts()), drips=manner == "drips"
    )
    settings.BOUNCE_MAILBOX_URL = f"imap://ada:s3cret@127.0.0.1:{server.port}/INBOX"
    with ends_in_time(), takes_little_memory(), pytest.raises((OSError, bounce_mailbox.imaplib.IMAP4.error)):
        read_bounces()


# --- Anchors ----------------------------------------------------------------------------------------------------------

HOSTILE = {
    "byte by byte": Reply(raw=b"x" * 10_000, manner="drip"),
    "headers byte by byte": Reply(manner="drip_head"),
    "a hundred thousand headers": Reply(raw=b"", headers={f"X-{number}": "x" for number in range(100_000)}),
    "a bomb": Reply(raw=gzip.compress(b"\0" * 1_000_000_000, 1), headers={"Content-Encoding": "gzip"}),
    "huge": Reply(raw=b"x" * 50_000_000),
    "a redirect inside": Reply(302, raw=b"", headers={"Location": "http://169.254.169.254/latest/meta-data/"}),
    "an entity bomb": Reply(
        raw=b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(f'<!ENTITY a{n} "{f"&a{n - 1 or str()};" * 10}">'.encode() for n in range(1, 12))
        + b"]><ListBucketResult><Name>&a11;</Name></ListBucketResult>"
    ),
}


@pytest.fixture
def bucket(settings, monkeypatch, allow_http):
    store = ObjectStore()
    allow_http(store.server.url)
    settings.ANCHOR_S3_BUCKET, settings.ANCHOR_S3_ENDPOINT = "anchors", store.server.url
    settings.ANCHOR_S3_REGION = "eu-central-1"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "tests")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(outgoing, "MAX_SECONDS", SHORT)
    yield store.server
    store.server.stop()


@pytest.mark.parametrize("manner", HOSTILE)
def test_a_hostile_bucket_is_left(bucket, db, manner):
    """Control: with botocore's own sender, the first two take hours, and the next ones the memory."""
    bucket.respond = lambda seen: HOSTILE[manner]
    with ends_in_time(), takes_little_memory(), pytest.raises(NotTaken):
        list(Bucket("host").read())


def test_a_list_that_never_ends_is_left(bucket, db, monkeypatch):
    monkeypatch.setattr(buckets, "LIST_SECONDS", SHORT)

    def answer(seen: Seen) -> Reply:
        token = int(parse_qs(urlsplit(seen.path).query).get("continuation-token", ["0"])[0]) + 1
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
        return Reply(raw=f"<ListBucketResult>{more}<Contents></Contents></ListBucketResult>".encode())

    bucket.respond = answer
    with ends_in_time(), pytest.raises(NotTaken, match="no end"):
        list(Bucket("host").read())


@pytest.mark.parametrize("manner", HOSTILE)
def test_a_hostile_endpoint_of_anchors_and_streams(receiver, monkeypatch, db, manner):
    monkeypatch.setattr(outgoing, "MAX_SECONDS", SHORT)
    receiver.replies = [HOSTILE[manner]]
    with ends_in_time(), takes_little_memory():
        if manner == "an entity bomb":
            assert outgoing.post(receiver.url, b"{}", {}), "nobody reads it"
        else:
            with pytest.raises(NotTaken):
                outgoing.post(receiver.url, b"{}", {})
    assert len(receiver.seen) == 1


@pytest.mark.parametrize("manner", HOSTILE)
def test_a_hostile_receiver_of_webhooks(endpoint, settings, manner):
    endpoint.respond = lambda seen: HOSTILE[manner]
    address, limits = parse(endpoint.address, policy()), Limits(total=SHORT)
    with ends_in_time(), takes_little_memory(), suppress(NoAnswer):
        found = pinned.post(address, ["127.0.0.1"], b"{}", {}, ca_bundle=settings.WEBHOOK_CA_BUNDLE, limits=limits)
        assert len(found.body) <= limits.answer
    assert len(endpoint.seen) == 1


def test_no_answer_of_a_time_stamp_authority_does_more_than_to_be_refused(anchoring, settings, tmp_path):
    """A panic of its parser, in Rust, would be no Exception, and end the worker."""
    act()
    anchor = anchoring.anchor()
    authority = Authority()
    settings.ANCHOR_TSA_CA_FILE = tmp_path / "root.pem"
    (tmp_path / "root.pem").write_bytes(authority.root_pem)
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    request = TimestampRequestBuilder().data(anchor.text().encode()).hash_algorithm(HashAlgorithm.SHA256).build()
    honest = authority.answer(request.as_bytes())
    assert stamped_at(anchor, honest, nonce=request.nonce)
    chance = random.Random(int(os.environ.get("SEED", "1")))  # noqa: S311 - the same changes each time
    for _ in range(1500):
        content = bytearray(honest)
        for _ in range(chance.choice((1, 1, 2, 8))):
            content[chance.randrange(len(content))] = chance.randrange(256)
        if chance.random() < 0.2:
            del content[chance.randrange(len(content)) :]
        try:
            stamped_at(anchor, bytes(content), nonce=request.nonce)
        except NotTaken as refused:
            assert str(refused).isprintable()
