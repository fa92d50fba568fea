"""Connections are validated every night. An operator may change it afterwards; it is never written again."""

from django.db import migrations


def schedule_validation(apps, schema_editor):
    night, _ = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
        minute="30", hour="1", day_of_week="*", day_of_month="*", month_of_year="*", timezone="UTC"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name="Validate connections", defaults={"task": "integrations.tasks.validate_nightly", "crontab": night}
    )


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0002_connect"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(schedule_validation, migrations.RunPython.noop)]
