"""The audit log is shown and exported as it is, and nobody gives themselves more rights than their role has."""

from __future__ import annotations

import csv
import io
import json

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.urls import reverse

from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.audit.models import AuditEvent

LIST = "/admin/audit/auditevent/"


def test_names_are_not_translated(published, sign_in):
    """`approver` is a word of our catalogs, too. The label of a rule has words of ours."""
    rule, named = published.rule, User.objects.create_user("approver")
    with transaction.atomic():
        for target in (named, rule):
            record(Action.RULE_CHANGED, actor=None, target=target, data={})
    page = sign_in("Auditor").get(LIST, headers={"accept-language": "de"}).content.decode()
    assert "Auditprotokoll" in page and f"{published}: {rule.last_activity_threshold} Tage" in page
    assert "approver" in page and "wer genehmigt hat" not in page


def as_written(event: AuditEvent) -> list[str]:
    return [
        str(event.sequence),
        f"{event.at:%Y-%m-%d %H:%M:%S}",
        "Cam Dee" if event.actor_name == "=cmd" else event.actor_name,
        event.actor_name.replace("=", "'="),
        event.action,
        event.target_label,
        event.target_type,
        str(event.target_id),
        json.dumps(event.data, ensure_ascii=False, sort_keys=True),
        str(event.correlation),
        event.hmac,
        event.hash,
        event.previous_hash,
    ]


# unfold's filter by time makes moments without a zone; Django reads them in the server's zone.
@pytest.mark.filterwarnings("ignore:DateTimeField:RuntimeWarning")
@pytest.mark.parametrize("query", ["", "?at_from_0=2020-01-01&at_from_1=00:00:00"])
def test_the_export_has_every_event_as_it_is(published, sign_in, query, monkeypatch):
    """Sorted by number and by time, in chunks and in one piece."""
    monkeypatch.setattr("licensehub.ui.export.CHUNK", 3)
    monkeypatch.setattr("licensehub.ui.csv_file.LINES", 2)
    with transaction.atomic():
        asks = User.objects.create_user("=cmd", first_name="Cam", last_name="Dee")
        record(Action.PROFILE_CHANGED, actor=asks, target=published, data={"zoë": [1, None], "a": 'Two\n"lines"'})
    answer = sign_in("Auditor").get(reverse("admin:audit_auditevent_export") + query)
    pieces = [piece.decode("utf-8") for piece in answer.streaming_content]
    header, *lines = csv.reader(io.StringIO("".join(pieces), newline=""))
    events = list(AuditEvent.objects.exclude(action="list.exported").order_by("-sequence"))
    assert len(events) > 4
    assert header[0] == "\ufeff#"
    assert lines == [as_written(event) for event in events]
    assert len(pieces) == 1 + (len(events) + 1) // 2


@pytest.fixture
def other(db) -> User:
    return User.objects.create_user("other", "other@x.example", "x")


def account(user: User, **extra) -> dict[str, object]:
    groups = [str(pk) for pk in Group.objects.filter(name="Approver").values_list("pk", flat=True)]
    return {
        "username": user.username,
        "email": user.email,
        "is_active": "on",
        "is_staff": "on",
        "groups": groups,
        **extra,
    }


def test_a_company_admin_gives_roles_but_no_powers(other, sign_in):
    client = sign_in("Company admin")
    address = reverse("admin:auth_user_change", args=[other.pk])
    answer = client.post(address, account(other, is_superuser="on", user_permissions=["1"]))
    other.refresh_from_db()
    assert answer.status_code == 302
    assert [group.name for group in other.groups.all()] == ["Approver"]
    assert not other.is_superuser
    assert not other.user_permissions.exists()


def test_a_company_admin_gives_themselves_no_powers(sign_in):
    client = sign_in("Company admin")
    me = User.objects.get(username="company.admin")
    client.post(reverse("admin:auth_user_change", args=[me.pk]), account(me, is_superuser="on"))
    me.refresh_from_db()
    assert not me.is_superuser


def test_a_superuser_is_not_changed_by_a_company_admin(sign_in, django_user_model):
    root = django_user_model.objects.create_superuser("root", "root@x.example", "x")
    client = sign_in("Company admin")
    assert client.post(reverse("admin:auth_user_change", args=[root.pk]), account(root)).status_code == 403
    password = {"password1": "a long new password", "password2": "a long new password"}
    assert client.post(reverse("admin:auth_user_password_change", args=[root.pk]), password).status_code == 403


def test_accounts_are_not_deleted_and_roles_not_changed(other, sign_in, client, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("root", "root@x.example", "x"))
    assert client.post(reverse("admin:auth_user_delete", args=[other.pk]), {"post": "yes"}).status_code == 403
    group = Group.objects.get(name="Auditor")
    assert sign_in("Company admin").get(reverse("admin:auth_group_change", args=[group.pk])).status_code == 403
