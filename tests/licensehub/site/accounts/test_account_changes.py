"""Each change of an account or a role is an event with before and after, and so is each export."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.urls import reverse

from licensehub.audit.models import AuditEvent
from licensehub.sign_in.factors import credentials
from tests.support.fixtures import person
from tests.support.web.account_pages import signed_in
from tests.support.web.pages import text_of


def events(action: str) -> list[dict[str, object]]:
    return list(AuditEvent.objects.filter(action=action).order_by("sequence").values_list("data", flat=True))


def names() -> list[str]:
    return list(AuditEvent.objects.order_by("sequence").values_list("action", flat=True))


def page_of(user: User, **others: object) -> dict[str, object]:
    groups = [str(pk) for pk in user.groups.values_list("pk", flat=True)]
    known = {"username": user.username, "email": user.email, "is_active": "on", "is_staff": "on", "groups": groups}
    return {**known, **others}


def test_the_page_of_an_account_writes_what_was_changed_and_nothing_else(alice, sign_in):
    admin, address = sign_in("Company admin"), reverse("admin:auth_user_change", args=[alice.pk])
    admin.post(address, page_of(alice))
    assert names() == []
    auditor = str(Group.objects.get(name="Auditor").pk)
    admin.post(address, page_of(alice, last_name="Berg", email="berg@northwind.example", groups=[auditor]))
    assert events("user.changed") == [
        {
            "before": {"email": "alice@northwind.example", "last_name": ""},
            "after": {"email": "berg@northwind.example", "last_name": "Berg"},
        }
    ]
    assert events("user.roles_changed") == [
        {"before": ["License manager"], "after": ["Auditor"], "added": ["Auditor"], "removed": ["License manager"]}
    ]
    alice.refresh_from_db()
    admin.post(address, page_of(alice, last_name="Berg", is_active=""))
    assert events("user.changed")[-1] == {"before": {"active": True}, "after": {"active": False}}
    words = {"password1": "another long password", "password2": "another long password", "usable_password": "true"}
    admin.post(reverse("admin:auth_user_password_change", args=[alice.pk]), words)
    [reset] = events("user.password_reset")
    assert reset == {"credential": credentials.of_password(User.objects.get(pk=alice.pk))}
    assert User.objects.get(pk=alice.pk).check_password("another long password")
    admin.post(reverse("admin:auth_user_password_change", args=[alice.pk]), {"usable_password": "false"})
    assert events("user.changed")[-1] == {"before": {"password": True}, "after": {"password": False}}
    assert not User.objects.get(pk=alice.pk).has_usable_password()
    event = AuditEvent.objects.get(action="user.password_reset")
    assert (event.actor_name, event.target_label) == ("company.admin", "alice")
    assert "another long password" not in str(list(AuditEvent.objects.values_list("data", flat=True)))


def test_rights_of_a_role_and_single_rights(alice, admin_client):
    auditor, sees = Group.objects.get(name="Auditor"), Permission.objects.get(codename="view_group")
    before = list(auditor.permissions.values_list("pk", flat=True))
    admin_client.post(
        reverse("admin:auth_group_change", args=[auditor.pk]), {"name": "Auditor", "permissions": [*before, sees.pk]}
    )
    [data] = events("role.changed")
    assert (data["added"], data["removed"]) == (["auth.view_group"], [])
    assert set(data["after"]) - set(data["before"]) == {"auth.view_group"}
    admin_client.post(reverse("admin:auth_user_change", args=[alice.pk]), page_of(alice, user_permissions=[sees.pk]))
    assert events("user.changed") == [{"before": {"rights": []}, "after": {"rights": ["auth.view_group"]}}]


def test_the_commands_of_the_console_write_events(db, alice, monkeypatch):
    call_command(
        "createsuperuser", "--noinput", username="root", email="root@northwind.example", verbosity=0, stdout=StringIO()
    )
    [made] = events("user.created")
    assert made["by"] == "createsuperuser" and made["after"]["superuser"] is True
    monkeypatch.setattr("getpass.getpass", lambda prompt: "a long password of the console")
    call_command("changepassword", "alice", stdout=StringIO())
    known = credentials.of_password(User.objects.get(pk=alice.pk))
    assert events("user.password_reset") == [{"by": "changepassword", "credential": known}]
    assert User.objects.get(pk=alice.pk).check_password("a long password of the console")
    assert set(AuditEvent.objects.values_list("actor_name", flat=True)) == {"LicenseHub"}


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_an_export_is_an_event_with_its_filter_and_count(db, sign_in, form):
    person("bob", "Approver")
    client = sign_in("Auditor")
    before = AuditEvent.objects.count()
    url = reverse("admin:auth_user_export", args=[form])
    list(client.get(url, {"q": "bob"}).streaming_content)
    assert AuditEvent.objects.count() == before + 1
    [data] = events("list.exported")
    assert (data["form"], data["filter"], data["rows"]) == (form, "q=bob", 1)
    assert "E-mail" in data["columns"]
    event = AuditEvent.objects.get(action="list.exported")
    assert (event.actor_name, event.target_label) == ("auditor", "users")
    assert client.get(reverse("admin:audit_auditevent_change", args=[event.pk])).status_code == 200


def test_the_page_of_an_account_speaks_german_about_its_password(db):
    """unfold's sentence is English in each language."""
    bob = person("bob", "Auditor")
    page = signed_in(person("carol", "Company admin")).get(
        reverse("admin:auth_user_change", args=[bob.pk]), headers={"accept-language": "de"}
    )
    text = text_of(page)
    assert "Ein Passwort ist gesetzt" in text and ">Neues Passwort setzen</a>" in text
    assert "Raw passwords" not in text and "pbkdf2" not in text and "Salt" not in text
    assert "Darf sich anmelden" in text and "Mitarbeiter" not in text and ">Konten</a>" in text
