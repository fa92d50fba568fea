"""Subscriptions and their history, rules, requests and reclaims; the roles; the nightly tasks."""

import decimal
import sys
import uuid

import django.core.validators
import django.db.models.deletion
import django.db.models.fields.json
import django.db.models.functions.comparison
import django.db.models.functions.datetime
from django.apps import apps as installed
from django.conf import settings
from django.contrib.auth.management import create_permissions
from django.db import DatabaseError, migrations, models, transaction

import licensehub.database.clock
import subscriptions.models.fields

# The staging table has no key; the merge reads it once.
STAGING = """
    run_id integer NOT NULL, external_id varchar(40) NOT NULL, email varchar(254) NOT NULL, active boolean NOT NULL,
    license varchar(40) NOT NULL, role varchar(60) NOT NULL, license_assigned_at {moment}, last_activity_at {moment},
    reclaimable boolean NOT NULL, why_not varchar(200) NOT NULL, admin_roles text NOT NULL DEFAULT '',
    implausible_dates varchar(120) NOT NULL DEFAULT ''
"""
EXTENSION = "CREATE EXTENSION IF NOT EXISTS pg_trgm"
# Few bytes for many rows: those of a run lie together. Each range of pages keeps several spans, because rows of a new
# run also fill the space of thinned ones.
SNAPSHOTS_OF_A_RUN = (
    "CREATE INDEX snapshot_run ON subscriptions_activitysnapshot "
    "USING brin (run_id int4_minmax_multi_ops) WITH (autosummarize = on, pages_per_range = 32)"
)
TRIGRAMS = "CREATE INDEX search_letters ON subscriptions_searchtext USING gin (text gin_trgm_ops)"
NOT_ALLOWED = """
PostgreSQL did not let LicenseHub use its extension pg_trgm: {error}
Everything works without it; only the search in lists of very many people is slow. To make it fast, install the
package postgresql-contrib and let a superuser of the database run:
    {extension};
    {index};
"""
SEES = [
    "subscriptions.view_subscription",
    "subscriptions.view_activitysnapshot",
    "subscriptions.view_removalcandidate",
    "subscriptions.view_reclaimrequest",
    "subscriptions.view_requestedremoval",
    "subscriptions.view_reclaim",
    "subscriptions.view_reclaimrule",
    "subscriptions.view_downloadrun",
    "subscriptions.view_protection",
    "subscriptions.view_notice",
    "subscriptions.view_reconciliation",
    "subscriptions.view_price",
    "subscriptions.view_contract",
    "subscriptions.view_company",
    "subscriptions.view_monthlyreport",
    "integrations.view_integrationprofile",
]
SEES_ALL = [
    *SEES,
    "integrations.view_connection",
    "audit.view_auditevent",
    "auth.view_user",
    "subscriptions.view_rightschange",
    "subscriptions.make_evidencepack",
    "integrations.view_webhook",
]
OPERATES = [
    "integrations.view_integrationprofile",
    "integrations.add_integrationprofile",
    "integrations.change_integrationprofile",
    "integrations.operate_integrationprofile",
    "integrations.view_connection",
    "integrations.add_connection",
    "integrations.change_connection",
    "integrations.stop_all_sending",
    "integrations.view_checkresult",
    "subscriptions.view_downloadrun",
]
MANAGES = [
    "subscriptions.change_reclaimrule",
    "subscriptions.request_removalcandidate",
    "subscriptions.add_protection",
    "subscriptions.change_protection",
    "subscriptions.restore_reclaimrequest",
    "ui.share_savedview",
]
DECIDES = ["subscriptions.decide_reclaimrequest", "subscriptions.raise_cap_reclaimrequest"]
ADMINISTERS = [
    "auth.add_user",
    "auth.change_user",
    "subscriptions.add_price",
    "subscriptions.change_price",
    "subscriptions.change_contract",
    "subscriptions.change_company",
    "subscriptions.change_monthlyreport",
    "subscriptions.erase_person",
    "integrations.change_webhook",
]
ROLES = {
    "Company admin": [*SEES_ALL, *OPERATES, *MANAGES, *ADMINISTERS],
    "License manager": [*SEES, *MANAGES],
    "Approver": [*SEES, *DECIDES, "subscriptions.view_rightschange"],
    "Auditor": SEES_ALL,
    "Operator": OPERATES,
}


def create_staging(apps, schema_editor):
    """On PostgreSQL, an index would cost more than the hash joins that do without; SQLite needs one."""
    if schema_editor.connection.vendor == "postgresql":
        columns = STAGING.format(moment="timestamptz")
        schema_editor.execute(f"CREATE UNLOGGED TABLE subscriptions_downloadedmember ({columns})")
    else:
        columns = STAGING.format(moment="datetime").replace("boolean", "bool")
        schema_editor.execute(f"CREATE TABLE subscriptions_downloadedmember ({columns})")
        schema_editor.execute("CREATE INDEX staging_member ON subscriptions_downloadedmember (run_id, external_id)")


def drop_staging(apps, schema_editor):
    schema_editor.execute("DROP TABLE subscriptions_downloadedmember")


def index_search(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic(using=schema_editor.connection.alias):
            schema_editor.execute(EXTENSION)
            schema_editor.execute(TRIGRAMS)
    except DatabaseError as error:
        sys.stderr.write(NOT_ALLOWED.format(error=str(error).strip(), extension=EXTENSION, index=TRIGRAMS))


def drop_search_index(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS search_letters")


def index_snapshots(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(SNAPSHOTS_OF_A_RUN)


def drop_snapshot_index(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS snapshot_run")


def create_roles(apps, schema_editor):
    """The roles are groups. What somebody adds to them later stays."""
    # Django creates permissions after all migrations; these roles need theirs now.
    for label in ("audit", "integrations", "subscriptions", "auth", "ui"):
        create_permissions(installed.get_app_config(label), verbosity=0)
    permission_model = apps.get_model("auth", "Permission")
    group_model = apps.get_model("auth", "Group")
    for name, wanted in ROLES.items():
        group, _ = group_model.objects.get_or_create(name=name)
        for word in dict.fromkeys(wanted):
            app_label, codename = word.split(".")
            group.permissions.add(permission_model.objects.get(content_type__app_label=app_label, codename=codename))


def schedule_tasks(apps, schema_editor):
    """The sweep every minute, the mailbox every ten, reconciliation and retention every night. It is never written again: an operator may
    change the schedules afterwards."""
    tasks = apps.get_model("django_celery_beat", "PeriodicTask").objects
    every_minute, _ = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=60, period="seconds"
    )
    tasks.get_or_create(name="Sweep", defaults={"task": "subscriptions.tasks.sweep", "interval": every_minute})
    by_crontab = (
        ("Read the mailbox of bounces", "subscriptions.tasks.read_bounce_mailbox", "*", "*/10"),
        # This time is after most nightly downloads.
        ("Reconcile the ledger with the vendor", "subscriptions.tasks.reconcile_all", "5", "15"),
        ("Thin old history", "subscriptions.tasks.thin_history", "3", "40"),
    )
    for name, task, hour, minute in by_crontab:
        crontab, _ = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
            minute=minute, hour=hour, day_of_week="*", day_of_month="*", month_of_year="*", timezone="UTC"
        )
        tasks.get_or_create(name=name, defaults={"task": task, "crontab": crontab})


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("audit", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        ("integrations", "0001_initial"),
        ("ui", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DownloadedMember",
            fields=[
                ("external_id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("email", models.CharField(max_length=254)),
                ("active", models.BooleanField()),
                ("license", models.CharField(max_length=40)),
                ("role", models.CharField(max_length=60)),
                ("license_assigned_at", models.DateTimeField(null=True)),
                ("last_activity_at", models.DateTimeField(null=True)),
                ("reclaimable", models.BooleanField()),
                ("why_not", models.CharField(blank=True, max_length=200)),
                ("admin_roles", subscriptions.models.fields.LabelsField(blank=True)),
                ("implausible_dates", models.CharField(blank=True, max_length=120)),
            ],
            options={
                "db_table": "subscriptions_downloadedmember",
                "managed": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="AccountSettings",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="account_settings",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("time_zone", models.CharField(blank=True, default="", max_length=64)),
                ("language", models.CharField(blank=True, default="", max_length=10)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="AccountPerson",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=40)),
                ("organization_id", models.CharField(max_length=40)),
                ("external_id", models.CharField(blank=True, max_length=40, verbose_name="vendor ID")),
                ("email", models.CharField(blank=True, max_length=254, verbose_name="e-mail")),
                ("linked_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                (
                    "linked_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="persons",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "person of an account",
                "ordering": ["pk"],
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "kind", "organization_id", "external_id"), name="account_person_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="DownloadRun",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("slot", models.DateTimeField(editable=False, null=True)),
                (
                    "state",
                    models.CharField(
                        verbose_name="state",
                        choices=[
                            ("running", "Running"),
                            ("evaluating", "Evaluating"),
                            ("complete", "Complete"),
                            ("quarantined", "Quarantined"),
                            ("failed", "Failed"),
                            ("discarded", "Discarded"),
                        ],
                        default="running",
                        editable=False,
                        max_length=12,
                    ),
                ),
                (
                    "started_by",
                    models.CharField(
                        verbose_name="started by",
                        choices=[
                            ("schedule", "Schedule"),
                            ("publish", "Publishing the profile"),
                            ("person", "A person"),
                            ("command", "The command line"),
                        ],
                        editable=False,
                        max_length=10,
                    ),
                ),
                (
                    "started_by_user",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "started_at",
                    models.DateTimeField(
                        verbose_name="started at", default=licensehub.database.clock.database_now, editable=False
                    ),
                ),
                ("finished_at", models.DateTimeField(editable=False, null=True)),
                ("token", models.UUIDField(default=uuid.uuid4, editable=False)),
                ("lease_until", models.DateTimeField(editable=False)),
                ("cursor", models.CharField(blank=True, editable=False, max_length=250)),
                ("former_cursor", models.CharField(blank=True, editable=False, max_length=250)),
                ("all_pages_in", models.BooleanField(default=False, editable=False)),
                ("pages", models.PositiveIntegerField(default=0, editable=False)),
                ("parts", models.PositiveIntegerField(default=1, editable=False)),
                ("tries", models.PositiveIntegerField(default=0, editable=False)),
                ("waited", models.FloatField(default=0, editable=False)),
                ("outages", models.PositiveIntegerField(default=0, editable=False)),
                (
                    "follow_up",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("names", "Names"),
                            ("team_admins", "Only admins of teams"),
                            ("verdicts", "Verdicts"),
                            ("candidates", "Removal candidates"),
                            ("lists", "Search and counts"),
                            ("request", "Automatic request"),
                            ("done", "Done"),
                            ("superseded", "Taken over by a newer download"),
                            ("stopped", "Ended with the profile"),
                        ],
                        editable=False,
                        max_length=12,
                    ),
                ),
                ("steps", models.JSONField(default=dict, editable=False)),
                ("evaluated_at", models.DateTimeField(editable=False, null=True)),
                ("requests", models.PositiveIntegerField(default=0, editable=False)),
                ("credits", models.PositiveBigIntegerField(default=0, editable=False)),
                ("read", models.PositiveIntegerField(default=0, editable=False)),
                ("new", models.PositiveIntegerField(default=0, editable=False)),
                ("changed", models.PositiveIntegerField(default=0, editable=False)),
                ("gone", models.PositiveIntegerField(default=0, editable=False)),
                ("unchanged", models.PositiveIntegerField(default=0, editable=False)),
                ("new_after", models.PositiveBigIntegerField(default=0, editable=False)),
                ("new_until", models.PositiveBigIntegerField(default=0, editable=False)),
                ("implausible", models.PositiveIntegerField(default=0, editable=False)),
                ("problem", models.TextField(blank=True, editable=False)),
                (
                    "doubt",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("members", "Members are missing"),
                            ("activity", "The activity dates are in doubt"),
                        ],
                        default="",
                        editable=False,
                        max_length=10,
                    ),
                ),
                ("acceptable", models.BooleanField(default=False, editable=False)),
                ("proposed_at", models.DateTimeField(editable=False, null=True)),
                ("proposal_reason", models.TextField(blank=True, editable=False)),
                ("decided_at", models.DateTimeField(editable=False, null=True)),
                ("team_admins_checked", models.BooleanField(default=False, editable=False)),
                ("thinned", models.BooleanField(default=False, editable=False)),
                ("purchased", models.JSONField(default=dict, editable=False)),
                ("stats", models.JSONField(default=dict, editable=False)),
                (
                    "decided_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "profile",
                    models.ForeignKey(
                        verbose_name="profile",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="download_runs",
                        to="integrations.integrationprofile",
                    ),
                ),
                (
                    "proposed_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "download run",
                "verbose_name_plural": "download runs",
                "ordering": ["-started_at", "-pk"],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["started_at", "id"], name="download_started"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "running")), fields=("profile",), name="download_one_running"
                    ),
                    models.UniqueConstraint(fields=("profile", "slot"), name="download_one_per_slot"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Subscription",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("external_id", models.CharField(editable=False, max_length=40, verbose_name="vendor ID")),
                ("email", models.CharField(editable=False, max_length=254, verbose_name="e-mail")),
                (
                    "normalized_email",
                    models.CharField(blank=True, db_default="", default="", editable=False, max_length=254),
                ),
                ("name", models.CharField(blank=True, db_default="", default="", editable=False, max_length=254)),
                ("department", models.CharField(blank=True, db_default="", default="", editable=False, max_length=120)),
                (
                    "cost_center",
                    models.CharField(blank=True, db_default="", default="", editable=False, max_length=120),
                ),
                (
                    "given_name",
                    models.CharField(blank=True, db_default="", default="", editable=False, max_length=120),
                ),
                (
                    "division",
                    models.CharField(blank=True, db_default="", default="", editable=False, max_length=120),
                ),
                (
                    "employee_number",
                    models.CharField(blank=True, db_default="", default="", editable=False, max_length=60),
                ),
                (
                    "manager",
                    models.CharField(blank=True, db_default="", default="", editable=False, max_length=254),
                ),
                (
                    "manager_id",
                    models.CharField(blank=True, db_default="", default="", editable=False, max_length=254),
                ),
                ("language", models.CharField(blank=True, db_default="", default="", editable=False, max_length=60)),
                ("active", models.BooleanField(editable=False)),
                ("license", models.CharField(editable=False, max_length=40)),
                ("role", models.CharField(editable=False, max_length=60)),
                ("license_assigned_at", models.DateTimeField(editable=False, null=True, verbose_name="assigned since")),
                ("last_activity_at", models.DateTimeField(editable=False, null=True, verbose_name="last activity")),
                ("dates_went_back", models.BooleanField(db_default=False, default=False, editable=False)),
                (
                    "vendor_activity_at",
                    models.DateTimeField(
                        editable=False, null=True, verbose_name="last activity as the vendor says now"
                    ),
                ),
                (
                    "implausible_dates",
                    models.CharField(blank=True, db_default="", default="", editable=False, max_length=120),
                ),
                ("reclaimable", models.BooleanField(editable=False)),
                ("why_not", models.CharField(blank=True, editable=False, max_length=200)),
                (
                    "admin_roles",
                    subscriptions.models.fields.LabelsField(blank=True, db_default="", default=(), editable=False),
                ),
                (
                    "sole_admin_of",
                    models.CharField(blank=True, db_default="", default="", editable=False, max_length=500),
                ),
                (
                    "idle_since",
                    models.GeneratedField(
                        db_persist=True,
                        expression=django.db.models.functions.comparison.Coalesce(
                            "last_activity_at", "license_assigned_at"
                        ),
                        output_field=models.DateTimeField(null=True),
                    ),
                ),
                ("gone_at", models.DateTimeField(editable=False, null=True)),
                ("cooldown_until", models.DateTimeField(editable=False, null=True)),
                (
                    "cooldown_reason",
                    models.CharField(blank=True, db_default="", default="", editable=False, max_length=200),
                ),
                ("review_passed", models.BooleanField(db_default=False, default=False, editable=False)),
                ("facts_at", models.DateTimeField(editable=False, verbose_name="facts of")),
                (
                    "former",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="later",
                        to="subscriptions.subscription",
                    ),
                ),
                (
                    "changed_run",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="subscriptions.downloadrun",
                    ),
                ),
                (
                    "first_run",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="subscriptions.downloadrun",
                    ),
                ),
                (
                    "profile",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="subscriptions",
                        to="integrations.integrationprofile",
                    ),
                ),
            ],
            options={
                "verbose_name": "subscription",
                "verbose_name_plural": "subscriptions",
                "ordering": ["profile", "idle_since", "pk"],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["idle_since", "id"], name="subscription_idle"),
                    models.Index(fields=["license"], name="subscription_license"),
                    models.Index(fields=["role"], name="subscription_role"),
                    models.Index(
                        condition=models.Q(("active", True), ("gone_at", None), ("last_activity_at", None)),
                        fields=["idle_since", "id"],
                        name="subscription_never",
                    ),
                    models.Index(
                        condition=models.Q(("active", False), ("gone_at__isnull", False), _connector="OR"),
                        fields=["idle_since", "id"],
                        name="subscription_free",
                    ),
                    models.Index(
                        condition=models.Q(("former__isnull", False)), fields=["former"], name="subscription_former"
                    ),
                    models.Index(
                        condition=models.Q(("admin_roles", ""), _negated=True),
                        fields=["idle_since", "id"],
                        name="subscription_admin",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("profile", "external_id"), name="subscription_one_per_member"),
                ],
            },
        ),
        migrations.CreateModel(
            name="PersonToReview",
            fields=[],
            options={
                "verbose_name": "person to review",
                "verbose_name_plural": "people to review",
                "proxy": True,
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("subscriptions.subscription",),
        ),
        migrations.CreateModel(
            name="VendorFacts",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("profile_id", models.BigIntegerField()),
                ("email", models.CharField(max_length=254)),
                ("active", models.BooleanField()),
                ("license", models.CharField(max_length=40)),
                ("role", models.CharField(max_length=60)),
                ("license_assigned_at", models.DateTimeField(null=True)),
                ("known_activity_at", models.DateTimeField(db_column="last_activity_at", null=True)),
                ("dates_went_back", models.BooleanField()),
                ("vendor_activity_at", models.DateTimeField(null=True)),
                ("implausible_dates", models.CharField(max_length=120)),
                ("admin_roles", subscriptions.models.fields.LabelsField()),
                ("reclaimable", models.BooleanField()),
                ("gone_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "subscriptions_subscription",
                "managed": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Bucket",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("counted_at", models.DateTimeField()),
                ("as_of", models.DateTimeField()),
                ("verdict", models.CharField(max_length=20)),
                ("standing", models.CharField(blank=True, max_length=20)),
                ("license", models.CharField(max_length=40)),
                ("idle_since", models.DateTimeField(null=True)),
                ("last_activity_at", models.DateTimeField(null=True)),
                ("license_assigned_at", models.DateTimeField(null=True)),
                ("review_passed", models.BooleanField(default=False)),
                ("admin_roles", models.CharField(blank=True, max_length=10)),
                ("people", models.PositiveIntegerField()),
                (
                    "profile",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="buckets",
                        to="integrations.integrationprofile",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["profile", "counted_at"], name="bucket_newest")],
            },
        ),
        migrations.CreateModel(
            name="CountDue",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("since", models.DateTimeField(default=licensehub.database.clock.database_now)),
                (
                    "profile",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="integrations.integrationprofile",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="DownloadedPerson",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("external_id", models.TextField()),
                ("name", models.TextField()),
                ("given_name", models.TextField()),
                ("department", models.TextField()),
                ("cost_center", models.TextField()),
                ("division", models.TextField()),
                ("employee_number", models.TextField()),
                ("manager", models.TextField()),
                ("manager_id", models.TextField()),
                ("language", models.TextField()),
                (
                    "run",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="people",
                        to="subscriptions.downloadrun",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["run", "external_id"], name="person_of_a_run")],
            },
        ),
        migrations.CreateModel(
            name="SoleTeamAdmin",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("external_id", models.CharField(max_length=40)),
                ("team", models.CharField(max_length=120)),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sole_team_admins",
                        to="subscriptions.downloadrun",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Evaluation",
            fields=[
                (
                    "subscription",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="evaluation",
                        serialize=False,
                        to="subscriptions.subscription",
                    ),
                ),
                (
                    "verdict",
                    models.CharField(
                        choices=[
                            ("not_evaluated", "Not evaluated yet"),
                            ("gone", "Left the organization"),
                            ("deactivated", "Deactivated"),
                            ("unknown", "Facts missing"),
                            ("not_in_scope", "License not in scope"),
                            ("cannot_be_removed", "Cannot be removed"),
                            ("protected", "Protected"),
                            ("cooling_down", "Cooling down"),
                            ("in_grace", "New joiner"),
                            ("active", "Active lately"),
                            ("dates_went_back", "Dates went back"),
                            ("admin_role", "Admin role"),
                            ("never_active", "Never active"),
                            ("candidate", "Inactive"),
                        ],
                        max_length=20,
                    ),
                ),
                ("idle_since", models.DateTimeField(null=True)),
                ("evaluated_at", models.DateTimeField()),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["verdict", "idle_since", "subscription"], name="evaluation_verdict_idle"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SearchText",
            fields=[
                (
                    "subscription",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="search",
                        serialize=False,
                        to="subscriptions.subscription",
                    ),
                ),
                ("text", models.CharField(max_length=520)),
                ("address", models.CharField(max_length=254)),
                ("department", models.CharField(max_length=120, null=True)),
                ("cost_center", models.CharField(max_length=120, null=True)),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["address"], name="search_address"),
                    models.Index(fields=["text", "subscription"], name="search_text"),
                    models.Index(fields=["department", "subscription"], name="search_department"),
                    models.Index(fields=["cost_center", "subscription"], name="search_cost_center"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ActivitySnapshot",
            fields=[
                ("last_activity_at", models.DateTimeField(null=True)),
                ("license_assigned_at", models.DateTimeField(null=True)),
                ("email", models.CharField(max_length=254, null=True)),
                ("license", models.CharField(max_length=40, null=True)),
                ("role", models.CharField(max_length=60, null=True)),
                ("active", models.BooleanField(null=True)),
                ("gone", models.BooleanField(null=True)),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "subscription_id", "run_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="subscriptions.downloadrun",
                    ),
                ),
                (
                    "subscription",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="snapshots",
                        to="subscriptions.subscription",
                    ),
                ),
            ],
            options={
                "verbose_name": "activity snapshot",
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("email__isnull", False)), fields=["email"], name="snapshot_former_email"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RecheckSnapshot",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("last_activity_at", models.DateTimeField(null=True)),
                ("license_assigned_at", models.DateTimeField(null=True)),
                ("email", models.CharField(max_length=254, null=True)),
                ("license", models.CharField(max_length=40, null=True)),
                ("role", models.CharField(max_length=60, null=True)),
                ("active", models.BooleanField(null=True)),
                ("gone", models.BooleanField(null=True)),
                ("seen_at", models.DateTimeField()),
                (
                    "subscription",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="recheck_snapshots",
                        to="subscriptions.subscription",
                    ),
                ),
            ],
            options={
                "verbose_name": "recheck snapshot",
                "ordering": ["seen_at", "pk"],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Reclaim",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "direction",
                    models.CharField(
                        verbose_name="direction",
                        choices=[("deactivate", "Reclaim"), ("reactivate", "Restore")],
                        default="deactivate",
                        max_length=10,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        verbose_name="state",
                        choices=[
                            ("queued", "Waiting to be sent"),
                            ("claimed", "Looking again"),
                            ("sending", "Sending"),
                            ("done", "Verified"),
                            ("skipped", "Skipped"),
                            ("failed", "Refused"),
                            ("tampered", "Tampered"),
                            ("in_doubt", "In doubt"),
                        ],
                        default="queued",
                        max_length=10,
                    ),
                ),
                ("license", models.CharField(blank=True, db_default="", default="", max_length=40)),
                ("signature", models.CharField(blank=True, db_default="", default="", editable=False, max_length=64)),
                (
                    "queued_at",
                    models.DateTimeField(verbose_name="queued at", default=licensehub.database.clock.database_now),
                ),
                ("token", models.UUIDField(editable=False, null=True)),
                ("lease_until", models.DateTimeField(editable=False, null=True)),
                ("tries", models.PositiveSmallIntegerField(db_default=0, default=0, editable=False)),
                ("not_before", models.DateTimeField(null=True)),
                (
                    "hold_reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("sending_stopped", "Sending is stopped"),
                            ("paused", "The profile is paused"),
                            ("reclaim_off", "Reclaim subscriptions is switched off"),
                            ("connection", "A connection is in error"),
                            ("window", "Outside of the reclaim window"),
                            ("rolling_cap", "The cap for 24 hours is reached"),
                            ("batch_cap", "The request is over the cap of the rule"),
                            ("backup", "This database may be a restored backup"),
                            ("clock", "The clock of a host is wrong"),
                            ("tampered", "Something was changed outside of LicenseHub"),
                            ("activity", "The vendor's activity dates are in doubt"),
                            ("lost_answers", "The vendor's answers were lost"),
                            ("later", "The vendor is tried again later"),
                        ],
                        default="",
                        max_length=16,
                    ),
                ),
                ("sending_at", models.DateTimeField(null=True, verbose_name="sent")),
                ("finished_at", models.DateTimeField(null=True, verbose_name="finished at")),
                ("http_status", models.PositiveSmallIntegerField(null=True)),
                ("request_id", models.CharField(blank=True, default="", max_length=100)),
                ("read_back", models.CharField(blank=True, default="", max_length=10)),
                ("read_back_at", models.DateTimeField(null=True)),
                ("license_after", models.CharField(blank=True, db_default="", default="", max_length=40)),
                ("reads", models.PositiveSmallIntegerField(default=0, verbose_name="times read back")),
                ("back_at", models.DateTimeField(null=True)),
                ("back_license", models.CharField(blank=True, db_default="", default="", max_length=40)),
                ("bought_again", models.BooleanField(db_default=False, default=False)),
                ("outcome", models.TextField(blank=True, default="")),
                (
                    "profile",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reclaims",
                        to="integrations.integrationprofile",
                    ),
                ),
                (
                    "subscription",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reclaims",
                        to="subscriptions.subscription",
                    ),
                ),
            ],
            options={
                "verbose_name": "reclaim",
                "verbose_name_plural": "history",
                "ordering": ["-queued_at", "-pk"],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["profile", "state", "not_before"], name="reclaim_due"),
                    models.Index(fields=["profile", "sending_at"], name="reclaim_sent"),
                    models.Index(fields=["queued_at", "id"], name="reclaim_queued"),
                    models.Index(fields=["state", "queued_at", "id"], name="reclaim_state_queued"),
                    models.Index(
                        fields=["direction", "state", "finished_at", "profile", "license"], name="reclaim_verified"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ("queued", "claimed", "sending"))),
                        fields=("subscription",),
                        name="reclaim_one_under_way",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReclaimRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "direction",
                    models.CharField(
                        choices=[("deactivate", "Reclaim"), ("reactivate", "Restore")],
                        default="deactivate",
                        max_length=10,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("collecting", "Waiting for people"),
                            ("open", "Awaiting approval"),
                            ("approved", "Approved"),
                            ("rejected", "Rejected"),
                            ("expired", "Expired"),
                            ("canceled", "Withdrawn"),
                            ("empty", "Nobody left"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("requested_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                ("reason", models.CharField(blank=True, max_length=500, verbose_name="why now")),
                ("answers_until", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField()),
                ("cap", models.PositiveIntegerField(default=50)),
                ("cap_raised_at", models.DateTimeField(null=True)),
                ("cap_reason", models.CharField(blank=True, default="", max_length=500)),
                ("decided_at", models.DateTimeField(null=True)),
                ("comment", models.CharField(blank=True, max_length=500)),
                (
                    "kept_as",
                    models.CharField(
                        blank=True,
                        choices=[("sent_back", "Sent back"), ("paused", "Paused"), ("protected", "Protected")],
                        db_default="",
                        default="",
                        max_length=10,
                    ),
                ),
                ("kept_until", models.DateTimeField(null=True)),
                ("revision", models.PositiveIntegerField(db_default=0, default=0)),
                ("valid_until", models.DateTimeField(null=True)),
                (
                    "cap_raised_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "decided_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reclaim_decisions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "profile",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="requests",
                        to="integrations.integrationprofile",
                    ),
                ),
                (
                    "repeats",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="repeated_by",
                        to="subscriptions.reclaim",
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reclaim_requests",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "reclaim request",
                "verbose_name_plural": "approvals",
                "ordering": ["-requested_at", "-pk"],
                "permissions": [
                    ("decide_reclaimrequest", "Can approve or reject a reclaim request"),
                    ("raise_cap_reclaimrequest", "Can raise the cap of a reclaim request"),
                    ("restore_reclaimrequest", "Can restore people, or ask for the restore of several"),
                ],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["state", "id", "profile"], name="request_state"),
                    models.Index(
                        condition=models.Q(("state__in", ("collecting", "open"))),
                        fields=["profile", "expires_at"],
                        name="request_waiting",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("decided_by", None),
                            ("requested_by", None),
                            models.Q(("decided_by", models.F("requested_by")), _negated=True),
                            _connector="OR",
                        ),
                        name="request_second_person",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "approved"), _negated=True),
                            models.Q(
                                ("decided_at__isnull", False),
                                ("decided_by__isnull", False),
                                ("valid_until__isnull", False),
                            ),
                            models.Q(("direction", "reactivate"), ("valid_until__isnull", False)),
                            _connector="OR",
                        ),
                        name="request_approved_by_somebody",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("cap_raised_by", None),
                            models.Q(
                                models.Q(
                                    ("requested_by", None),
                                    models.Q(("cap_raised_by", models.F("requested_by")), _negated=True),
                                    _connector="OR",
                                ),
                                models.Q(
                                    ("decided_by", None),
                                    models.Q(("cap_raised_by", models.F("decided_by")), _negated=True),
                                    _connector="OR",
                                ),
                            ),
                            _connector="OR",
                        ),
                        name="request_cap_further_person",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReclaimRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "last_activity_threshold",
                    models.PositiveIntegerField(
                        verbose_name="last activity threshold",
                        default=60,
                        help_text="Days without activity after which a seat counts as unused.",
                        validators=[
                            django.core.validators.MinValueValidator(
                                1,
                                "Enter the threshold in days, at least 1. Usual values are 30, 60 and 90.",
                            ),
                            django.core.validators.MaxValueValidator(
                                3650, "Enter the threshold in days, at most 3650 (ten years)."
                            ),
                        ],
                    ),
                ),
                (
                    "licenses",
                    models.JSONField(default=list, verbose_name="license types"),
                ),
                (
                    "new_joiner_grace",
                    models.PositiveIntegerField(
                        verbose_name="new joiner grace",
                        default=30,
                        help_text="Days after a license was assigned in which nobody is a candidate.",
                        validators=[django.core.validators.MaxValueValidator(3650)],
                    ),
                ),
                (
                    "never_active",
                    models.CharField(
                        choices=[
                            ("review", "Show them for review"),
                            ("candidate", "Make them candidates, counted from the day the license was assigned"),
                        ],
                        default="review",
                        max_length=10,
                        verbose_name="people who were never active",
                    ),
                ),
                (
                    "admin_roles",
                    models.CharField(
                        choices=[
                            ("review", "Show them for review when they are inactive"),
                            ("candidate", "Treat them like everybody else"),
                            ("leave", "Leave them alone"),
                        ],
                        default="review",
                        help_text="Roles with which somebody administers a part of the organization, e.g. its users or "
                        "content.",
                        max_length=10,
                        verbose_name="people with an admin role",
                    ),
                ),
                (
                    "notify_user",
                    models.BooleanField(
                        default=False,
                        help_text="Each person is asked by mail first, and may keep or release the seat.",
                        verbose_name="notify user",
                    ),
                ),
                (
                    "days_to_answer",
                    models.PositiveIntegerField(
                        verbose_name="days to answer",
                        default=7,
                        help_text="Counted from the day the mail was handed over. A reminder goes out half-way.",
                        validators=[
                            django.core.validators.MinValueValidator(1, "Give people at least one day to answer."),
                            django.core.validators.MaxValueValidator(90, "Give people at most 90 days to answer."),
                        ],
                    ),
                ),
                (
                    "keep_means",
                    models.CharField(
                        choices=[
                            ("final", "The seat stays; nobody needs to decide"),
                            ("ask", "The approver sees the wish and decides"),
                        ],
                        default="final",
                        max_length=10,
                        verbose_name="when somebody keeps the seat",
                    ),
                ),
                (
                    "file_requests",
                    models.CharField(
                        verbose_name="file requests",
                        choices=[
                            ("by_hand", "By hand: somebody chooses candidates and asks"),
                            ("automatic", "After each download, up to the batch cap; a person still approves"),
                        ],
                        default="by_hand",
                        max_length=10,
                    ),
                ),
                (
                    "batch_cap_people",
                    models.PositiveIntegerField(
                        default=50,
                        help_text="A larger request can be approved only after another person has raised its cap.",
                        validators=[
                            django.core.validators.MinValueValidator(1, "A request needs room for at least one person.")
                        ],
                        verbose_name="people per request",
                    ),
                ),
                (
                    "batch_cap_percent",
                    models.PositiveIntegerField(
                        default=5,
                        help_text="The smaller cap counts.",
                        validators=[
                            django.core.validators.MinValueValidator(
                                1, "At least 1 percent. To stop everything, stop sending for the profile."
                            ),
                            django.core.validators.MaxValueValidator(100, "At most 100 percent."),
                        ],
                        verbose_name="percent of active licenses per request",
                    ),
                ),
                (
                    "rolling_cap_percent",
                    models.PositiveIntegerField(
                        default=10,
                        help_text="What is approved beyond this waits; nothing is lost.",
                        validators=[
                            django.core.validators.MinValueValidator(
                                1, "At least 1 percent. To stop everything, stop sending for the profile."
                            ),
                            django.core.validators.MaxValueValidator(100, "At most 100 percent."),
                        ],
                        verbose_name="percent of active licenses in 24 hours",
                    ),
                ),
                (
                    "stale_feed_days",
                    models.PositiveIntegerField(
                        default=3,
                        help_text="A download without any activity in these days is quarantined, if the download before had some. 3 days cover a weekend; allow more where the whole company is away for longer.",
                        validators=[
                            django.core.validators.MinValueValidator(1, "At least one day."),
                            django.core.validators.MaxValueValidator(
                                90, "At most 90 days. If a feed has stopped for longer, people look inactive."
                            ),
                        ],
                        verbose_name="days without any activity",
                    ),
                ),
                (
                    "surge_factor",
                    models.PositiveIntegerField(
                        default=2,
                        help_text="A download is quarantined if its share of inactive people is more than this many times the share of the download before, and above the percentage below.",
                        validators=[
                            django.core.validators.MinValueValidator(
                                2, "At least 2: twice as many as in the download before."
                            ),
                            django.core.validators.MaxValueValidator(100, "At most 100 times as many."),
                        ],
                        verbose_name="times as many inactive people",
                    ),
                ),
                (
                    "surge_percent",
                    models.PositiveIntegerField(
                        default=10,
                        help_text="Up to this share, a download is accepted.",
                        validators=[
                            django.core.validators.MinValueValidator(1, "At least 1 percent."),
                            django.core.validators.MaxValueValidator(
                                100, "At most 100 percent. With 100, no download is doubted for this reason."
                            ),
                        ],
                        verbose_name="percent of active licenses that are inactive",
                    ),
                ),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                ("evaluation_due_at", models.DateTimeField(editable=False, null=True)),
                ("evaluation_lease_until", models.DateTimeField(editable=False, null=True)),
                ("evaluated_at", models.DateTimeField(editable=False, null=True)),
                ("changed_at", models.DateTimeField(auto_now=True)),
                (
                    "profile",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rule",
                        to="integrations.integrationprofile",
                    ),
                ),
            ],
            options={
                "verbose_name": "reclaim rule",
                "verbose_name_plural": "reclaim rules",
                "default_permissions": ("view", "change"),
            },
        ),
        migrations.CreateModel(
            name="LicenseThreshold",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("license", models.CharField(max_length=40, verbose_name="license type")),
                (
                    "last_activity_threshold",
                    models.PositiveIntegerField(
                        verbose_name="last activity threshold",
                        validators=[
                            django.core.validators.MinValueValidator(
                                1,
                                "Enter the threshold in days, at least 1. Usual values are 30, 60 and 90.",
                            ),
                            django.core.validators.MaxValueValidator(
                                3650, "Enter the threshold in days, at most 3650 (ten years)."
                            ),
                        ],
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="license_thresholds",
                        to="subscriptions.reclaimrule",
                    ),
                ),
            ],
            options={
                "verbose_name": "threshold for a license type",
                "verbose_name_plural": "thresholds for license types",
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("rule", "license"), name="threshold_one_per_license"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Reconciliation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "started_at",
                    models.DateTimeField(verbose_name="started at", default=licensehub.database.clock.database_now),
                ),
                ("finished_at", models.DateTimeField(null=True)),
                ("people", models.PositiveIntegerField(default=0)),
                ("events", models.PositiveIntegerField(default=0)),
                ("audit_log_checked", models.BooleanField(default=False)),
                ("findings", models.JSONField(default=list)),
                ("problem", models.TextField(blank=True, default="")),
                (
                    "profile",
                    models.ForeignKey(
                        verbose_name="profile",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reconciliations",
                        to="integrations.integrationprofile",
                    ),
                ),
            ],
            options={
                "verbose_name": "reconciliation",
                "verbose_name_plural": "reconciliations",
                "ordering": ["-started_at", "-pk"],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="RemovalCandidate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("attention_required", "Attention Required"),
                            ("ready", "Ready"),
                            ("awaiting_user", "Awaiting User"),
                            ("awaiting_approval", "Awaiting Approval"),
                            ("awaiting_revocation", "Awaiting Revocation"),
                            ("closed_complete", "Closed Complete"),
                            ("closed_skipped", "Closed Skipped"),
                            ("closed_canceled", "Closed Canceled"),
                        ],
                        default="ready",
                        max_length=20,
                    ),
                ),
                (
                    "close_reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("reclaimed", "Reclaimed"),
                            ("confirmed_later", "Reclaimed, confirmed later"),
                            ("already_inactive", "Was inactive at the vendor already"),
                            ("active_again", "Active again"),
                            ("gone", "Left the organization"),
                            ("protected", "Protected meanwhile"),
                            ("license_changed", "License changed"),
                            ("role_changed", "Role changed"),
                            ("kept_by_user", "Kept by the user"),
                            ("approval_lapsed", "The approval lapsed"),
                            ("rule_changed", "The rule changed"),
                            ("rejected", "Rejected"),
                            ("dropped", "Dropped from the request"),
                            ("profile_archived", "Profile archived"),
                            ("needs_review", "Needs review first"),
                            ("left_alone", "Left alone after a check"),
                        ],
                        default="",
                        max_length=20,
                    ),
                ),
                ("attention", models.TextField(blank=True, default="")),
                ("evidence", models.JSONField(editable=False)),
                (
                    "idle_since",
                    models.GeneratedField(
                        db_persist=True,
                        expression=django.db.models.functions.comparison.Coalesce(
                            django.db.models.functions.comparison.NullIf(
                                django.db.models.fields.json.KeyTextTransform("last_activity_at", "evidence"),
                                models.Value("null", output_field=models.TextField()),
                            ),
                            django.db.models.fields.json.KeyTextTransform("license_assigned_at", "evidence"),
                        ),
                        output_field=models.CharField(max_length=40, null=True),
                    ),
                ),
                (
                    "license",
                    models.GeneratedField(
                        db_persist=True,
                        expression=django.db.models.fields.json.KeyTextTransform("license", "evidence"),
                        output_field=models.CharField(max_length=40, null=True),
                    ),
                ),
                (
                    "person_text",
                    models.CharField(blank=True, db_default="", default="", editable=False, max_length=520),
                ),
                ("person_department", models.CharField(editable=False, max_length=120, null=True)),
                ("person_cost_center", models.CharField(editable=False, max_length=120, null=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        default=licensehub.database.clock.database_now, verbose_name="candidate since"
                    ),
                ),
                ("state_changed_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                (
                    "profile",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="candidates",
                        to="integrations.integrationprofile",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="candidates",
                        to="subscriptions.downloadrun",
                        verbose_name="found by",
                    ),
                ),
                (
                    "subscription",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="candidates",
                        to="subscriptions.subscription",
                    ),
                ),
            ],
            options={
                "verbose_name": "removal candidate",
                "verbose_name_plural": "removal candidates",
                "ordering": ["idle_since", "pk"],
                "permissions": [("request_removalcandidate", "Can request the reclaim of candidates")],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["profile", "state", "license"], name="candidate_state"),
                    models.Index(fields=["subscription", "state"], name="candidate_of_person"),
                    models.Index(fields=["state", "idle_since", "id"], name="candidate_state_idle"),
                    models.Index(fields=["state", "license", "idle_since", "id"], name="candidate_license_idle"),
                    models.Index(fields=["state", "person_text", "id"], name="candidate_state_text"),
                    models.Index(fields=["state", "person_department", "id"], name="candidate_state_department"),
                    models.Index(fields=["state", "person_cost_center", "id"], name="candidate_state_cost"),
                    models.Index(
                        condition=models.Q(("state__in", ("closed_complete", "closed_skipped", "closed_canceled"))),
                        fields=["idle_since", "id"],
                        name="candidate_closed_idle",
                    ),
                    models.Index(
                        condition=models.Q(("state__in", ("closed_complete", "closed_skipped", "closed_canceled"))),
                        fields=["person_text", "id"],
                        name="candidate_closed_text",
                    ),
                    models.Index(
                        condition=models.Q(("state__in", ("closed_complete", "closed_skipped", "closed_canceled"))),
                        fields=["person_department", "id"],
                        name="candidate_closed_department",
                    ),
                    models.Index(
                        condition=models.Q(("state__in", ("closed_complete", "closed_skipped", "closed_canceled"))),
                        fields=["person_cost_center", "id"],
                        name="candidate_closed_cost",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(
                            ("state__in", ("closed_complete", "closed_skipped", "closed_canceled")), _negated=True
                        ),
                        fields=("subscription",),
                        name="candidate_one_open",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RequestedRemoval",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("evidence", models.JSONField(editable=False)),
                (
                    "answer",
                    models.CharField(
                        blank=True,
                        choices=[("keep", "Wants to keep it"), ("release", "Released it")],
                        default="",
                        max_length=10,
                    ),
                ),
                ("answered_at", models.DateTimeField(null=True)),
                ("dropped_at", models.DateTimeField(null=True)),
                ("drop_reason", models.CharField(blank=True, max_length=200)),
                (
                    "kept_as",
                    models.CharField(
                        blank=True,
                        choices=[("sent_back", "Sent back"), ("paused", "Paused"), ("protected", "Protected")],
                        db_default="",
                        default="",
                        max_length=10,
                    ),
                ),
                ("kept_until", models.DateTimeField(null=True)),
                (
                    "candidate",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="removals",
                        to="subscriptions.removalcandidate",
                    ),
                ),
                (
                    "dropped_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="removals",
                        to="subscriptions.reclaimrequest",
                    ),
                ),
                (
                    "restores",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="restores",
                        to="subscriptions.reclaim",
                    ),
                ),
            ],
            options={
                "verbose_name": "requested removal",
                "ordering": ["pk"],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("dropped_at", None)), fields=["request"], name="removal_not_dropped"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("request", "candidate"), name="removal_once_per_request"),
                ],
            },
        ),
        migrations.AddField(
            model_name="reclaim",
            name="removal",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT, related_name="reclaim", to="subscriptions.requestedremoval"
            ),
        ),
        migrations.CreateModel(
            name="Protection",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("person", "Person"),
                            ("domain", "Domain of the e-mail address"),
                            ("license", "License type"),
                            ("role", "Role"),
                            ("admin_role", "Admin role"),
                        ],
                        default="person",
                        max_length=10,
                        verbose_name="what",
                    ),
                ),
                ("value", models.CharField(blank=True, max_length=254)),
                ("external_id", models.CharField(blank=True, default="", max_length=40, verbose_name="vendor ID")),
                ("reason", models.CharField(max_length=500, verbose_name="reason")),
                ("owner", models.CharField(max_length=150, verbose_name="owner")),
                ("ends_at", models.DateTimeField(blank=True, null=True, verbose_name="ends")),
                ("created_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                ("ended_at", models.DateTimeField(null=True)),
                ("covered", models.PositiveIntegerField(editable=False, null=True)),
                ("lost_at", models.DateTimeField(editable=False, null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "ended_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "profile",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="protections",
                        to="integrations.integrationprofile",
                    ),
                ),
                (
                    "removal",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="protections",
                        to="subscriptions.requestedremoval",
                    ),
                ),
            ],
            options={
                "verbose_name": "protection",
                "verbose_name_plural": "protections",
                "ordering": ["-created_at", "-pk"],
                "default_permissions": ("view", "add", "change"),
                "indexes": [
                    models.Index(fields=["profile", "kind", "value"], name="protection_value"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("ask", "Question"), ("reminder", "Reminder")], max_length=10)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("due", "To be sent"),
                            ("sending", "Being handed over"),
                            ("sent", "Handed over"),
                            ("failed", "Not handed over"),
                            ("in_doubt", "Perhaps handed over"),
                            ("bounced", "Came back"),
                            ("canceled", "Not needed any more"),
                        ],
                        default="due",
                        max_length=10,
                    ),
                ),
                ("email", models.CharField(blank=True, default="", max_length=254, verbose_name="e-mail")),
                ("due_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("postponed", models.PositiveSmallIntegerField(default=0)),
                ("lease_until", models.DateTimeField(editable=False, null=True)),
                ("sent_at", models.DateTimeField(null=True)),
                ("bounced_at", models.DateTimeField(null=True)),
                ("problem", models.TextField(blank=True, default="")),
                (
                    "removal",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="notices",
                        to="subscriptions.requestedremoval",
                    ),
                ),
            ],
            options={
                "verbose_name": "notice",
                "ordering": ["due_at", "pk"],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["state", "due_at"], name="notice_due"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("removal", "kind"), name="notice_once_of_each_kind"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Notification",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("opened", "A request waits for a decision"),
                            ("ending", "A request ends soon"),
                            ("expired", "A request expired"),
                            ("undecidable", "Nobody may decide a request"),
                            ("connection", "A connection does not work"),
                            ("download", "A download needs a person"),
                            ("tampered", "Something was changed outside of LicenseHub"),
                            ("attention", "Candidates need a person"),
                            ("protection", "Protections cover nobody any more"),
                            ("contract", "The last day of notice comes"),
                            ("floor", "Few licenses are free"),
                            ("report", "The monthly report"),
                            ("stopped", "All sending stays stopped"),
                            ("operation", "LicenseHub itself needs a repair"),
                            ("webhook", "A webhook was switched off"),
                            ("doubt", "The answers to reclaims were lost"),
                            ("cap", "The cap for 24 hours is reached"),
                            ("held", "Reclaims wait for the vendor"),
                        ],
                        max_length=12,
                    ),
                ),
                ("key", models.CharField(max_length=80)),
                ("subject", models.CharField(blank=True, default="", max_length=200)),
                ("text", models.TextField(blank=True, default="")),
                ("path", models.CharField(blank=True, default="", max_length=200)),
                ("created_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                ("ended_at", models.DateTimeField(null=True)),
                ("raised_at", models.DateTimeField(null=True)),
                (
                    "profile",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="notifications",
                        to="integrations.integrationprofile",
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="notifications",
                        to="subscriptions.reclaimrequest",
                    ),
                ),
            ],
            options={
                "verbose_name": "notification",
                "ordering": ["pk"],
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)), fields=("key",), name="notification_one_open"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="NotificationChoice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("opened", "A request waits for a decision"),
                            ("ending", "A request ends soon"),
                            ("expired", "A request expired"),
                            ("undecidable", "Nobody may decide a request"),
                            ("connection", "A connection does not work"),
                            ("download", "A download needs a person"),
                            ("tampered", "Something was changed outside of LicenseHub"),
                            ("attention", "Candidates need a person"),
                            ("protection", "Protections cover nobody any more"),
                            ("contract", "The last day of notice comes"),
                            ("floor", "Few licenses are free"),
                            ("report", "The monthly report"),
                            ("stopped", "All sending stays stopped"),
                            ("operation", "LicenseHub itself needs a repair"),
                            ("webhook", "A webhook was switched off"),
                            ("doubt", "The answers to reclaims were lost"),
                            ("cap", "The cap for 24 hours is reached"),
                            ("held", "Reclaims wait for the vendor"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "delivery",
                    models.CharField(
                        choices=[("single", "A mail at once"), ("digest", "One mail a day"), ("off", "No mail")],
                        max_length=10,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="notification_choices",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "my notifications",
                "verbose_name_plural": "my notifications",
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("user", "kind"), name="choice_one_of_each_kind"),
                ],
            },
        ),
        migrations.CreateModel(
            name="NotificationMail",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest_on", models.DateField(null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("due", "To be sent"),
                            ("sending", "Being handed over"),
                            ("sent", "Handed over"),
                            ("failed", "Not handed over"),
                            ("in_doubt", "Perhaps handed over"),
                            ("bounced", "Came back"),
                            ("canceled", "Not needed any more"),
                        ],
                        default="due",
                        max_length=10,
                    ),
                ),
                ("email", models.CharField(blank=True, default="", max_length=254, verbose_name="e-mail")),
                ("created_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                ("due_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("postponed", models.PositiveSmallIntegerField(default=0)),
                ("lease_until", models.DateTimeField(editable=False, null=True)),
                ("sent_at", models.DateTimeField(null=True)),
                ("problem", models.TextField(blank=True, default="")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="notification_mails",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "mail to a colleague",
                "ordering": ["due_at", "pk"],
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["state", "due_at"], name="notification_due"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("user", "digest_on"), name="digest_one_a_day"),
                ],
            },
        ),
        migrations.CreateModel(
            name="NotificationRecipient",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("created_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                (
                    "instead_of",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "mail",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="recipients",
                        to="subscriptions.notificationmail",
                    ),
                ),
                (
                    "notification",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="recipients",
                        to="subscriptions.notification",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "default_permissions": (),
                "indexes": [
                    models.Index(condition=models.Q(("mail", None)), fields=["user"], name="notification_for_digest"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("notification", "user"), name="notification_once_to_each"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Deputy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("starts", models.DateField(verbose_name="first day away")),
                ("ends", models.DateField(verbose_name="last day away")),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "deputy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deputy_of",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deputies",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "deputy",
                "ordering": ["starts", "pk"],
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("ends__gte", models.F("starts"))), name="deputy_ends_after_start"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("user", models.F("deputy")), _negated=True), name="deputy_is_another_person"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Price",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("license", models.CharField(max_length=40, verbose_name="license type")),
                (
                    "amount",
                    models.DecimalField(
                        verbose_name="amount",
                        decimal_places=3,
                        max_digits=13,
                        validators=[django.core.validators.MinValueValidator(decimal.Decimal("0"))],
                    ),
                ),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                (
                    "per",
                    models.CharField(
                        choices=[("year", "per year"), ("month", "per month")], default="year", max_length=5
                    ),
                ),
                ("valid_from", models.DateField(verbose_name="valid from")),
                ("entered_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                ("withdrawn_at", models.DateTimeField(null=True)),
                ("withdrawn_reason", models.CharField(blank=True, default="", max_length=200)),
                (
                    "entered_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "profile",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="prices",
                        to="integrations.integrationprofile",
                    ),
                ),
                (
                    "withdrawn_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "price",
                "verbose_name_plural": "prices",
                "ordering": ["profile", "license", "-valid_from", "-pk"],
                "default_permissions": ("add", "view", "change"),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("withdrawn_at", None)),
                        fields=("profile", "license", "valid_from"),
                        name="price_one_per_day",
                    ),
                    models.CheckConstraint(condition=models.Q(("amount__gte", 0)), name="price_not_negative"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Company",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(blank=True, default="", max_length=100, verbose_name="company name")),
                ("contact_name", models.CharField(blank=True, default="", max_length=100, verbose_name="contact")),
                (
                    "contact_email",
                    models.EmailField(blank=True, default="", max_length=254, verbose_name="e-mail of the contact"),
                ),
                (
                    "reply_to",
                    models.EmailField(blank=True, default="", max_length=254, verbose_name="reply address"),
                ),
                ("logo", models.BinaryField(null=True)),
                ("logo_digest", models.CharField(blank=True, default="", max_length=64)),
                ("texts", models.JSONField(default=dict)),
                ("version", models.PositiveIntegerField(default=0)),
                ("changed_at", models.DateTimeField(null=True)),
                (
                    "changed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "company",
                "default_permissions": ("view", "change"),
                "constraints": [models.CheckConstraint(condition=models.Q(("pk", 1)), name="company_only_one")],
            },
        ),
        migrations.CreateModel(
            name="Contract",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reference", models.CharField(blank=True, default="", max_length=60, verbose_name="order number")),
                ("license", models.CharField(max_length=40, verbose_name="license type")),
                (
                    "seats",
                    models.PositiveIntegerField(
                        validators=[django.core.validators.MinValueValidator(1)], verbose_name="seats bought"
                    ),
                ),
                ("starts", models.DateField(verbose_name="first day of the term")),
                ("renews_on", models.DateField(verbose_name="renewal")),
                ("notice_by", models.DateField(verbose_name="last day of notice")),
                ("true_up", models.CharField(blank=True, default="", max_length=500, verbose_name="true-up rule")),
                ("changed_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                (
                    "changed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        verbose_name="owner",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "profile",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="contract",
                        to="integrations.integrationprofile",
                    ),
                ),
            ],
            options={
                "verbose_name": "contract",
                "verbose_name_plural": "contracts",
                "ordering": ["profile"],
                "default_permissions": ("view", "change"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("starts__lt", models.F("renews_on"))), name="contract_renews_after_start"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("notice_by__lte", models.F("renews_on"))),
                        name="contract_notice_before_renewal",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PastBucket",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("counted_at", models.DateTimeField()),
                ("days", models.PositiveSmallIntegerField()),
                ("moment", models.DateTimeField()),
                ("license", models.CharField(max_length=40)),
                ("idle_since", models.DateTimeField()),
                ("last_activity_at", models.DateTimeField(null=True)),
                ("license_assigned_at", models.DateTimeField(null=True)),
                ("admin_roles", models.CharField(blank=True, max_length=10)),
                ("people", models.PositiveIntegerField()),
                ("came_back", models.PositiveIntegerField()),
                ("reclaimed", models.PositiveIntegerField()),
                (
                    "profile",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="integrations.integrationprofile",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="VerifiedSeats",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("license", models.CharField(blank=True, max_length=40)),
                ("day", models.DateTimeField()),
                ("seats", models.PositiveIntegerField()),
                ("until", models.DateTimeField()),
                (
                    "profile",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="integrations.integrationprofile",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("profile", "day", "license"), name="verified_seats_of_a_day")
                ],
            },
        ),
        migrations.CreateModel(
            name="CandidateSeats",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("state", models.CharField(max_length=20)),
                ("license", models.CharField(blank=True, max_length=40)),
                ("seats", models.PositiveIntegerField()),
                ("counted_at", models.DateTimeField()),
                (
                    "profile",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="integrations.integrationprofile",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("profile", "counted_at", "state", "license"), name="candidate_seats_of_a_count"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="MonthlyReport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("month", models.DateField(unique=True)),
                ("data", models.JSONField()),
                ("made_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "monthly report",
                "ordering": ["-month"],
                "default_permissions": ("view", "change"),
            },
        ),
        migrations.CreateModel(
            name="ReportSettings",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("enabled", models.BooleanField(default=False, verbose_name="send it every month")),
                (
                    "day",
                    models.PositiveSmallIntegerField(
                        default=1,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(28),
                        ],
                        verbose_name="day of the month",
                    ),
                ),
                ("recipients", models.JSONField(default=list)),
                ("since", models.DateField(null=True)),
                ("version", models.PositiveIntegerField(default=0)),
                ("changed_at", models.DateTimeField(null=True)),
                (
                    "changed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.CheckConstraint(condition=models.Q(("pk", 1)), name="report_settings_only_one")],
            },
        ),
        migrations.CreateModel(
            name="SeatFloor",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("license", models.CharField(max_length=40, verbose_name="license type")),
                ("seats", models.PositiveIntegerField(validators=[django.core.validators.MinValueValidator(1)])),
                (
                    "profile",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="seat_floors",
                        to="integrations.integrationprofile",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("profile", "license"), name="seat_floor_one")],
            },
        ),
        migrations.CreateModel(
            name="DecidingRight",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="deciding_right",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("since", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={"default_permissions": ()},
        ),
        migrations.CreateModel(
            name="RightsChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("grant", "Right to decide"),
                            ("address", "New address"),
                            ("password", "New password"),
                            ("superuser", "Superuser"),
                            ("scope", "More profiles"),
                        ],
                        max_length=12,
                        verbose_name="change",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("effective", "In effect"),
                            ("refused", "Refused"),
                            ("withdrawn", "Withdrawn"),
                        ],
                        default="waiting",
                        max_length=12,
                        verbose_name="state",
                    ),
                ),
                ("before", models.CharField(blank=True, max_length=254, verbose_name="before")),
                ("after", models.CharField(blank=True, max_length=254, verbose_name="after")),
                ("password", models.CharField(blank=True, max_length=128)),
                (
                    "asked_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="asked"),
                ),
                ("announced_at", models.DateTimeField(null=True)),
                ("closed_at", models.DateTimeField(null=True, verbose_name="ended")),
                ("comment", models.CharField(blank=True, max_length=500, verbose_name="comment")),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rights_changes",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="account",
                    ),
                ),
                (
                    "asked_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="asked by",
                    ),
                ),
                (
                    "closed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "change of rights",
                "verbose_name_plural": "changes of rights",
                "ordering": ["-pk"],
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "waiting")),
                        fields=("account", "kind"),
                        name="rights_change_waits_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Erasure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("requested_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                ("reason", models.CharField(max_length=200, verbose_name="reason")),
                ("problem", models.CharField(blank=True, default="", max_length=300)),
                ("done_at", models.DateTimeField(null=True)),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "subscription",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="erasures",
                        to="subscriptions.subscription",
                    ),
                ),
            ],
            options={
                "verbose_name": "erasure",
                "ordering": ["pk"],
                "permissions": [("erase_person", "Can export all data on a person, and ask for its erasure")],
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("done_at", None)), fields=("subscription",), name="erasure_one_at_a_time"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="EvidencePack",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("asked_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                ("language", models.CharField(max_length=10)),
                ("profiles", models.TextField(default="all")),
                ("first", models.DateField(null=True)),
                ("last", models.DateField(null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("making", "Being made"),
                            ("ready", "Ready"),
                            ("failed", "Not made"),
                            ("removed", "Removed"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("token", models.UUIDField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("problem", models.CharField(blank=True, default="", max_length=300)),
                ("name", models.CharField(blank=True, default="", max_length=200)),
                ("digest", models.CharField(blank=True, default="", max_length=64)),
                ("as_of", models.BigIntegerField(default=0)),
                ("size", models.BigIntegerField(default=0)),
                ("ends_at", models.DateTimeField(null=True)),
                (
                    "asked_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="subscriptions.reclaimrequest",
                    ),
                ),
                (
                    "subscription",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="subscriptions.subscription",
                    ),
                ),
            ],
            options={
                "verbose_name": "evidence pack",
                "ordering": ["-pk"],
                "permissions": [("make_evidencepack", "Can make evidence packs")],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="EvidencePackPart",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("data", models.BinaryField()),
                (
                    "pack",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="parts",
                        to="subscriptions.evidencepack",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("pack", "number"), name="pack_part_once")],
            },
        ),
        migrations.RunPython(create_staging, drop_staging),
        migrations.RunPython(index_search, drop_search_index),
        migrations.RunPython(index_snapshots, drop_snapshot_index),
        migrations.RunPython(create_roles, migrations.RunPython.noop),
        migrations.RunPython(schedule_tasks, migrations.RunPython.noop),
    ]
