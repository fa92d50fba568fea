"""Profiles, connections, the control of sending, and the nightly validation."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import licensehub.database.clock


def schedule_validation(apps, schema_editor):
    """All every night at 01:30 UTC, and every hour those that failed. Never written again: an operator may change it."""
    night, _ = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
        minute="30", hour="1", day_of_week="*", day_of_month="*", month_of_year="*", timezone="UTC"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name="Validate connections", defaults={"task": "integrations.tasks.validate_nightly", "crontab": night}
    )
    hourly, _ = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
        minute="17", hour="*", day_of_week="*", day_of_month="*", month_of_year="*", timezone="UTC"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name="Validate failed connections again",
        defaults={"task": "integrations.tasks.validate_again", "crontab": hourly},
    )


def schedule_checks(apps, schema_editor):
    """Every minute. It is never written again: an operator may change it."""
    every_minute, _ = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=60, period="seconds"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name="Check the installation",
        defaults={"task": "licensehub.operations.tasks.check_installation", "interval": every_minute},
    )


def create_sending_control(apps, schema_editor):
    apps.get_model("integrations", "SendingControl").objects.get_or_create(pk=1)
    apps.get_model("integrations", "Installation").objects.get_or_create(pk=1)


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Connection",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("slot", models.CharField(max_length=20)),
                ("ciphertext", models.TextField(blank=True, editable=False)),
                ("fingerprint", models.CharField(blank=True, editable=False, max_length=12)),
                ("credentials_set_at", models.DateTimeField(editable=False, null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("not_set", "Not set"),
                            ("untested", "Not tested"),
                            ("working", "Working"),
                            ("error", "Error"),
                        ],
                        default="not_set",
                        editable=False,
                        max_length=10,
                    ),
                ),
                (
                    "state_changed_at",
                    models.DateTimeField(default=licensehub.database.clock.database_now, editable=False),
                ),
                ("error", models.TextField(blank=True, editable=False)),
                ("unanswered_since", models.DateTimeField(editable=False, null=True)),
                ("learned", models.JSONField(default=dict, editable=False)),
                ("granted", models.JSONField(default=dict, editable=False)),
                ("expires_at", models.DateTimeField(editable=False, null=True)),
                ("refresh_at", models.DateTimeField(editable=False, null=True)),
                ("refresh_lease", models.UUIDField(editable=False, null=True)),
                ("refresh_lease_until", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "verbose_name": "connection",
                "verbose_name_plural": "connections",
                "ordering": ["profile", "slot"],
            },
        ),
        migrations.CreateModel(
            name="Installation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("instance_id", models.CharField(blank=True, default="", max_length=100)),
                ("written_at", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="InstallationFinding",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=80, unique=True)),
                ("text", models.TextField()),
                ("since", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="SendingControl",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("stopped", models.BooleanField(default=False)),
                ("stopped_by", models.CharField(blank=True, default="", max_length=150)),
                ("stopped_at", models.DateTimeField(null=True)),
                ("reason", models.CharField(blank=True, default="", max_length=500)),
                ("held_at", models.DateTimeField(null=True)),
                ("held_why", models.TextField(blank=True, default="")),
            ],
            options={
                "verbose_name": "sending",
                "permissions": [("stop_all_sending", "Can stop, allow and release all sending")],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ConnectAttempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("state_digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("redirect_uri", models.CharField(editable=False, max_length=500)),
                ("expires_at", models.DateTimeField(editable=False)),
                ("used_at", models.DateTimeField(editable=False, null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "connection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attempts",
                        to="integrations.connection",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="IntegrationProfile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True, verbose_name="name")),
                ("kind", models.CharField(max_length=40)),
                ("organization_id", models.CharField(blank=True, max_length=40, verbose_name="organization ID")),
                ("organization_name", models.CharField(blank=True, editable=False, max_length=200)),
                ("plan", models.CharField(blank=True, editable=False, max_length=40)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("published", "Published"),
                            ("paused", "Paused"),
                            ("archived", "Archived"),
                        ],
                        default="draft",
                        editable=False,
                        max_length=12,
                    ),
                ),
                ("published_at", models.DateTimeField(editable=False, null=True)),
                ("archived_at", models.DateTimeField(editable=False, null=True)),
                ("download_due_at", models.DateTimeField(editable=False, null=True)),
                (
                    "download_due_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "reconcile_due_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "reclaim_enabled",
                    models.BooleanField(
                        default=True,
                        help_text="When off, candidates still appear, but nothing is requested, approved or sent.",
                        verbose_name="reclaim subscriptions",
                    ),
                ),
                ("activity_doubted_at", models.DateTimeField(editable=False, null=True)),
                (
                    "sending_stopped",
                    models.BooleanField(
                        default=False,
                        help_text="When on, nothing more is sent to the vendor. What is approved waits and is not lost.",
                        verbose_name="sending stopped",
                    ),
                ),
                ("held_at", models.DateTimeField(editable=False, null=True)),
                ("held_why", models.TextField(blank=True, default="", editable=False)),
                ("lost_answers", models.PositiveSmallIntegerField(db_default=0, default=0, editable=False)),
                ("lost_answers_held_at", models.DateTimeField(editable=False, null=True)),
                ("lost_answers_held_until", models.DateTimeField(editable=False, null=True)),
                ("validated_at", models.DateTimeField(editable=False, null=True)),
                (
                    "validated_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("findings", models.JSONField(default=list, editable=False)),
            ],
            options={
                "verbose_name": "integration profile",
                "verbose_name_plural": "integration profiles",
                "ordering": ["name"],
                "permissions": [("operate_integrationprofile", "Can publish, pause and run a profile")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(
                            models.Q(("state", "archived"), _negated=True),
                            models.Q(("organization_id", ""), _negated=True),
                        ),
                        fields=("kind", "organization_id"),
                        name="profile_one_per_organization",
                        violation_error_message="Another integration profile is for this organization already.",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AccountScope",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="profile_scope",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("profiles", models.ManyToManyField(related_name="+", to="integrations.integrationprofile")),
            ],
            options={"default_permissions": ()},
        ),
        migrations.AddField(
            model_name="connection",
            name="profile",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="connections",
                to="integrations.integrationprofile",
            ),
        ),
        migrations.AddConstraint(
            model_name="connection",
            constraint=models.UniqueConstraint(fields=("profile", "slot"), name="connection_one_per_slot"),
        ),
        migrations.CreateModel(
            name="CheckResult",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("check_id", models.CharField(max_length=40, unique=True)),
                ("level", models.CharField(max_length=4)),
                ("title", models.CharField(max_length=200)),
                ("value", models.CharField(blank=True, default="", max_length=200)),
                ("detail", models.TextField(blank=True, default="")),
                ("waits", models.TextField(blank=True, default="")),
                ("steps", models.JSONField(default=list)),
                ("memory", models.JSONField(default=dict)),
                ("host", models.CharField(max_length=80)),
                ("since", models.DateTimeField(null=True)),
                ("checked_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "operations",
                "verbose_name_plural": "operations",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="TaskRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("queue", models.CharField(max_length=40)),
                ("task", models.CharField(max_length=120)),
                ("waited", models.PositiveIntegerField()),
                ("took", models.PositiveIntegerField()),
                ("failed", models.BooleanField(default=False)),
                ("ended_at", models.DateTimeField(db_index=True, default=licensehub.database.clock.database_now)),
            ],
            options={"default_permissions": ()},
        ),
        migrations.CreateModel(
            name="Heartbeat",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("worker", "Worker"), ("beat", "Scheduler")], max_length=10)),
                ("name", models.CharField(max_length=150)),
                ("host", models.CharField(max_length=80)),
                ("version", models.CharField(blank=True, default="", max_length=60)),
                ("queues", models.JSONField(default=list)),
                ("facts", models.JSONField(default=dict)),
                ("started_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField(null=True)),
                ("scheduled_at", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("kind", "name"), name="heartbeat_one_per_process")],
            },
        ),
        migrations.CreateModel(
            name="MailTrial",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("asked_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                ("ended_at", models.DateTimeField(null=True)),
                ("problem", models.TextField(blank=True, default="")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={"ordering": ["-pk"], "default_permissions": ()},
        ),
        migrations.CreateModel(
            name="Webhook",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80, unique=True, verbose_name="name")),
                (
                    "format",
                    models.CharField(
                        choices=[
                            ("event", "Signed event"),
                            ("slack", "Slack message"),
                            ("teams", "Microsoft Teams message"),
                            ("servicenow", "ServiceNow ticket"),
                            ("jira", "Jira ticket"),
                        ],
                        max_length=12,
                        verbose_name="format",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("on", "Switched on"),
                            ("off", "Switched off"),
                            ("failed", "Switched off after failures"),
                        ],
                        default="on",
                        max_length=8,
                    ),
                ),
                ("state_changed_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                ("events", models.JSONField(default=list)),
                ("all_profiles", models.BooleanField(default=True)),
                ("with_names", models.BooleanField(default=False)),
                ("language", models.CharField(default="en", max_length=10)),
                ("template", models.TextField(blank=True, default="")),
                ("ciphertext", models.TextField(editable=False)),
                ("fingerprint", models.CharField(editable=False, max_length=12)),
                ("host", models.CharField(max_length=255)),
                ("former_secret_until", models.DateTimeField(null=True)),
                ("failing_since", models.DateTimeField(null=True)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("next_try_at", models.DateTimeField(null=True)),
                ("delivered_at", models.DateTimeField(null=True)),
                ("error", models.TextField(blank=True, default="")),
                ("version", models.PositiveIntegerField(default=1)),
                ("created_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("profiles", models.ManyToManyField(related_name="+", to="integrations.integrationprofile")),
            ],
            options={
                "verbose_name": "webhook",
                "verbose_name_plural": "webhooks",
                "ordering": ["name"],
                "default_permissions": ("view", "change"),
            },
        ),
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("event_id", models.UUIDField(default=uuid.uuid4)),
                ("event", models.CharField(max_length=40)),
                ("occurred_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                ("content", models.JSONField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("due", "To be sent"),
                            ("sending", "Being sent"),
                            ("delivered", "Delivered"),
                            ("failed", "Given up"),
                            ("held", "Held"),
                        ],
                        default="due",
                        max_length=10,
                    ),
                ),
                ("due_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                ("tries", models.PositiveIntegerField(default=0)),
                ("tries_in_row", models.PositiveSmallIntegerField(default=0)),
                ("replays", models.PositiveSmallIntegerField(default=0)),
                ("token", models.UUIDField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("tried_at", models.DateTimeField(null=True)),
                ("delivered_at", models.DateTimeField(null=True)),
                ("status", models.PositiveSmallIntegerField(null=True)),
                ("answer", models.TextField(blank=True, default="")),
                ("problem", models.TextField(blank=True, default="")),
                (
                    "profile",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="integrations.integrationprofile",
                    ),
                ),
                (
                    "webhook",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="integrations.webhook",
                    ),
                ),
            ],
            options={
                "verbose_name": "delivery of a webhook",
                "verbose_name_plural": "deliveries of webhooks",
                "ordering": ["-pk"],
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["state", "due_at"], name="delivery_due"),
                    models.Index(fields=["webhook", "state"], name="delivery_of_webhook"),
                    models.Index(fields=["occurred_at"], name="delivery_age"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("webhook", "event_id"), name="delivery_once_per_webhook")
                ],
            },
        ),
        migrations.RunPython(create_sending_control, migrations.RunPython.noop),
        migrations.RunPython(schedule_validation, migrations.RunPython.noop),
        migrations.RunPython(schedule_checks, migrations.RunPython.noop),
    ]
