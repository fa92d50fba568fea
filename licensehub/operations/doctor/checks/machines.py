"""The hosts: their disks and clocks, their locale, and whether PUBLIC_URL leads to this installation."""

from __future__ import annotations

import hmac
import secrets
import sys
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import requests
from django.conf import settings

from integrations.connectors.contract import english
from integrations.connectors.network import current_network
from integrations.connectors.registry import addresses_of
from integrations.installation import findings as installation
from integrations.installation.processes import this_host
from integrations.models import IntegrationProfile
from integrations.transaction_guard import refuse_inside_transaction
from licensehub.database import clock
from licensehub.operations.doctor.checks.database import free_space
from licensehub.operations.doctor.findings import HOUR, Context, Finding, Level, Step, check
from licensehub.site_proof import ADDRESS, proof

GIGABYTE: Final = 1024**3
LOOK_SHARE, LOOK_BYTES = 0.10, 2 * GIGABYTE
ACT_SHARE, ACT_BYTES = 0.03, GIGABYTE // 2
MAX_SKEW: Final = 30.0  # seconds
TIMEOUT: Final = (3, 5)
MAX_ANSWER: Final = 1024


@check("disk")
def disk(context: Context) -> Finding:
    """This host and the hosts of all workers have free disk. The disk of the database server is not seen from here."""
    disks = {this_host(): free_space(settings.VAR_DIR)}
    for row in context.processes.workers:
        if row.facts.get("disk_total"):
            disks[row.host] = (int(row.facts["disk_free"]), int(row.facts["disk_total"]))
    host = min(disks, key=lambda name: disks[name][0] / disks[name][1])
    free, total = disks[host]
    value = english("{free} GB free of {total} GB").format(
        free=round(free / GIGABYTE, 1), total=round(total / GIGABYTE, 1)
    )
    if free >= LOOK_BYTES and free >= LOOK_SHARE * total:
        return Finding(Level.OK, english("The disks have space"), value)
    level = Level.ACT if free < ACT_BYTES or free < ACT_SHARE * total else Level.LOOK
    steps = (
        Step(english("See what fills it, e.g. logs."), f"du -xh --max-depth=2 {settings.VAR_DIR} | sort -h | tail"),
    )
    waits = english("When it is full, no anchor and no log is written, and nothing is sent.")
    return Finding(
        level, english("The disk of {host} is nearly full").format(host=host), value, waits=waits, steps=steps
    )


@check("clocks")
def clocks(context: Context) -> Finding:
    """The clocks of all hosts agree with the one of the database."""
    steps = (Step(english("Switch time synchronization on."), "sudo timedatectl set-ntp true"),)
    found = [one for one in installation.findings() if one.key.startswith(installation.CLOCK)]
    seconds = clock.skew().total_seconds()
    value = english("{seconds} s apart").format(seconds=round(abs(seconds), 1))
    if found or clock.is_too_far():
        detail = found[0].text if found else english("The clock of this host is wrong.")
        waits = english("This host sends nothing until its clock is right.")
        return Finding(Level.ACT, english("A clock is wrong"), value, detail, waits, steps)
    return Finding(Level.OK, english("The clocks agree with the database"), value)


@check("vendor_clock", every=HOUR)
def vendor_clock(context: Context) -> Finding:
    """The clock of this host agrees with the vendors'. One request without a token to each."""
    profiles = IntegrationProfile.objects.published_or_paused()
    kinds = sorted(set(profiles.values_list("kind", flat=True)) & set(settings.CONNECTORS))
    apart = {
        kind: seconds
        for kind in kinds
        if (seconds := _seconds_ahead(next(iter(addresses_of(kind).values())))) is not None
    }
    if not apart:
        title = english("The time of the vendor is not known") if kinds else english("No profile is published")
        return Finding(Level.NONE, title, english("not known"))
    kind = max(apart, key=lambda name: abs(apart[name]))
    value = english("{seconds} s apart").format(seconds=round(abs(apart[kind])))
    if abs(apart[kind]) <= MAX_SKEW:
        return Finding(Level.OK, english("The clock agrees with the vendor's"), value)
    steps = (Step(english("Switch time synchronization on."), "sudo timedatectl set-ntp true"),)
    detail = english("Tokens may be refreshed too late, and activity may look older or newer than it is.")
    return Finding(Level.ACT, english("The clock differs from the vendor's"), value, detail, steps=steps)


def _seconds_ahead(url: str) -> float | None:
    """Return how far this host is ahead of a server; None if the answer has no date. Its content does not matter."""
    refuse_inside_transaction()
    network = current_network()
    with requests.Session() as session:
        session.trust_env, session.proxies = False, network.proxies_for(url)
        session.verify = network.ca_bundle or True
        try:
            sent = time.time()
            answer = session.head(url, timeout=TIMEOUT, allow_redirects=False)
            between = (sent + time.time()) / 2
            # The header has whole seconds.
            return between - parsedate_to_datetime(answer.headers["Date"]).timestamp() - 0.5
        except (requests.RequestException, OSError, KeyError, ValueError, TypeError):
            return None


@check("locale", every=HOUR, needs_database=False)
def locale(context: Context) -> Finding:
    """Names with any letters can be written to files and to logs."""
    wrong = [name for name in _encodings() if name.lower().replace("-", "") != "utf8"]
    if not wrong:
        return Finding(Level.OK, english("Files and logs can have all letters"), "UTF-8")
    steps = (Step(english("Set LANG=C.UTF-8 for all processes, e.g. in their systemd units.")),)
    return Finding(Level.LOOK, english("Files or logs cannot have all letters"), wrong[0], steps=steps)


def _encodings() -> Iterator[str]:
    yield sys.getfilesystemencoding()
    yield getattr(sys.stdout, "encoding", None) or "utf-8"


@check("public_url")
def public_url(context: Context) -> Finding:
    """PUBLIC_URL leads to this installation: it must know an answer that only this one can make."""
    host = urlsplit(settings.PUBLIC_URL).netloc
    nonce = secrets.token_hex(16)
    title, waits = (
        english("PUBLIC_URL does not lead here"),
        english("The links in mails lead nowhere, or to somebody else."),
    )
    steps = (
        Step(english("Open it in a browser."), f"curl -i {settings.PUBLIC_URL}/health/live"),
        Step(english("Compare PUBLIC_URL with DNS, with the proxy, and with its certificate.")),
    )
    try:
        answer = _ask(f"{settings.PUBLIC_URL}{ADDRESS}?nonce={nonce}")
    except requests.exceptions.SSLError:
        detail = english("This host does not trust its certificate. Browsers that know the authority may do so.")
        return Finding(Level.LOOK, english("The certificate of PUBLIC_URL is not trusted"), host, detail, steps=steps)
    except (requests.RequestException, OSError) as error:
        detail = english("It cannot be reached from this host ({error}).").format(error=type(error).__name__)
        return Finding(Level.LOOK, title, host, detail, waits, steps)
    if hmac.compare_digest(answer, proof(nonce).encode()):
        return Finding(Level.OK, english("PUBLIC_URL leads to this installation"), host)
    detail = english("Another program answers there, or another installation, or one with another SECRET_KEY.")
    return Finding(Level.ACT, title, host, detail, waits, steps)


def _ask(url: str) -> bytes:
    refuse_inside_transaction()
    with requests.Session() as session:
        session.trust_env = False
        with session.get(url, timeout=TIMEOUT, allow_redirects=False, stream=True) as answer:
            return bytes(answer.raw.read(MAX_ANSWER, decode_content=True)) if answer.ok else b""
