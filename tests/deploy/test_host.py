"""The host path of docs/deploy.md: the files of `deploy/` on a scratch host, up to a reclaim through nginx."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import requests
from django.urls import reverse

from licensehub.embedded.processes import free_port
from tests.deploy.support import programs, reach, servers
from tests.deploy.support.host import Host, write_certificate
from tests.deploy.support.users import Users
from tests.deploy.support.visitor import Visitor, asking
from tests.support.databases import Cluster
from tests.support.guards.network import AllowHttp

UNITS = (
    "licensehub-web.service",
    "licensehub-worker@download.service",
    "licensehub-worker@short.service",
    "licensehub-beat.service",
)
PASSWORD = "a long password of {}"
SPOOFED = "203.0.113.77"
PEOPLE = 2
LATE = "UPDATE django_celery_beat_periodictask SET last_run_at = now() - interval '5 minutes' WHERE name = 'Sweep'"
ACCOUNTS = """
from django.contrib.auth.models import Group, User
for name, role in (("alice", "License manager"), ("bob", "Approver")):
    user = User.objects.create_user(name, f"{name}@example.com", password=f"a long password of {name}", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
"""


@pytest.fixture
def host(allow_http: AllowHttp) -> Iterator[Host]:
    """A folder in /tmp, since the path of a socket must be short."""
    with tempfile.TemporaryDirectory(prefix="lh-", dir="/tmp") as folder:
        made = Host(Path(folder), http=free_port(), https=free_port())
        allow_http(f"http://localhost:{made.http}")
        allow_http(made.base)
        made.users = Users.install(made.root)
        made.make()
        yield made
        made.stop()
        if made.users:
            made.users.remove()


# Some ten real processes, each of which a busy machine starts slowly.
@pytest.mark.timeout(500)
@pytest.mark.worker
def test_the_host_path_ends_with_a_reclaim(host: Host, allow_http: AllowHttp) -> None:
    with ExitStack() as stack:
        cluster = install(host, stack)
        sandbox = stack.enter_context(servers.sandbox(host, allow_http))
        connect(host, sandbox)
        hub = stack.enter_context(servers.as_administrator(cluster))
        # As if beat had been off for some minutes: then the sweep is due at once, and not after a minute.
        assert hub.execute(LATE).rowcount == 1
        for unit in UNITS:
            host.start_unit(unit)
        servers.start_nginx(programs.nginx(), host)
        before = set(sandbox.truth()["inactive"])
        look_from_outside(host)

        alice = visitor(host, **{"X-Forwarded-For": SPOOFED, "X-Real-IP": SPOOFED, "Forwarded": f"for={SPOOFED}"})
        alice.sign_in("alice", PASSWORD.format("alice"))
        bob = visitor(host)
        bob.sign_in("bob", PASSWORD.format("bob"))
        assert addresses_of_sign_ins(hub) == {"127.0.0.1"}

        # Beat enqueues the sweep, the worker of short work finds what is due, and the other one downloads.
        ready = "SELECT id FROM subscriptions_removalcandidate WHERE state = 'ready'"
        host.wait_until(lambda: len(hub.execute(ready).fetchall()) >= PEOPLE, "a download", seconds=90)
        expected = request_and_approve(alice, bob, hub)
        done = "SELECT count(*) FROM subscriptions_reclaim WHERE state = 'done'"
        host.wait_until(lambda: hub.execute(done).fetchone() == (PEOPLE,), "a proved reclaim")
        assert set(sandbox.truth()["inactive"]) - before == expected
        assert alice.get(reverse("admin:subscriptions_reclaim_changelist")).text.count("Verified") >= PEOPLE
        restart_unseen(host)
        assert_who_did_what(host)
        if host.users:
            reach.assert_apart(host)
        assert host.stop() == dict.fromkeys([*UNITS, "nginx", "broker"], 0)


def install(host: Host, stack: ExitStack) -> Cluster:
    """The chapters of docs/deploy.md up to the first superuser."""
    database, broker = free_port(), free_port()
    assert "SECRET_KEY" in servers.make_secrets(host, database=database, broker=broker)
    before = host.path("/etc/licensehub/secrets/SECRET_KEY").read_text()
    assert servers.make_secrets(host, database=database, broker=broker) == "All secrets exist already.\n"
    assert host.path("/etc/licensehub/secrets/SECRET_KEY").read_text() == before
    write_certificate(host.path("/etc/licensehub/tls"))
    cluster = servers.start_postgres(database)
    stack.callback(cluster.remove)
    servers.make_roles(cluster, host)
    servers.start_broker(host, broker)
    host.manage("migrate", "--verbosity", "0")
    host.manage("grant_roles")
    host.manage("collectstatic", "--noinput", "--verbosity", "0")
    return cluster


def connect(host: Host, sandbox: servers.Sandbox) -> None:
    """The superuser, two accounts, and the organization."""
    host.manage(
        *("createsuperuser", "--noinput", "--username", "root", "--email", "root@example.com"),
        DJANGO_SUPERUSER_PASSWORD=PASSWORD.format("root"),
    )
    host.manage("shell", "-c", ACCOUNTS)
    for name in ("alice", "bob"):
        host.manage("confirm_account", name)
    said = host.manage(
        *("connect_vendor", "Northwind", "--kind", "miro_enterprise", "--publish"),
        *("--organization", sandbox.urls["organization_id"]),
        MIRO_ACCESS_TOKEN=sandbox.urls["access_token"],
        MIRO_SCIM_TOKEN=sandbox.urls["scim_token"],
    )
    assert "is connected and published" in said
    # Nothing but what is true of a host without a mail server.
    found = set(re.findall(r"licensehub\.[EW]\d+", host.manage("check", "--deploy", "--database", "default")))
    assert found <= {"licensehub.W002"}


def visitor(host: Host, **headers: str) -> Visitor:
    return Visitor(host.base, host.path("/etc/licensehub/tls/fullchain.pem"), **headers)


def look_from_outside(host: Host) -> None:
    """A stranger sees HTTPS only, under the right name only, and the log has no link of a person."""
    stranger = visitor(host)
    host.wait_until(lambda: answers(stranger), "an answer through nginx")
    plain = f"http://localhost:{host.http}/admin/"
    assert requests.get(plain, allow_redirects=False, timeout=5).headers["Location"] == f"{host.base}/admin/"
    with pytest.raises(requests.ConnectionError):
        requests.get(plain, headers={"Host": "elsewhere.example.com"}, timeout=5)
    login = stranger.get(reverse("admin:login"))
    assert login.headers["Strict-Transport-Security"] and "nginx/" not in login.headers["Server"]
    style = re.findall(r'href="(/static/[^"]+\.css)"', login.text)[0]
    assert stranger.get(style).headers["Content-Type"].startswith("text/css")
    stranger.session.get(f"{host.base}{reverse('my_license', args=['a-secret-token'])}", timeout=10)
    log = host.path("/var/log/nginx/licensehub.log").read_text()
    assert reverse("admin:login") in log and "a-secret-token" not in log


def answers(stranger: Visitor) -> bool:
    try:
        return stranger.session.get(f"{stranger.base}/health", timeout=5).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False


def addresses_of_sign_ins(hub: psycopg.Connection[tuple[object, ...]]) -> set[object]:
    rows = hub.execute("SELECT data ->> 'address' FROM audit_auditevent WHERE action = 'sign_in.done'").fetchall()
    return {address for (address,) in rows}


def request_and_approve(alice: Visitor, bob: Visitor, hub: psycopg.Connection[tuple[object, ...]]) -> set[object]:
    """Through the screens. Returns the vendor's ids of the people."""
    candidates = reverse("admin:subscriptions_removalcandidate_changelist")
    page = alice.get(f"{candidates}?state__exact=ready")
    boxes = re.findall(r'<input[^>]*name="_selected_action"[^>]*>', page.text)
    chosen = [re.findall(r'value="(\d+)"', box)[0] for box in boxes[:PEOPLE]]
    form = {"action": "request_reclaim", "index": "0", "select_across": "0", "_selected_action": chosen}
    assert f"Request reclaim of {PEOPLE} seats" in alice.post(candidates, form).text
    made = alice.post(candidates, {**form, "confirmed": str(PEOPLE), "reason": "True-up"})
    assert "Another person has to approve" in made.text, re.sub(r"<[^>]*>|\s+", " ", made.text)
    [(number,)] = hub.execute("SELECT id FROM subscriptions_reclaimrequest").fetchall()
    shown = bob.get(reverse("admin:subscriptions_reclaimrequest_change", args=[number]))
    approval = {name: bob.field(shown, name) for name in ("revision", "digest")}
    approve = reverse("admin:subscriptions_reclaimrequest_approve", args=[number])
    # Who asked may not decide.
    alice.send(approve, approval)
    assert hub.execute("SELECT count(*) FROM subscriptions_reclaim").fetchone() == (0,)
    said = bob.post(approve, {**approval, "comment": "Checked"}).text
    queued = hub.execute("SELECT count(*) FROM subscriptions_reclaim").fetchone()
    assert queued == (PEOPLE,), re.sub(r"<[^>]*>|\s+", " ", said)
    people = (
        "SELECT s.external_id FROM subscriptions_removalcandidate c "
        "JOIN subscriptions_subscription s ON s.id = c.subscription_id WHERE c.id = ANY(%s)"
    )
    return {external_id for (external_id,) in hub.execute(people, [[int(one) for one in chosen]]).fetchall()}


def restart_unseen(host: Host) -> None:
    """The last step of an update: all processes restart, and no visitor sees an error."""
    with asking(visitor(host), reverse("admin:login"), host) as answers:
        for unit in (*UNITS[1:], UNITS[0]):
            host.restart_unit(unit)
    assert set(answers) == {200}, answers


def assert_who_did_what(host: Host) -> None:
    """Each worker did the work of its queues, and no process saw a secret that its unit does not name."""
    logs = {one.name: one.text() for one in host.running}
    download, short = logs[UNITS[1]], logs[UNITS[2]]
    assert "tasks.download_due[" in download and "tasks.download_due[" not in short
    assert "tasks.reclaim[" in short and "tasks.reclaim[" not in download
    given = {path.name for path in (host.root / "run" / "credentials" / UNITS[3]).iterdir()}
    assert given == {"BROKER_KEY", "REDIS_URL", "DATABASE_URL"}
    state = host.path("/var/lib/licensehub")
    assert {path.parent.name for path in state.glob("*/audit-head.json")} == {"web", "worker", "manage"}
    assert (state / "anchors" / "audit-anchors.jsonl").stat().st_size
    values = [path.read_text().strip() for path in host.path("/etc/licensehub/secrets").rglob("*") if path.is_file()]
    for log in logs.values():
        assert not re.search("permission denied|read-only file system|(not|cannot be) written", log, re.IGNORECASE)
        assert not [value for value in values if value in log]
