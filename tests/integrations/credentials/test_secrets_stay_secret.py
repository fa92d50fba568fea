"""No secret is found in a page of any role, a log, a mail, a task, the broker, the audit or a database dump."""

from __future__ import annotations

import base64
import io
import json
import logging

import pytest
import redis
from celery import current_app
from django.contrib.auth.models import Group, User
from django.core import mail
from django.core.management import call_command
from django.db import connection as database
from django.db.models import Max
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.connections import oauth_flow
from integrations.connectors.contract import ConfigError
from integrations.credentials import credential_store
from integrations.models import Connection, IntegrationProfile
from integrations.tasks import validate_nightly
from licensehub.audit.models import AuditEvent
from subscriptions import sweep, tasks
from subscriptions.downloads.run import download_subscriptions
from subscriptions.models.download import StartedBy
from subscriptions.notifications import delivery
from subscriptions.profiles import lifecycle
from tests.support.vendor.oauth import BACK, callback, connect_page, install

# Writes the context of each variable that a page does not have.
TEMPLATES = "django.template"
ROLES = ("Company admin", "License manager", "Approver", "Auditor", "Operator")


class Everything(logging.Handler):
    """Keeps the text of each record, with its traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def logged():
    """Set all loggers to DEBUG, also those with a higher level in the settings."""
    keeper = Everything()
    names = ["", "urllib3", "celery", "django", TEMPLATES, "integrations", "subscriptions", "kombu"]
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger().addHandler(keeper)
    yield keeper
    logging.getLogger().removeHandler(keeper)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def pages(profile) -> list[str]:
    """Every page that shows something about connections, runs or events."""
    change = "admin:{}_change".format
    rows = [reverse(change("integrations_connection"), args=[row.pk]) for row in profile.connections.all()]
    runs = [reverse(change("subscriptions_downloadrun"), args=[run.pk]) for run in profile.download_runs.all()]
    # One of each kind: what the rows hold is in the dump, too.
    kinds = AuditEvent.objects.values("action").annotate(newest=Max("pk")).values_list("newest", flat=True)
    events = [reverse(change("audit_auditevent"), args=[pk]) for pk in kinds.order_by()]
    lists = ["index", "integrations_connection_changelist", "integrations_integrationprofile_changelist"]
    lists += ["subscriptions_downloadrun_changelist", "audit_auditevent_changelist", "auth_user_changelist"]
    own = [reverse(change("integrations_integrationprofile"), args=[profile.pk])]
    for name, *args in (("archive",), ("schedule", "download"), ("schedule", "reclaim")):
        own.append(reverse(f"admin:integrations_integrationprofile_{name}", args=[profile.pk, *args]))
    return [*own, *rows, *runs, *events, *(reverse(f"admin:{name}") for name in lists)]


def seen_by(role: str, addresses: list[str]) -> str:
    user, _ = User.objects.get_or_create(username=f"canary-{role}", defaults={"is_staff": True})
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return "".join(client.get(address, follow=True).content.decode() for address in addresses)


def held_by(broker: redis.Redis) -> str:
    """Every value in the broker, and the body of every message, which Celery writes in base64."""
    found: list[str] = []
    for key in broker.keys("*"):
        kind = broker.type(key)
        if kind == b"list":
            # The rate budget keeps lists of its own, which hold no messages.
            read = str if "licensehub:rate:" in str(key) else message_of
            found += [read(entry) for entry in broker.lrange(key, 0, -1)]
        elif kind == b"hash":
            found.append(str(broker.hgetall(key)))
        elif kind == b"set":
            found.append(str(broker.smembers(key)))
        else:
            found.append(str(broker.get(key)))
    return "\n".join(found)


def message_of(entry: bytes | str) -> str:
    message = json.loads(entry)
    return str(entry) + base64.b64decode(message["body"]).decode()


def dump() -> str:
    """Every row of every table, as text."""
    found: list[str] = []
    with database.cursor() as cursor:
        for table in database.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - the database's own names
            found.extend(str(row) for row in cursor.fetchall())
    return "\n".join(found)


def live_through_a_lot(rest: Connection, miro, operator, signed_in) -> set[str]:
    """Connect, refresh, fail in several ways, disconnect. Returns all secrets that were used."""
    secrets: set[str] = set()

    def note() -> None:
        for row in Connection.objects.exclude(ciphertext=""):
            secrets.update(value for name, value in row.secrets().items() if name != "client_id")

    note()
    code = miro.install(BACK)
    secrets.add(code)
    state = signed_in.post(connect_page(rest)).context["url"].rpartition("state=")[2]
    secrets.add(state)
    signed_in.get(callback(), {"state": state, "code": code}, follow=True)
    signed_in.get(callback(), {"state": state, "code": code}, follow=True)
    note()
    profile = rest.profile
    profile.refresh_from_db()
    lifecycle.publish(profile, actor=operator)
    miro.expire_tokens()
    download_subscriptions(profile, actor=operator, started_by=StartedBy.PERSON)
    note()
    validate_nightly()
    for kind in ("truncated", "html", "error_before", "cut"):
        miro.fault(kind, times=2)
        with pytest.raises(oauth_flow.ConnectRefused):
            install(rest, miro, operator)
        miro.clear_faults()
    miro.revoke_tokens()
    with pytest.raises(ConfigError):
        credential_store.connector_for(profile).allocation()
    miro.set_toggles(scim_token_valid=False)
    validate_nightly()
    sweep.notify()
    assert delivery.deliver_due()
    install(Connection.objects.get(pk=rest.pk), miro, operator)
    note()
    oauth_flow.disconnect(Connection.objects.get(pk=rest.pk), actor=operator)
    note()
    return secrets


def test_secrets_are_found_nowhere(rest, miro, operator, signed_in, logged, valkey):
    secrets = live_through_a_lot(rest, miro, operator, signed_in)
    profile = rest.profile
    IntegrationProfile.objects.update(download_due_at=timezone.now())
    tasks.sweep()  # enqueues tasks; their messages stay in the broker, since there is no worker
    sent = held_by(valkey)
    assert tasks.download_due.name in sent
    printed = io.StringIO()
    call_command("dumpdata", stdout=printed)
    seen = {}
    for role in ROLES:
        seen[role] = seen_by(role, pages(profile))
        # The first sees the most. To write the contexts of all others takes longer than all the rest.
        logging.getLogger(TEMPLATES).setLevel(logging.INFO)

    places = {
        "log": "\n".join(logged.lines),
        "mail": "".join(letter.subject + letter.body for letter in mail.outbox),
        "broker": sent,
        "database": dump(),
        "dumpdata": printed.getvalue(),
        **seen,
    }
    assert len(secrets) >= 8
    assert all(places.values())
    found = [(place, secret[:6]) for place, text in places.items() for secret in secrets if secret in text]
    assert found == []


def test_the_control_finds_one(rest, operator):
    """The search finds a secret that the test writes to a forbidden place."""
    secret = rest.secrets()["client_secret"]
    Connection.objects.filter(pk=rest.pk).update(error=f"It is {secret}")
    assert secret in dump()
    assert secret in seen_by("Operator", pages(rest.profile))


def test_the_control_finds_one_in_the_broker_and_in_the_log(valkey, logged):
    current_app.send_task(tasks.download_due.name, args=["a-secret"])
    logging.getLogger("integrations.connections.tokens").debug("got %s", "a-secret")
    assert "a-secret" in held_by(valkey)
    assert "a-secret" in "\n".join(logged.lines)
