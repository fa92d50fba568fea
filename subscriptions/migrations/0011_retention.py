"""Which runs' history was thinned to one point a month, and the task that does it each night.

An operator may change the task's schedule afterwards; it is never written again.
"""

from django.db import migrations, models


def schedule_retention(apps, schema_editor):
    crontab, _ = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
        minute="40", hour="3", day_of_week="*", day_of_month="*", month_of_year="*", timezone="UTC"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name="Thin old history", defaults={"task": "subscriptions.tasks.thin_history", "crontab": crontab}
    )


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0010_lists")]

    operations = [
        migrations.AddField(
            model_name="downloadrun", name="thinned", field=models.BooleanField(default=False, editable=False)
        ),
        migrations.RunPython(schedule_retention, migrations.RunPython.noop),
    ]
