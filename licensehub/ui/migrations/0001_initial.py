"""The columns that accounts chose, and saved views of lists."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import licensehub.database.clock


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ListColumns",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80, verbose_name="list")),
                ("columns", models.JSONField(default=list)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="list_columns",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("user", "name"), name="list_columns_once")],
            },
        ),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("of_list", models.CharField(max_length=80, verbose_name="list")),
                ("name", models.CharField(max_length=60)),
                ("shared", models.BooleanField(default=False)),
                ("query", models.CharField(blank=True, max_length=2000)),
                ("columns", models.JSONField(default=list)),
                ("changed_at", models.DateTimeField(default=licensehub.database.clock.database_now)),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="saved_views",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "saved view",
                "ordering": ["name", "pk"],
                "permissions": [("share_savedview", "Can share views of lists")],
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("owner", "of_list", "name"), name="view_name_once")],
            },
        ),
    ]
