"""The verdicts move into a narrow table of their own, with the index that came with them."""

import django.db.models.deletion
from django.db import migrations, models

KEEP = """
INSERT INTO subscriptions_judgment (subscription_id, verdict, idle_since, judged_at)
SELECT id, verdict, idle_since, verdict_at FROM subscriptions_subscription
 WHERE verdict <> 'unjudged' AND verdict_at IS NOT NULL
"""
BRING_BACK = """
UPDATE subscriptions_subscription SET verdict = judgment.verdict, verdict_at = judgment.judged_at
  FROM subscriptions_judgment AS judgment WHERE judgment.subscription_id = subscriptions_subscription.id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("subscriptions", "0011_retention"),
    ]

    operations = [
        migrations.CreateModel(
            name="Judgment",
            fields=[
                (
                    "subscription",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="judgment",
                        serialize=False,
                        to="subscriptions.subscription",
                    ),
                ),
                (
                    "verdict",
                    models.CharField(
                        choices=[
                            ("unjudged", "Not judged yet"),
                            ("gone", "Left the organization"),
                            ("deactivated", "Deactivated"),
                            ("unknown", "Facts missing"),
                            ("not_in_scope", "License not in scope"),
                            ("protected", "Protected"),
                            ("excluded", "Excluded"),
                            ("cooling_down", "Cooling down"),
                            ("in_grace", "New joiner"),
                            ("active", "Active lately"),
                            ("never_active", "Never active"),
                            ("candidate", "Inactive"),
                        ],
                        max_length=16,
                    ),
                ),
                ("idle_since", models.DateTimeField(null=True)),
                ("judged_at", models.DateTimeField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.AddIndex(
            model_name="judgment",
            index=models.Index(fields=["verdict", "idle_since", "subscription"], name="judgment_verdict_idle"),
        ),
        migrations.RunSQL(KEEP, BRING_BACK),
        migrations.RemoveIndex(
            model_name="subscription",
            name="subscription_verdict_idle",
        ),
        migrations.RemoveField(
            model_name="subscription",
            name="verdict",
        ),
        migrations.RemoveField(
            model_name="subscription",
            name="verdict_at",
        ),
    ]
