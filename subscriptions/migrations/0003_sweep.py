"""The sweep, every minute. An operator may change it afterwards; it is never written again."""

from django.db import migrations


def schedule_sweep(apps, schema_editor):
    interval, _ = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=60, period="seconds"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name="Sweep", defaults={"task": "subscriptions.tasks.sweep", "interval": interval}
    )


class Migration(migrations.Migration):
    dependencies = [
        ("subscriptions", "0002_roles"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(schedule_sweep, migrations.RunPython.noop)]
