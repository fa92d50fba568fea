"""What the roles may do with exclusions, caps, restores, notices and the kill switch for everything."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

SEES = ["subscriptions.view_exclusion", "subscriptions.view_notice", "subscriptions.view_comparison"]
MANAGES = [
    "subscriptions.add_exclusion",
    "subscriptions.change_exclusion",
    "subscriptions.restore_reclaimrequest",
]
DECIDES = ["subscriptions.raise_cap_reclaimrequest"]
OPERATES = ["integrations.stop_all_sending"]

GRANTS = {
    "Company admin": [*SEES, *MANAGES, *DECIDES, *OPERATES],
    "License manager": [*SEES, *MANAGES],
    "Approver": [*SEES, *DECIDES],
    "Auditor": SEES,
    "Operator": OPERATES,
}


def grant(apps, schema_editor):
    # Permissions are made after all migrations; these roles need theirs now.
    for label in ("integrations", "subscriptions"):
        create_permissions(installed.get_app_config(label), verbosity=0)
    permission_model = apps.get_model("auth", "Permission")
    group_model = apps.get_model("auth", "Group")
    for name, wanted in GRANTS.items():
        group, _ = group_model.objects.get_or_create(name=name)
        for word in wanted:
            app_label, codename = word.split(".")
            group.permissions.add(permission_model.objects.get(content_type__app_label=app_label, codename=codename))


def nightly(apps, schema_editor):
    """At 05:15 UTC, after most nightly downloads. An operator may change it afterwards; it is never written again."""
    crontab, _ = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
        minute="15", hour="5", day_of_week="*", day_of_month="*", month_of_year="*", timezone="UTC"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name="Compare the ledger with the vendor",
        defaults={"task": "subscriptions.tasks.compare_ledgers", "crontab": crontab},
    )


class Migration(migrations.Migration):
    dependencies = [
        ("subscriptions", "0006_trusted_reclaim"),
        ("integrations", "0005_sending_row"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [
        migrations.RunPython(grant, migrations.RunPython.noop),
        migrations.RunPython(nightly, migrations.RunPython.noop),
    ]
