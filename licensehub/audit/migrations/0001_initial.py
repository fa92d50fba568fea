"""The audit log: append-only by triggers, with the head of its chain."""

from django.db import migrations, models

from licensehub.audit import triggers

# The expressions are those that Django's istartswith asks for.
NAMES = {
    "audit_who": "(UPPER(actor_name::text)) text_pattern_ops",
    "audit_what": "(UPPER(target_label::text)) text_pattern_ops",
}


def create_chain_head(apps, schema_editor):
    apps.get_model("audit", "ChainHead").objects.create(pk=1)


def schedule_tasks(apps, schema_editor):
    """Anchors every hour, and everything outside every minute. It is never written again: an operator may change it."""
    tasks = apps.get_model("django_celery_beat", "PeriodicTask").objects
    hourly, _ = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
        minute="7", hour="*", day_of_week="*", day_of_month="*", month_of_year="*", timezone="UTC"
    )
    every_minute, _ = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=60, period="seconds"
    )
    tasks.get_or_create(
        name="Anchor the audit", defaults={"task": "licensehub.audit.tasks.anchor_hourly", "crontab": hourly}
    )
    tasks.get_or_create(
        name="Send the audit outside",
        defaults={"task": "licensehub.audit.tasks.send_outside", "interval": every_minute},
    )


def create_triggers(apps, schema_editor):
    triggers.create(schema_editor.connection)


def drop_triggers(apps, schema_editor):
    triggers.drop(schema_editor.connection)


def index_names(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name, expression in NAMES.items():
            schema_editor.execute(f"CREATE INDEX {name} ON audit_auditevent ({expression}, sequence)")


def drop_name_indexes(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name in NAMES:
            schema_editor.execute(f"DROP INDEX {name}")


class Migration(migrations.Migration):
    initial = True

    dependencies = [("django_celery_beat", "0019_alter_periodictasks_options")]

    operations = [
        migrations.CreateModel(
            name="ChainHead",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sequence", models.BigIntegerField(default=0)),
                (
                    "hash",
                    models.CharField(
                        default="0000000000000000000000000000000000000000000000000000000000000000", max_length=64
                    ),
                ),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Destination",
            fields=[
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("position", models.BigIntegerField(default=0)),
                ("began_after", models.BigIntegerField(default=0)),
                ("mark", models.CharField(blank=True, default="", max_length=100)),
                ("sent_at", models.DateTimeField(null=True)),
                ("failing_since", models.DateTimeField(null=True)),
                ("failures", models.IntegerField(default=0)),
                ("next_try_at", models.DateTimeField(null=True)),
                ("error", models.CharField(blank=True, default="", max_length=300)),
                ("token", models.UUIDField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("wrong", models.CharField(blank=True, default="", max_length=20)),
                ("compared_at", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="StoredAnchor",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sequence", models.BigIntegerField()),
                ("hash", models.CharField(max_length=64)),
                ("at", models.DateTimeField()),
                ("count", models.BigIntegerField()),
                ("instance", models.CharField(max_length=64)),
                ("key_id", models.CharField(max_length=16)),
                ("signature", models.CharField(max_length=100)),
                ("host", models.CharField(max_length=100)),
                ("time_stamp", models.TextField(blank=True, default="")),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="AuditEvent",
            fields=[
                ("sequence", models.BigIntegerField(editable=False, primary_key=True, serialize=False)),
                ("at", models.DateTimeField(editable=False)),
                ("action", models.CharField(editable=False, max_length=40)),
                ("actor_id", models.BigIntegerField(editable=False, null=True)),
                ("actor_name", models.CharField(editable=False, max_length=150, verbose_name="who")),
                ("target_type", models.CharField(editable=False, max_length=60)),
                ("target_id", models.BigIntegerField(editable=False)),
                ("target_label", models.CharField(editable=False, max_length=254, verbose_name="what")),
                ("data", models.JSONField(default=dict, editable=False, verbose_name="details")),
                ("correlation", models.UUIDField(editable=False)),
                ("salt", models.CharField(editable=False, max_length=32)),
                ("text_digest", models.CharField(editable=False, max_length=64)),
                ("previous_hash", models.CharField(editable=False, max_length=64)),
                ("hash", models.CharField(editable=False, max_length=64)),
                ("hmac", models.CharField(editable=False, max_length=64)),
            ],
            options={
                "verbose_name": "audit event",
                "verbose_name_plural": "audit log",
                "ordering": ["-sequence"],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["target_type", "target_id", "sequence"], name="audit_target"),
                    models.Index(fields=["action", "sequence"], name="audit_action"),
                    models.Index(fields=["at", "sequence"], name="audit_at"),
                ],
            },
        ),
        migrations.RunPython(create_chain_head, migrations.RunPython.noop),
        migrations.RunPython(index_names, drop_name_indexes),
        migrations.RunPython(create_triggers, drop_triggers),
        migrations.RunPython(schedule_tasks, migrations.RunPython.noop),
    ]
