"""Room for a million: keys of four bytes, a history of what was replaced, and a staging table without a key.

The history begins anew: the rows before held what a run had found, these hold what it replaced.
"""

import django.db.models.deletion
from django.db import migrations, models

FORMER_FACTS = [
    ("last_activity_at", models.DateTimeField(null=True)),
    ("license_assigned_at", models.DateTimeField(null=True)),
    ("license", models.CharField(max_length=40, null=True)),
    ("role", models.CharField(max_length=60, null=True)),
    ("active", models.BooleanField(null=True)),
    ("gone", models.BooleanField(null=True)),
]
COLUMNS = """
    run_id integer NOT NULL, external_id varchar(40) NOT NULL, email varchar(254) NOT NULL, active boolean NOT NULL,
    license varchar(40) NOT NULL, role varchar(60) NOT NULL, license_assigned_at {moment}, last_activity_at {moment},
    reclaimable boolean NOT NULL, why_not varchar(200) NOT NULL
"""


def first_run_is_known(apps, schema_editor):
    rows = apps.get_model("subscriptions", "Subscription").objects.filter(first_run=None)
    rows.update(first_run=models.F("changed_run"))


def create_staging(apps, schema_editor):
    """On PostgreSQL, an index would cost more than the hash joins that do without; SQLite needs one."""
    if schema_editor.connection.vendor == "postgresql":
        columns = COLUMNS.format(moment="timestamptz")
        schema_editor.execute(f"CREATE UNLOGGED TABLE subscriptions_downloadedmember ({columns})")
    else:
        columns = COLUMNS.format(moment="datetime").replace("boolean", "bool")
        schema_editor.execute(f"CREATE TABLE subscriptions_downloadedmember ({columns})")
        schema_editor.execute("CREATE INDEX staging_member ON subscriptions_downloadedmember (run_id, external_id)")


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0007_trusted_roles")]

    operations = [
        migrations.DeleteModel(name="ActivitySnapshot"),
        migrations.DeleteModel(name="DownloadedMember"),
        migrations.AlterField(
            model_name="subscription", name="id", field=models.AutoField(primary_key=True, serialize=False)
        ),
        migrations.AlterField(
            model_name="downloadrun", name="id", field=models.AutoField(primary_key=True, serialize=False)
        ),
        migrations.AlterField(
            model_name="subscription",
            name="profile",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="subscriptions",
                to="integrations.integrationprofile",
            ),
        ),
        migrations.AlterField(
            model_name="subscription",
            name="changed_run",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="subscriptions.downloadrun",
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="first_run",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="subscriptions.downloadrun",
            ),
        ),
        migrations.RunPython(first_run_is_known, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="subscription",
            name="first_run",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="subscriptions.downloadrun",
            ),
        ),
        migrations.CreateModel(
            name="ActivitySnapshot",
            fields=[
                *FORMER_FACTS,
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "subscription_id",
                        "run_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
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
            ],
            options={"verbose_name": "activity snapshot", "default_permissions": ("view",)},
        ),
        migrations.CreateModel(
            name="ChangeBetweenRuns",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                *FORMER_FACTS,
                ("seen_at", models.DateTimeField()),
                (
                    "subscription",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="changes_between_runs",
                        to="subscriptions.subscription",
                    ),
                ),
            ],
            options={
                "verbose_name": "change between two runs",
                "ordering": ["seen_at", "pk"],
                "default_permissions": ("view",),
            },
        ),
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
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="members",
                        to="subscriptions.downloadrun",
                    ),
                ),
            ],
            options={"db_table": "subscriptions_downloadedmember", "managed": False, "default_permissions": ()},
        ),
        migrations.RunPython(create_staging, migrations.RunPython.noop),
    ]
