"""A DNS server that takes the question and never answers: no page and no worker waits for the resolver."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from licensehub.api.client import ApiError, Client, transport
from licensehub.audit.outside import NotTaken
from licensehub.audit.stream import syslog
from licensehub.outbound import addresses, names
from licensehub.outbound.addresses import Address, NotAllowed, Policy, resolve
from licensehub.outbound.names import rows_of
from licensehub.sign_in.sso import provider_session
from subscriptions.notices.bounces import bounce_mailbox
from subscriptions.notices.transport import MailServer, NoServer
from tests.support.guards.network import allow

LONGEST = 20.0  # on a busy machine; without an end it is a minute


@pytest.fixture
def hanging(monkeypatch) -> Iterator[threading.Event]:
    """The resolver waits until the event is set."""
    answers = threading.Event()
    ask = socket.getaddrinfo
    monkeypatch.setattr(names, "_asking", [])

    def wait(*args: Any, **kwargs: Any) -> Any:
        answers.wait(60)
        return ask("127.0.0.1", *args[1:], **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    yield answers
    answers.set()


def sign_on() -> None:
    allow(1)
    provider_session.ProviderSession().get("https://localhost:1/")


def send_mail() -> None:
    with MailServer() as mails:
        mails.ready()


CALLS: dict[str, tuple[Callable[[], object], type[Exception]]] = {
    "single sign-on": (sign_on, requests.ConnectionError),
    "a webhook": (lambda: resolve(Address("hooks.example", 443, "/"), Policy()), NotAllowed),
    "mail": (send_mail, NoServer),
    "the mailbox": (bounce_mailbox.read_bounces, OSError),
    "syslog": (lambda: syslog.send(syslog.Receiver("tls", "siem.example", 1), []), NotTaken),
    "syslog by UDP": (lambda: syslog.send(syslog.Receiver("udp", "siem.example", 1), []), NotTaken),
    "the command line": (Client("https://licensehub.example", "lh_x").me, ApiError),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_ends_while_the_resolver_hangs(hanging, settings, monkeypatch, name):
    """Control: with `socket.getaddrinfo` itself, each of these waits for the resolver, whatever its deadline."""
    for module, constant in (
        (provider_session, "SECONDS"),
        (addresses, "LOOK_UP_SECONDS"),
        (bounce_mailbox, "SECONDS"),
        (syslog, "TIMEOUT"),
        (transport, "TIMEOUT"),
    ):
        monkeypatch.setattr(module, constant, 0.1)
    settings.EMAIL_BACKEND = "licensehub.outbound.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_TIMEOUT = "mail.example", 0.1
    settings.BOUNCE_MAILBOX_URL = "imaps://ada:s3cret@mail.example/INBOX"
    call, problem = CALLS[name]
    began = time.monotonic()
    with pytest.raises(problem):
        call()
    assert time.monotonic() - began < LONGEST


def test_the_threads_that_are_left_behind_are_counted(hanging):
    """Control: without the limit, each page adds a thread, until the process has no memory for another one."""
    for _ in range(names.MAX_ASKING):
        with pytest.raises(TimeoutError):
            rows_of("hooks.example", 443, seconds=0.001)
    alive = threading.active_count()
    with pytest.raises(TimeoutError, match="no more names"):
        rows_of("hooks.example", 443, seconds=60)
    assert threading.active_count() == alive
    hanging.set()
    for one in names._asking:
        one.join(LONGEST)
    assert rows_of("hooks.example", 443, seconds=LONGEST)[0][4] == ("127.0.0.1", 443)


def test_the_error_of_the_resolver_is_that_of_the_caller(monkeypatch):
    def fail(*_: Any, **__: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(socket.gaierror, match="not known"):
        rows_of("hooks.example", 443, seconds=LONGEST)
