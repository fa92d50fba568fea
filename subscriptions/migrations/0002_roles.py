"""The roles, as groups. What somebody adds to them later stays."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

APPS = ("audit", "integrations", "subscriptions")

SEES = [
    "subscriptions.view_subscription",
    "subscriptions.view_activitysnapshot",
    "subscriptions.view_removalcandidate",
    "subscriptions.view_reclaimrequest",
    "subscriptions.view_requestedremoval",
    "subscriptions.view_reclaim",
    "subscriptions.view_reclaimrule",
    "subscriptions.view_downloadrun",
    "integrations.view_integrationprofile",
]
SEES_ALL = [*SEES, "integrations.view_connection", "audit.view_auditevent", "auth.view_user"]
OPERATES = [
    "integrations.view_integrationprofile",
    "integrations.add_integrationprofile",
    "integrations.change_integrationprofile",
    "integrations.operate_integrationprofile",
    "integrations.view_connection",
    "integrations.add_connection",
    "integrations.change_connection",
    "subscriptions.view_downloadrun",
]
MANAGES = ["subscriptions.change_reclaimrule", "subscriptions.request_removalcandidate"]
DECIDES = ["subscriptions.decide_reclaimrequest"]
ADMINISTERS = ["auth.add_user", "auth.change_user"]

ROLES = {
    "Company admin": [*SEES_ALL, *OPERATES, *MANAGES, *DECIDES, *ADMINISTERS],
    "License manager": [*SEES, *MANAGES],
    "Approver": [*SEES, *DECIDES],
    "Auditor": SEES_ALL,
    "Operator": OPERATES,
}


def create_roles(apps, schema_editor):
    # Permissions are made after all migrations; these roles need theirs now.
    for label in (*APPS, "auth"):
        create_permissions(installed.get_app_config(label), verbosity=0)
    permission_model = apps.get_model("auth", "Permission")
    group_model = apps.get_model("auth", "Group")
    for name, wanted in ROLES.items():
        group, _ = group_model.objects.get_or_create(name=name)
        for word in dict.fromkeys(wanted):
            app_label, codename = word.split(".")
            group.permissions.add(permission_model.objects.get(content_type__app_label=app_label, codename=codename))


class Migration(migrations.Migration):
    dependencies = [
        ("subscriptions", "0001_initial"),
        ("integrations", "0001_initial"),
        ("audit", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(create_roles, migrations.RunPython.noop)]
