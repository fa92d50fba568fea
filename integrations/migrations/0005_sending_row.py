"""The one row of SendingControl."""

from django.db import migrations


def create_row(apps, schema_editor):
    apps.get_model("integrations", "SendingControl").objects.get_or_create(pk=1)


class Migration(migrations.Migration):
    dependencies = [("integrations", "0004_sending_control")]

    operations = [migrations.RunPython(create_row, migrations.RunPython.noop)]
