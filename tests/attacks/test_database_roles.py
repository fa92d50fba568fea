"""The users of web, worker and beat do their whole job. Each statement that is not declared is tried, and refused."""

# ruff: noqa: S608 - the statements have names of our own tables

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import PeriodicTask

from integrations.installation import processes as heartbeats
from integrations.models import CheckResult, Heartbeat, IntegrationProfile, MailTrial, ProcessKind
from licensehub.celery import app
from licensehub.checks import database
from licensehub.database import rights as database_rights
from licensehub.database import roles as database_roles
from licensehub.database.clock import database_now
from licensehub.database.roles import Role
from licensehub.operations import queues, results
from licensehub.operations.doctor.checks.database import rights as doctor_rights
from licensehub.operations.doctor.findings import Context, Level
from licensehub.operations.page import shown_to
from licensehub.operations.processes.beat import Scheduler
from licensehub.operations.tasks import send_mail_trial
from subscriptions import tasks
from subscriptions.accounts import rights_changes
from subscriptions.accounts.rights import deciders
from subscriptions.activity.retention import thin_past_activity
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import ChangeKind, Reclaim, ReclaimRequest, ReclaimRule, RemovalCandidate
from subscriptions.profiles import archive, lifecycle
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reconciliation.reconcile import reconcile_profile
from subscriptions.rules.protections import ProtectionInput, create_protection
from tests.support.fixtures import actions, connect, person
from tests.support.people.rights import announced_a_day_ago

on_postgresql = pytest.mark.skipif(
    settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"), reason="SQLite has no roles"
)


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def roles(db, settings) -> None:
    """The users of web, worker and beat, with their rights. They end with the transaction of the test."""
    one = settings.VAR_DIR.name.replace("-", "_")
    for role in Role:
        setattr(settings, f"DATABASE_{role.name}_USER", f"{role}_{one}")
        sql(f'CREATE ROLE "{role.user}" LOGIN')
    # Autovacuum keeps a table locked while it waits for the end of a GRANT, and a statement that waits for the table is
    # a deadlock then. A table that is locked already, it leaves out.
    if connection.in_atomic_block:
        sql(f"LOCK TABLE {', '.join(database_roles.tables())} IN SHARE ROW EXCLUSIVE MODE")
    call_command("grant_roles")


@contextmanager
def acting(role: Role) -> Iterator[None]:
    """In the `with` block, the connection has the rights of this role only."""
    sql(f'SET ROLE "{role.user}"')
    try:
        yield
    finally:
        if not connection.needs_rollback:
            sql("RESET ROLE")


@contextmanager
def undone() -> Iterator[None]:
    """Nothing that is written in the `with` block stays."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def refused(role: Role, statement: str) -> bool:
    """Return whether PostgreSQL refuses the statement for lack of rights. It checks them before it reads any row."""
    savepoint = transaction.savepoint()
    try:
        sql(f'SET ROLE "{role.user}"')
        sql(statement)
    except DatabaseError as error:
        # 42501: insufficient_privilege. https://www.postgresql.org/docs/current/errcodes-appendix.html
        if getattr(error.__cause__, "sqlstate", "") != "42501":
            raise
        return True
    finally:
        transaction.savepoint_rollback(savepoint)
    return False


def forbidden(role: Role) -> Iterator[str]:
    """Everything that is not declared."""
    for table, model in database_roles.tables().items():
        rights = database_roles.rights_on(table, model, role)
        columns = [field.column for field in model._meta.local_concrete_fields]
        yield f'TRUNCATE "{table}"'
        yield f'ALTER TABLE "{table}" ADD COLUMN x int'
        yield f'ALTER TABLE "{table}" DISABLE TRIGGER ALL'
        yield f'DROP TABLE "{table}"'
        yield f'CREATE INDEX ON "{table}" ("{columns[0]}")'
        yield f'CREATE TRIGGER x BEFORE INSERT ON "{table}" FOR EACH ROW EXECUTE FUNCTION audit_append_only()'
        changing = rights.columns(model)
        yield from (f'UPDATE "{table}" SET "{name}" = DEFAULT WHERE false' for name in columns if name not in changing)
        if not rights.delete:
            yield f'DELETE FROM "{table}" WHERE false'
        if not rights.insert:
            yield f'INSERT INTO "{table}" DEFAULT VALUES'
        if not rights.select:
            yield f'SELECT FROM "{table}"'
    if role not in database_roles.MAKE_TEMPORARY_TABLES:
        yield "CREATE TEMPORARY TABLE x (y int)"
    yield "CREATE TABLE public.x (y int)"
    yield "CREATE SCHEMA x"
    yield "CREATE OR REPLACE FUNCTION public.audit_append_only() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'"
    yield "CREATE ROLE x"
    yield "SET session_replication_role = replica"
    yield "DELETE FROM django_migrations WHERE false"
    yield "COPY (SELECT 1) TO '/tmp/x'"
    yield "SELECT pg_read_file('/etc/passwd')"
    yield f'GRANT ALL ON audit_auditevent TO "{role.user}"'


@on_postgresql
@pytest.mark.parametrize("role", Role)
def test_each_statement_that_is_not_declared_is_refused(roles, role):
    tried = list(forbidden(role))
    assert len(tried) > 400
    # A GRANT without the right to grant is a warning, and changes nothing.
    passed = [statement for statement in tried if not refused(role, statement)]
    assert passed == [f'GRANT ALL ON audit_auditevent TO "{role.user}"'] or passed == []
    assert database_rights.differences(role) == []


@on_postgresql
def test_control_the_owner_is_refused_nothing_and_each_right_too_much_is_found(roles):
    assert database_rights.current_user() not in {role.user for role in Role}
    assert "not the user of the web processes" in database.problem()
    web = Role.WEB
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    for given, found in (
        (f'REVOKE TEMPORARY ON DATABASE {name} FROM "{web.user}"', "TEMPORARY on the database is missing"),
        (f'GRANT UPDATE ON audit_auditevent TO "{web.user}"', "UPDATE of action on audit_auditevent is too much"),
        (f'GRANT DELETE ON subscriptions_reclaim TO "{web.user}"', "DELETE on subscriptions_reclaim is too much"),
        (f'REVOKE INSERT ON audit_auditevent FROM "{web.user}"', "INSERT on audit_auditevent is missing"),
        (f'GRANT CREATE ON SCHEMA public TO "{web.user}"', "may make tables"),
        (f'ALTER ROLE "{web.user}" SUPERUSER', "superuser, or may make users and databases"),
        (f'ALTER TABLE ui_savedview OWNER TO "{web.user}"', "owns tables"),
    ):
        savepoint = transaction.savepoint()
        sql(given)
        assert found in database_rights.differences(web), given
        for role in Role:
            with acting(role):
                assert f"The rights of {web.user} in PostgreSQL are not" in database.problem(), given
        transaction.savepoint_rollback(savepoint)
    sql(f'GRANT UPDATE ON audit_auditevent TO "{web.user}"')
    assert not refused(web, "UPDATE audit_auditevent SET action = NULL WHERE false")
    sql(f"GRANT TEMPORARY ON DATABASE {name} TO PUBLIC")
    assert "TEMPORARY on the database is too much" in database_rights.differences(Role.BEAT)
    call_command("grant_roles")
    assert refused(web, "UPDATE audit_auditevent SET action = NULL WHERE false")
    for role in Role:
        assert database_rights.differences(role) == []
        with acting(role):
            assert database.problem() == ""


@on_postgresql
def test_the_whole_job_runs_as_the_two_users(roles, world, alice, bob, monkeypatch):
    """Connect, download, request, approve, reclaim, restore, reconcile, retention, and all lists and pages."""
    monkeypatch.setattr(tasks, "enqueue_task", lambda *args: True)
    olivia, zoe = person("olivia", "Operator"), person("zoe", "Company admin")
    with acting(Role.WEB):
        lifecycle.make_download_due(world.profile, actor=olivia)
    with acting(Role.WORKER):
        tasks.sweep()
        tasks.download_due(world.profile.pk)
    with acting(Role.WEB):
        client = Client()
        assert client.login(username="zoe", password="a long password of zoe")
        asked = request_reclaim(world.candidates(3), actor=alice)
        decide.approve(asked, actor=bob)
        kept = request_reclaim(world.candidates(2), actor=alice)
        decide.reject(kept, actor=bob, comment="They are on leave until January.")
    with acting(Role.WORKER):
        assert reclaim_due(world.profile).reclaimed == 3
        tasks.sweep()
    with acting(Role.WEB):
        taken = Reclaim.objects.filter(state="done").order_by("pk")
        restores.restore(taken.first(), actor=alice, reason="Needs the seat again.")
    with acting(Role.WORKER):
        assert reclaim_due(world.profile).restored == 1
        world.download()
        reconcile_profile(world.profile, actor=None)
        thin_past_activity()
        tasks.thin_history()
        tasks.sweep()
        ReclaimRequest.objects.filter(state="open").update(expires_at=database_now() - timedelta(days=1))
        tasks.sweep()
    with acting(Role.WEB):
        for name in ("subscription", "removalcandidate", "reclaimrequest", "reclaim", "downloadrun", "protection"):
            page = client.get(reverse(f"admin:subscriptions_{name}_changelist"))
            assert page.status_code == 200, name
        row = RemovalCandidate.objects.first()
        for address in (
            reverse("admin:index"),
            reverse("admin:audit_auditevent_changelist"),
            reverse("admin:subscriptions_removalcandidate_change", args=[row.pk]),
            reverse("admin:integrations_integrationprofile_change", args=[world.profile.pk]),
            reverse("admin:subscriptions_savings"),
        ):
            assert client.get(address).status_code == 200, address
        rule = ReclaimRule.objects.get()
        form = reverse("admin:subscriptions_reclaimrule_change", args=[rule.pk])
        assert client.get(form).status_code == 200
        client.post(reverse("admin:logout"))
    found = actions()
    for action in ("download.completed", "request.approved", "reclaim.done", "restore.done", "request.rejected"):
        assert action in found
    assert IntegrationProfile.objects.get().state == "published"
    assert zoe.pk


def refused_to_beat() -> list[str]:
    """The statements of a scheduler that PostgreSQL refuses, from its start to its end. Nothing of it stays."""
    refusals = []

    def note(execute, statement, parameters, many, context):
        try:
            return execute(statement, parameters, many, context)
        except DatabaseError as error:
            if getattr(error.__cause__, "sqlstate", "") == "42501":
                refusals.append(statement)
            raise

    with suppress(DatabaseError), undone(), acting(Role.BEAT), connection.execute_wrapper(note):
        scheduler = Scheduler(app=app)
        due = PeriodicTask.objects.get(name="Sweep").total_run_count
        while scheduler.tick() == 0:
            pass
        # The next heartbeat is not the first one.
        scheduler._next = 0.0
        scheduler.tick()
        assert refusals or Heartbeat.objects.filter(kind=ProcessKind.BEAT).exists()
        scheduler.close()
        assert refusals or PeriodicTask.objects.get(name="Sweep").total_run_count == due + 1
        assert refusals or not Heartbeat.objects.filter(kind=ProcessKind.BEAT).exists()
    return refusals


@on_postgresql
def test_beat_does_its_job_and_needs_each_of_its_rights(roles, settings, monkeypatch):
    """Control: without any one of them, PostgreSQL refuses a statement of the job."""
    settings.ALLOWED_HOSTS = ["localhost"]
    # Nothing is sent, the transaction of the test stays open, and nothing is written when its process ends.
    monkeypatch.setattr(Scheduler, "apply_entry", lambda *args, **kwargs: None)
    monkeypatch.setattr(Scheduler, "producer", None)
    for name in ("close_old_connections", "Finalize"):
        monkeypatch.setattr(f"django_celery_beat.schedulers.{name}", lambda *args, **kwargs: None)
    PeriodicTask.objects.filter(name="Sweep").update(last_run_at=database_now() - timedelta(hours=1))
    assert refused_to_beat() == []
    granted = sorted(database_rights.wanted(Role.BEAT))
    assert len(granted) > 10
    for table, right in granted:
        word, _, column = right.partition(" of ")
        with undone():
            sql(f'REVOKE {word} {f"({column})" if column else ""} ON {table} FROM "{Role.BEAT.user}"')
            assert refused_to_beat(), f"{right} on {table} is not needed"


@on_postgresql
def test_rights_are_granted_when_all_users_exist(roles, settings):
    """An update that brings a user says so before it changes anything."""
    settings.DATABASE_BEAT_USER = "nobody_yet"
    with pytest.raises(CommandError, match='let its administrator run CREATE ROLE "nobody_yet" LOGIN'):
        call_command("grant_roles")


@on_postgresql
def test_a_process_with_the_user_of_another_one_is_found(roles):
    def found():
        with acting(Role.WEB):
            return doctor_rights(Context())

    with acting(Role.WORKER):
        heartbeats.beat(ProcessKind.WORKER, "celery@one")
        heartbeats.beat(ProcessKind.BEAT, "gen7@one")
    assert found().title == "A process has the database user of another one"
    assert found().detail == (f"gen7@one reaches the database as {Role.WORKER.user}, and not as {Role.BEAT.user}.")
    with acting(Role.BEAT):
        heartbeats.beat(ProcessKind.BEAT, "gen7@one")
    assert found().level == Level.OK


@on_postgresql
def test_a_worker_ends_sessions_that_it_may_not_read(roles, bob):
    dave, client = person("dave", "Auditor"), Client()
    client.post(reverse("admin:login"), {"username": "dave", "password": "a long password of dave"})
    assert client.get(reverse("admin:index")).status_code == 200
    rights_changes.ask(dave, ChangeKind.SUPERUSER, actor=None)
    announced_a_day_ago()
    assert refused(Role.WORKER, "SELECT FROM django_session")
    with acting(Role.WORKER):
        tasks.sweep()
    with acting(Role.WEB):
        assert client.get(reverse("admin:index"))["Location"].startswith(reverse("admin:login"))


@on_postgresql
def test_a_worker_lets_the_right_of_a_person_who_joined_take_effect(roles, bob, carol):
    """It may read neither factors nor links to the sign-on."""
    dave = person("dave", "Auditor")
    dave.groups.set([Group.objects.get(name="Approver")])
    rights_changes.follow(actor=carol)
    announced_a_day_ago()
    assert refused(Role.WORKER, "SELECT FROM mfa_authenticator")
    with acting(Role.WORKER):
        tasks.sweep()
    assert deciders().filter(pk=dave.pk).exists()


@on_postgresql
def test_a_worker_moves_the_protections_of_an_archived_profile(roles, world, alice, at_sandbox):
    world.first_download()
    why = ProtectionInput("On parental leave", "Petra Meyer, HR")
    email = world.candidates(1).get().subscription.email
    with acting(Role.WEB):
        made = create_protection(world.profile, "person", email, why, actor=alice).made[0]
        archive.archive(world.profile, typed_name=world.profile.name, actor=alice)
    again = replace(world, profile=connect(at_sandbox, name="Northwind again"))
    with acting(Role.WORKER):
        again.download()
    made.refresh_from_db()
    assert made.profile == again.profile


def test_each_table_is_declared():
    """A new table of ours must say what web and worker may do with it. Beat may do nothing with it."""
    for role in Role:
        rights = database_roles.declared(role)
        assert {*database_roles.TABLES, *database_roles.BEAT} <= set(rights)
        for table, model in database_roles.tables().items():
            rights[table].columns(model)
    audit = {role: database_roles.declared(role)["audit_auditevent"] for role in Role}
    assert audit == {
        Role.WEB: database_roles.ADD,
        Role.WORKER: database_roles.ADD,
        Role.BEAT: database_roles.NOTHING,
    }


@on_postgresql
def test_the_workers_check_the_installation_and_a_page_can_hide_nothing(
    roles, valkey, live_server, settings, allow_http
):
    allow_http(settings.PUBLIC_URL)
    nils = person("nils", "Operator")
    with acting(Role.WORKER):
        heartbeats.beat(ProcessKind.WORKER, "celery@one", queues=["default"])
        heartbeats.scheduled("gen7@one", database_now())
        results.run_and_keep(everything=True)
        queues.forget_old()
    titles = dict(CheckResult.objects.values_list("check_id", "title"))
    assert [name for name, title in titles.items() if title.startswith("This check failed")] == []
    with acting(Role.WEB):
        assert shown_to(nils).tiles
        trial = MailTrial.objects.create(user=nils)
        for change in ("UPDATE integrations_checkresult SET level = 'ok'", "DELETE FROM integrations_heartbeat"):
            with pytest.raises(DatabaseError), transaction.atomic():
                sql(change)
    with acting(Role.WORKER):
        send_mail_trial(trial.pk)
    assert MailTrial.objects.get().ended_at
