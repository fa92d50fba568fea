"""`manage.py doctor` says what is wrong and what to do, believes no process that only answers, and tells no secret."""

from __future__ import annotations

import io
import json
import re
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from integrations import sending
from integrations.installation import processes
from integrations.models import Connection, Heartbeat, Installation, ProcessKind
from licensehub.broker.signatures import signed
from licensehub.build import version
from licensehub.database.clock import database_now
from licensehub.logs import known_secrets
from licensehub.logs.known_secrets import keys_mark
from licensehub.logs.known_secrets import known_secrets as secrets_of_settings
from licensehub.operations import results
from licensehub.operations.doctor.checks import database, machines
from licensehub.operations.doctor.checks import processes as process_checks
from licensehub.operations.doctor.findings import CHECKS, Check, Finding, Level, run_checks
from licensehub.operations.processes.worker import ENQUEUED
from licensehub.queues import TASKS
from subscriptions.models import Notice, NotificationMail

NOW = timedelta()
ALL = tuple(TASKS)


def row(kind: ProcessKind, name: str, *, started=timedelta(hours=1), seen=NOW, sent=None, queues=ALL, **values):
    """A process; the times are how long ago something was."""
    now = database_now()
    return Heartbeat.objects.create(
        kind=kind,
        name=name,
        host=name.partition("@")[2],
        queues=list(queues),
        started_at=now - started,
        seen_at=None if seen is None else now - seen,
        scheduled_at=None if sent is None else now - sent,
        **{"version": version(), "facts": {"keys": keys_mark(), "processes": 2}, **values},
    )


@pytest.fixture
def alive(db) -> None:
    """One worker and one scheduler, both well."""
    row(ProcessKind.WORKER, "celery@one")
    row(ProcessKind.BEAT, "gen7@one", sent=timedelta(seconds=30))


def doctor(*arguments: str) -> tuple[int, str]:
    """The exit code, and what was printed."""
    out = io.StringIO()
    try:
        call_command("doctor", *arguments, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_the_docs_list_the_id_of_each_check():
    page = (django_settings.BASE_DIR / "docs/operations.md").read_text().partition("## How processes are known")[0]
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(CHECKS)


def levels(*names: str) -> dict[str, str]:
    return {name: finding.level for name, finding in run_checks(names).items()}


def test_a_healthy_installation_and_its_exit_codes(alive, valkey, monkeypatch, tmp_path):
    monkeypatch.setattr(machines, "_ask", lambda url: machines.proof(url.rpartition("=")[2]).encode())
    monkeypatch.setattr(machines, "free_space", lambda path: (50 * machines.GIGABYTE, 100 * machines.GIGABYTE))
    monkeypatch.setitem(CHECKS, "anchors", Check("anchors", lambda context: Finding(Level.OK, "All taken")))
    monkeypatch.setitem(CHECKS, "keys", Check("keys", lambda context: Finding(Level.OK, "All there")))
    monkeypatch.setitem(CHECKS, "settings", Check("settings", lambda context: Finding(Level.OK, "Right")))
    monkeypatch.setitem(CHECKS, "rights", Check("rights", lambda context: Finding(Level.OK, "Right")))
    code, text = doctor()
    assert (code, "look  backup: No backup was ever recorded (none recorded)" in text) == (1, True), text
    dump = tmp_path / "licensehub.dump"
    dump.write_bytes(b"x" * 2_500_000)
    call_command("record_backup", str(dump))
    code, text = doctor()
    assert (code, "0 to act on, 0 to look at" in text) == (0, True), text
    assert "none  drill: The installation is less than three months old (none recorded)" in text
    sending.stop_all(actor=None, reason="A planned stop")
    code, text = doctor("--json")
    told = json.loads(text)
    assert (code, told["level"], told["version"]) == (1, "look", version())
    assert [one["id"] for one in told["checks"]] == list(CHECKS)
    stopped = next(one for one in told["checks"] if one["id"] == "sending")
    assert stopped["next"][0]["command"] == "python manage.py stop_sending --allow"
    assert stopped["since"]
    Heartbeat.objects.all().delete()
    code, text = doctor()
    assert code == 2
    # The worst comes first, with what to do.
    assert text.index("ACT   scheduler: No scheduler runs") < text.index("look  sending")
    assert "$ sudo systemctl start licensehub-beat" in text


def test_no_secret_is_printed(db, settings, monkeypatch, allow_http, tmp_path):
    allow_http(settings.PUBLIC_URL)
    hidden = "S3cr3t-of-the-doctor"
    for name in (*known_secrets.KEYS, *known_secrets.OTHERS):
        setattr(settings, name, f"{hidden}-{name}-which-is-a-long-key")
    settings.ANCHOR_KEYS = f"private:{hidden}"
    settings.CREDENTIAL_KEYS = [f"{hidden}-no-fernet-key"]
    for name in known_secrets.ADDRESSES:
        setattr(settings, name, f"unix://user:{hidden}-{name}@{tmp_path}/nobody.sock")

    def fails(context):
        raise RuntimeError(f"could not log in with {settings.SECRET_KEY}")

    def tells(context):
        return Finding(
            Level.ACT, "Refused", detail=f"535 {settings.EMAIL_HOST_PASSWORD} is wrong", waits="1 mail waits."
        )

    monkeypatch.setitem(CHECKS, "fails", Check("fails", fails))
    monkeypatch.setitem(CHECKS, "tells", Check("tells", tells))
    for arguments in ((), ("--json",)):
        code, text = doctor(*arguments)
        assert code == 2
        assert "fails" in text
        assert hidden not in text
        assert "535 *** is wrong" in text
        # What a server answered stands alone.
        assert arguments or "      1 mail waits.\n      535 *** is wrong\n" in text
    # The control: without the last search, a text of somebody else would tell one.
    monkeypatch.setattr("licensehub.operations.doctor.findings.without_secrets", str)
    assert hidden in doctor()[1]
    assert len(secrets_of_settings()) > 10


def test_the_scheduler_is_believed_by_its_messages(db):
    def scheduler() -> Finding:
        return process_checks.scheduler_finding(processes.processes())

    row(ProcessKind.WORKER, "celery@one")
    assert scheduler().title == "No scheduler runs"
    # Alive, and yet nothing of it arrives.
    first = row(ProcessKind.BEAT, "gen7@one", sent=timedelta(minutes=9))
    assert scheduler().title == "The scheduler runs, but schedules nothing"
    assert scheduler().since == first.scheduled_at
    processes.scheduled("gen7@one", database_now())
    assert scheduler().level == Level.OK
    # A late message of it takes nothing back.
    processes.scheduled("gen7@one", database_now() - timedelta(hours=1))
    assert scheduler().level == Level.OK
    # It was replaced: a new one began after the last sign of it.
    Heartbeat.objects.filter(pk=first.pk).update(
        seen_at=database_now() - timedelta(seconds=40), scheduled_at=database_now() - timedelta(seconds=40)
    )
    row(ProcessKind.BEAT, "gen9@one", started=timedelta(seconds=30), sent=timedelta(seconds=5))
    assert scheduler().level == Level.OK
    # Now both are at work.
    processes.scheduled("gen7@one", database_now())
    assert scheduler().title == "2 schedulers run"
    # One that writes no heartbeat is known by its messages alone.
    Heartbeat.objects.filter(name="gen9@one").delete()
    processes.scheduled("gen5@elsewhere", database_now() - timedelta(minutes=2))
    assert scheduler().level == Level.ACT, "the other one has sent something after the start of this one"
    found = scheduler()
    assert found.level == Level.ACT
    assert "gen5@elsewhere" in found.detail


def test_a_worker_is_believed_by_what_it_is(db):
    def workers() -> Finding:
        return process_checks.workers_finding(processes.processes())

    assert workers().title == "No worker runs"
    row(ProcessKind.WORKER, "celery@one")
    assert workers().level == Level.OK
    silent = row(ProcessKind.WORKER, "celery@two", seen=timedelta(minutes=10))
    assert (workers().level, workers().since) == (Level.LOOK, silent.seen_at)
    old = row(ProcessKind.WORKER, "celery@three", version="0.0.9+12345678")
    assert workers().title == "A process runs another version"
    assert "celery@three: 0.0.9+12345678" in workers().detail
    old.delete()
    row(ProcessKind.BEAT, "gen7@one", version="0.0.9+12345678", sent=NOW)
    assert workers().title == "A process runs another version", "a scheduler, too"
    row(ProcessKind.WORKER, "celery@four", facts={"keys": "another"})
    assert workers().title == "A worker has other keys than this process"


def test_a_queue_that_nobody_serves_and_one_that_is_stuck(alive, valkey, monkeypatch):
    worker = Heartbeat.objects.filter(kind=ProcessKind.WORKER)
    worker.update(queues=["download", "reclaim", "default"])
    found = run_checks(["queues"])["queues"]
    assert (found.level, found.title) == (Level.ACT, "No worker serves the queue mail")
    worker.update(queues=list(ALL))
    assert levels("queues") == {"queues": Level.OK}

    def put(age: timedelta, *, sign: bool = True) -> None:
        enqueued = (database_now() - age).timestamp()
        message = {"body": "", "headers": {ENQUEUED: enqueued}, "properties": {}}
        valkey.lpush("mail", json.dumps(signed(message) if sign else message))

    # Somebody who can write to the broker cannot make a queue look stuck.
    put(timedelta(days=9), sign=False)
    valkey.lpush("mail", "no JSON")
    assert levels("queues") == {"queues": Level.OK}
    put(timedelta(minutes=3))
    assert levels("queues") == {"queues": Level.LOOK}
    valkey.delete("mail")
    put(timedelta(minutes=9))
    found = run_checks(["queues"])["queues"]
    assert (found.level, found.title) == (Level.ACT, "Messages wait in the queue mail")
    assert found.detail == "1 message waits, for 9 minutes."


def test_a_broker_that_forgets(alive, valkey, broker_process, settings, tmp_path):
    assert "kept on disk" in run_checks(["broker"])["broker"].value
    kept = {name: valkey.config_get(name)[name] for name in ("maxmemory-policy", "appendonly", "save")}
    try:
        valkey.config_set("appendonly", "no")
        valkey.config_set("save", "")
        assert run_checks(["broker"])["broker"].title == "The broker keeps nothing on disk"
        valkey.config_set("maxmemory-policy", "allkeys-lru")
        found = run_checks(["broker"])["broker"]
        assert (found.level, found.title) == (Level.ACT, "The broker drops messages when it is full")
        assert "allkeys-lru" in found.detail
    finally:
        for name, value in kept.items():
            valkey.config_set(name, value)
    settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock"
    assert levels("broker", "queues") == {"broker": Level.ACT, "queues": Level.ACT}


def test_public_url_must_know_what_only_this_installation_knows(
    db, live_server, settings, client, monkeypatch, allow_http
):
    def asked() -> Finding:
        return run_checks(["public_url"])["public_url"]

    settings.PUBLIC_URL = live_server.url
    allow_http(live_server.url)
    assert asked().level == Level.OK
    right = machines._ask
    # A server that answers always the same, e.g. one that has seen an answer before.
    seen = client.get(machines.ADDRESS, {"nonce": "abc"}).content
    monkeypatch.setattr(machines, "_ask", lambda url: seen)
    assert asked().level == Level.ACT
    # Another installation, with the same code and another key.
    monkeypatch.setattr(machines, "_ask", right)
    ours = settings.SECRET_KEY
    settings.SECRET_KEY = "another installation" * 3
    theirs = machines.proof("abc")
    settings.SECRET_KEY = ours
    monkeypatch.setattr(machines, "_ask", lambda url: theirs.encode())
    assert asked().level == Level.ACT
    # A copy of the database that was adopted.
    before = machines.proof("abc")
    Installation.objects.update(instance_id="the copy")
    assert machines.proof("abc") != before
    settings.PUBLIC_URL = "http://127.0.0.1:9"
    monkeypatch.setattr(machines, "_ask", right)
    allow_http(settings.PUBLIC_URL)
    assert asked().level == Level.LOOK


def test_mail_that_does_not_leave(world, alice, settings, monkeypatch):
    problem = "The mail server answered: 550 5.1.1 <alice@northwind.example>: unknown."
    mail = NotificationMail.objects.create(user=alice, problem=problem)
    found = run_checks(["mail"])["mail"]
    assert (found.level, found.detail) == (Level.ACT, "The mail server answered: 550 5.1.1 …: unknown.")
    assert found.waits.startswith("1 mail waits and is not lost. 1 tells a colleague. The time to answer")
    mail.delete()
    assert levels("mail") == {"mail": Level.OK}
    # Without HTTPS it may be a trial, where people read the log. It is not well either: nobody gets a mail.
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    found = run_checks(["mail"])["mail"]
    assert (found.level, found.title, found.value) == (Level.LOOK, "Mails reach nobody", "to the log")
    assert "EMAIL_URL" in found.steps[0].text
    assert not Notice.objects.exists()


def test_a_mail_is_really_sent(db, mailoutbox, broker_away, allow_http, settings):
    allow_http(settings.PUBLIC_URL)
    text = doctor("--send-mail-to", "nils@northwind.example")[1]
    assert [mail.to for mail in mailoutbox] == [["nils@northwind.example"]]
    assert version() in mailoutbox[0].body
    assert "sent_mail: The mail server took the mail" in text
    with pytest.raises(CommandError):
        doctor("--send-mail-to", "nobody")


def test_work_that_waits_and_connections_that_do_not_work(world):
    assert levels("tokens", "downloads", "in_doubt", "open_items", "sending") == dict.fromkeys(
        ("tokens", "downloads", "in_doubt", "open_items", "sending"), Level.OK
    )
    a_year_ago = database_now() - timedelta(days=365)
    Connection.objects.filter(slot="rest").update(credentials_set_at=a_year_ago, refresh_at=None)
    assert levels("tokens") == {"tokens": Level.OK}, "the vendor renews the token of an OAuth app"
    Connection.objects.filter(slot="scim").update(state="working", credentials_set_at=a_year_ago, refresh_at=None)
    old = run_checks(["tokens"])["tokens"]
    assert old.level == Level.LOOK and "at least a year old" in old.detail
    Connection.objects.filter(slot="scim").update(state="error", error="Miro does not accept the token.")
    found = run_checks(["tokens"])["tokens"]
    assert (found.level, found.detail) == (Level.ACT, "Miro does not accept the token.")


def test_a_database_that_is_away_is_one_finding(db, broker_away, allow_http, settings, monkeypatch):
    allow_http(settings.PUBLIC_URL)

    def away():
        raise DatabaseError("connection to server at 10.1.2.3 failed for user licensehub")

    monkeypatch.setattr(database, "_postgresql", away)
    monkeypatch.setattr(database, "_sqlite", away)
    code, text = doctor()
    assert code == 2
    assert text.count("ACT ") == 1 + text.count("ACT   broker:")
    assert "10.1.2.3" not in text


def test_results_are_kept_with_their_beginning(alive, valkey, allow_http, settings):
    allow_http(settings.PUBLIC_URL)
    results.run_and_keep()
    first = {row.check_id: row for row in results.known(results.CheckResult.objects.all())}
    assert list(first) == list(CHECKS)
    assert first["workers"].since is None
    Heartbeat.objects.filter(kind=ProcessKind.WORKER).delete()
    for age in (timedelta(minutes=3), timedelta(minutes=2)):
        results.CheckResult.objects.update(checked_at=database_now() - age)
        ran = results.run_and_keep()
        assert ran == sum(check.every == timedelta(minutes=1) for check in CHECKS.values()), "not those of each hour"
    then = results.CheckResult.objects.get(check_id="workers")
    assert then.level == "act"
    began = then.since
    results.run_and_keep(everything=True)
    assert results.CheckResult.objects.get(check_id="workers").since == began
    # A key is known by its mark only, and its age counts from the first sight.
    seen = results.CheckResult.objects.get(check_id="key_ages").memory["seen"]
    assert set(seen) == {"SECRET_KEY", "APPROVAL_KEY", "AUDIT_KEY", "BROKER_KEY", "CREDENTIAL_KEYS"}
    assert not any(secret in json.dumps(seen) for secret in secrets_of_settings())
    old = {name: {**value, "since": "2020-01-01T00:00:00+00:00"} for name, value in seen.items()}
    results.CheckResult.objects.filter(check_id="key_ages").update(memory={"seen": old})
    results.run_and_keep(everything=True)
    assert results.CheckResult.objects.get(check_id="key_ages").level == "look"
