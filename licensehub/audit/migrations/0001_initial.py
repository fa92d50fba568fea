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

    dependencies = []

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
    ]
