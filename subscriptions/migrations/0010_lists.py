"""Any page of any list at a million rows: an order that an index has, and search inside of names and addresses."""

import sys

import django.db.models.deletion
import django.db.models.fields.json
import django.db.models.functions.comparison
from django.conf import settings
from django.db import DatabaseError, migrations, models, transaction

EXTENSION = "CREATE EXTENSION IF NOT EXISTS pg_trgm"
# The expression is the one that Django's icontains asks for.
TRIGRAMS = "CREATE INDEX search_letters ON subscriptions_searchtext USING gin ((UPPER(text::text)) gin_trgm_ops)"
NOT_ALLOWED = """
PostgreSQL did not let LicenseHub use its extension pg_trgm: {error}
Everything works without it; only the search in lists of very many people is slow. To make it fast, install the
package postgresql-contrib and let a superuser of the database run:
    {extension};
    {index};
"""


def fill_search(apps, schema_editor):
    schema_editor.execute(
        "INSERT INTO subscriptions_searchtext (subscription_id, text) "
        "SELECT id, name || ' ' || email FROM subscriptions_subscription"
    )


def index_search(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic(using=schema_editor.connection.alias):
            schema_editor.execute(EXTENSION)
            schema_editor.execute(TRIGRAMS)
    except DatabaseError as error:
        sys.stderr.write(NOT_ALLOWED.format(error=str(error).strip(), extension=EXTENSION, index=TRIGRAMS))


def forget_search(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS search_letters")


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0005_sending_row"),
        ("subscriptions", "0008_scale"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Crowd",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("counted_at", models.DateTimeField()),
                ("standing", models.CharField(blank=True, max_length=16)),
                ("license", models.CharField(max_length=40)),
                ("idle_since", models.DateTimeField(null=True)),
                ("last_activity_at", models.DateTimeField(null=True)),
                ("license_assigned_at", models.DateTimeField(null=True)),
                ("people", models.PositiveIntegerField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.AlterModelOptions(
            name="removalcandidate",
            options={
                "default_permissions": ("view",),
                "ordering": ["idle_since", "pk"],
                "permissions": [("request_removalcandidate", "Can request the reclaim of candidates")],
                "verbose_name": "removal candidate",
            },
        ),
        migrations.RemoveIndex(
            model_name="subscription",
            name="subscription_verdict",
        ),
        migrations.RemoveIndex(
            model_name="subscription",
            name="subscription_email",
        ),
        migrations.AddField(
            model_name="removalcandidate",
            name="idle_since",
            field=models.GeneratedField(
                db_persist=True,
                expression=django.db.models.functions.comparison.Coalesce(
                    django.db.models.fields.json.KeyTextTransform("last_activity_at", "evidence"),
                    django.db.models.fields.json.KeyTextTransform("license_assigned_at", "evidence"),
                ),
                output_field=models.CharField(max_length=40, null=True),
            ),
        ),
        migrations.AddField(
            model_name="removalcandidate",
            name="license",
            field=models.GeneratedField(
                db_persist=True,
                expression=django.db.models.fields.json.KeyTextTransform("license", "evidence"),
                output_field=models.CharField(max_length=40, null=True),
            ),
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
            ],
            options={"default_permissions": ()},
        ),
        migrations.AddIndex(
            model_name="downloadrun",
            index=models.Index(fields=["started_at", "id"], name="download_started"),
        ),
        migrations.AddIndex(
            model_name="reclaim",
            index=models.Index(fields=["queued_at", "id"], name="reclaim_queued"),
        ),
        migrations.AddIndex(
            model_name="reclaim",
            index=models.Index(fields=["state", "queued_at", "id"], name="reclaim_state_queued"),
        ),
        migrations.AddIndex(
            model_name="reclaimrequest",
            index=models.Index(fields=["state", "id"], name="request_state"),
        ),
        migrations.AddIndex(
            model_name="removalcandidate",
            index=models.Index(fields=["state", "idle_since", "id"], name="candidate_state_idle"),
        ),
        migrations.AddIndex(
            model_name="removalcandidate",
            index=models.Index(fields=["state", "license", "idle_since", "id"], name="candidate_license_idle"),
        ),
        migrations.AddIndex(
            model_name="removalcandidate",
            index=models.Index(
                condition=models.Q(("state__in", ("closed_complete", "closed_skipped", "closed_canceled"))),
                fields=["idle_since", "id"],
                name="candidate_closed_idle",
            ),
        ),
        migrations.AddIndex(
            model_name="requestedremoval",
            index=models.Index(condition=models.Q(("dropped_at", None)), fields=["request"], name="removal_standing"),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(fields=["idle_since", "id"], name="subscription_idle"),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(fields=["verdict", "idle_since", "id"], name="subscription_verdict_idle"),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(fields=["license"], name="subscription_license"),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(fields=["role"], name="subscription_role"),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(
                condition=models.Q(("last_activity_at", None)), fields=["idle_since", "id"], name="subscription_never"
            ),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(
                condition=models.Q(("active", False), ("gone_at__isnull", False), _connector="OR"),
                fields=["idle_since", "id"],
                name="subscription_free",
            ),
        ),
        migrations.AddField(
            model_name="crowd",
            name="profile",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="crowds", to="integrations.integrationprofile"
            ),
        ),
        migrations.RunPython(fill_search, migrations.RunPython.noop),
        migrations.RunPython(index_search, forget_search),
    ]
