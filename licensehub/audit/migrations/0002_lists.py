"""The audit log at ten million events: by action, by time, and by the beginning of a name."""

from django.db import migrations, models

# The expressions are those that Django's istartswith asks for.
NAMES = {
    "audit_who": "(UPPER(actor_name::text)) text_pattern_ops",
    "audit_what": "(UPPER(target_label::text)) text_pattern_ops",
}


def index_names(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name, expression in NAMES.items():
            schema_editor.execute(f"CREATE INDEX {name} ON audit_auditevent ({expression}, sequence)")


def forget_names(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name in NAMES:
            schema_editor.execute(f"DROP INDEX {name}")


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="auditevent", index=models.Index(fields=["action", "sequence"], name="audit_action")
        ),
        migrations.AddIndex(model_name="auditevent", index=models.Index(fields=["at", "sequence"], name="audit_at")),
        migrations.RunPython(index_names, forget_names),
    ]
