"""Columns that an account chooses, and saved views: who sees them, and that an export has the columns of the list."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from licensehub.audit.models import AuditEvent
from licensehub.ui.lists.saved_views import MAX_VIEWS, ViewRefused, delete_view
from licensehub.ui.models import ListColumns, SavedView
from subscriptions.admin.candidates.candidate_admin import RemovalCandidateAdmin
from subscriptions.admin.subscriptions.subscription_admin import SubscriptionAdmin
from tests.support.fixtures import person
from tests.support.web.exports import rows

LIST = reverse("admin:subscriptions_subscription_changelist")
SAVE = reverse("admin:subscriptions_subscription_save_view")


@pytest.fixture
def manager(run, as_user):
    return as_user(person("mona", "License manager"))


@pytest.fixture
def auditor(run, as_user):
    return as_user(person("otto", "Auditor"))


def said(response) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def save(client, do: str, **given):
    return client.post(SAVE, {"do": do, **given}, follow=True)


def shown(response) -> list[str]:
    return [name for name in response.context["cl"].list_display if name != "action_checkbox"]


def header(client, query: str = "") -> list[str]:
    return list(rows(client.get(f"{LIST}export/shown/csv/{query}"))[0])


def test_an_account_chooses_its_columns_and_the_file_follows(manager, auditor):
    before = shown(manager.get(LIST))
    chosen = ["manager_shown", "department_shown", "nothing", "vendor_id"]
    response = manager.post(
        f"{LIST}columns/", {"column": chosen, "address": "license=full&columns=person"}, follow=True
    )

    assert response.redirect_chain == [(f"{LIST}?license=full", 302)]
    assert shown(response) == ["person", "manager_shown", "department_shown", "vendor_id"]
    expected = ["Name", "E-mail", "Manager", "Department", "Cost center", "Vendor ID"]
    assert [name.replace("Member ID", "Vendor ID") for name in header(manager)][:5] == expected[:5]
    assert len(header(manager)) == 6
    assert shown(auditor.get(LIST)) == before and ListColumns.objects.count() == 1

    assert shown(manager.get(f"{LIST}?columns=seat,person")) == ["person", "seat"]
    assert header(manager, "?columns=seat") == ["Name", "E-mail", "Active"]
    assert shown(manager.post(f"{LIST}columns/", {"reset": "on"}, follow=True)) == before
    menu = manager.get(f"{LIST}columns/?columns=seat").content.decode()
    boxes = re.findall(r'name="column" value="(\w+)"( checked)?( disabled)?', menu)
    assert boxes[:3] == [("person", " checked", " disabled"), ("seat", " checked", ""), (before[1], "", "")]
    assert sorted(name for name, *_ in boxes) == sorted(column.name for column in SubscriptionAdmin.columns)


def test_a_view_is_saved_opened_changed_renamed_and_deleted(manager):
    made = save(manager, "create", name="  Sales   people ", address="license=full&p=last&o=-person", columns="seat")
    view = SavedView.objects.get()
    assert said(made) == ["The view “Sales people” is saved."]
    assert (view.query, view.columns, view.shared) == ("license=full&o=-person", ["person", "seat"], False)
    assert made.context["cl"].sorted_by == ("person", True) and shown(made) == ["person", "seat"]
    assert not made.context["view_changed"] and "Sales people" in made.content.decode()

    opened = manager.get(f"{LIST}?view={view.pk}")
    query = parse_qs(urlsplit(opened.url).query)
    assert query == {"license": ["full"], "o": ["-person"], "columns": ["person,seat"], "view": [str(view.pk)]}
    without = manager.get(f"{LIST}?columns=person,seat&view={view.pk}&o=-person")
    assert without.context["view_changed"]
    menu = manager.get(f"{LIST}views/?columns=person,seat&view={view.pk}&o=-person").content.decode()
    assert "Save the changes" in menu and "Sales people" in menu
    chosen = manager.post(
        f"{LIST}columns/", {"column": ["person", "vendor_id"], "address": f"view={view.pk}"}, follow=True
    )
    assert shown(chosen) == ["person", "vendor_id"] and chosen.context["view_changed"]
    manager.post(f"{LIST}columns/", {"reset": "on"})

    save(manager, "replace", view=view.pk, address="o=person", columns="person,vendor_id")
    save(manager, "rename", view=view.pk, name="Everybody")
    view.refresh_from_db()
    assert (view.name, view.query, view.columns) == ("Everybody", "o=person", ["person", "vendor_id"])
    assert not AuditEvent.objects.filter(action__startswith="view.").exists()
    assert said(save(manager, "delete", view=view.pk)) == ["The view “Everybody” is deleted."]
    assert not SavedView.objects.exists() and not AuditEvent.objects.filter(action__startswith="view.").exists()


def test_a_view_is_private_until_its_owner_shares_it_and_the_audit_log_says_so(manager, auditor):
    save(manager, "create", name="Mine", address="license=full", columns="person")
    view = SavedView.objects.get()
    unknown = "This view does not exist any more, or it is private to somebody else."
    for pk in (view.pk, 999, "x", "٣", "9" * 30):
        answer = auditor.get(LIST, {"view": pk, "license": "full"}, follow=True)
        assert said(answer) == [unknown] and answer.redirect_chain == [(f"{LIST}?license=full", 302)], pk
    assert "Mine" not in auditor.get(f"{LIST}views/").content.decode()
    elsewhere = SavedView.objects.create(
        of_list="subscriptions_downloadrun", name="Runs", owner=view.owner, shared=True
    )
    assert said(manager.get(LIST, {"view": elsewhere.pk}, follow=True)) == [unknown], "a view of another list"
    assert "Runs" not in manager.get(f"{LIST}views/").content.decode()
    gone = "This view does not exist any more. Nothing was changed."
    assert said(save(auditor, "delete", view=view.pk)) == [gone]

    assert said(save(manager, "share", view=view.pk))[0].startswith("Everybody who may see this list")
    assert "shared by" in auditor.get(f"{LIST}views/").content.decode()
    assert shown(auditor.get(f"{LIST}?view={view.pk}", follow=True)) == ["person"]
    for do in ("replace", "rename", "unshare", "delete"):
        answer = save(auditor, do, view=view.pk, name="Other", address="", columns="")
        assert said(answer) == ["Only its owner may do this with a view. Nothing was changed."], do
    save(manager, "rename", view=view.pk, name="Ours")
    save(manager, "unshare", view=view.pk)
    assert said(auditor.get(LIST, {"view": view.pk}, follow=True)) == [unknown]
    events = AuditEvent.objects.filter(action__startswith="view.").order_by("sequence")
    assert [(event.action, event.actor_name, event.target_label) for event in events] == [
        ("view.shared", "mona", "Mine"),
        ("view.changed", "mona", "Ours"),
        ("view.unshared", "mona", "Ours"),
    ]
    assert "saved view" in auditor.get("/admin/audit/auditevent/").content.decode()


def test_who_may_not_share_and_who_cleans_up(manager, auditor, as_user):
    """The owner of a shared view may have left: whoever may share can delete it."""
    refused = ["Your role may not share views. Nothing was saved."]
    assert said(save(auditor, "create", name="A", address="", columns="", shared="on")) == refused
    save(auditor, "create", name="A", address="", columns="")
    assert said(save(auditor, "share", view=SavedView.objects.get().pk)) == refused
    assert "Share with everybody" not in auditor.get(f"{LIST}views/").content.decode()
    save(manager, "create", name="B", address="", columns="", shared="on")
    shared, zoe = SavedView.objects.get(name="B"), person("zoe", "Company admin")
    with pytest.raises(ViewRefused, match="Only its owner"):
        delete_view(SavedView.objects.get(name="A"), actor=zoe)  # it is private
    save(as_user(zoe), "delete", view=shared.pk)
    assert [view.name for view in SavedView.objects.all()] == ["A"]
    assert AuditEvent.objects.filter(action="view.deleted", actor_name="zoe").count() == 1
    other = as_user(person("olga", "Operator"))
    assert other.get(f"{LIST}counts/").status_code == other.get(f"{LIST}columns/").status_code == 403
    assert other.get(f"{LIST}views/").status_code == other.post(SAVE, {"do": "create", "name": "C"}).status_code == 403


def test_what_is_no_view_gets_a_sentence(manager, monkeypatch):
    cases = {
        "Enter a name for the view. Nothing was saved.": {"name": "  "},
        "The name of a view has at most 60 characters. Nothing was saved.": {"name": "x" * 61},
        "The filters and the search of this list are too long for a view. Nothing was saved.": {
            "address": "q=" + "x" * 2001
        },
        "This list does not know these filters. Nothing was saved.": {"address": "profile__rule__version=1"},
    }  # fmt: skip
    for sentence, given in cases.items():
        assert said(save(manager, "create", **{"name": "A", "address": "", "columns": "", **given})) == [sentence]
    save(manager, "create", name="A", address="", columns="")
    unknown = ["This list does not know these filters. Nothing was saved."]
    a, wrong = SavedView.objects.get(), "profile__rule__version=1"
    assert said(save(manager, "replace", view=a.pk, address=wrong, columns="")) == unknown
    # The address that was wrong is a page with an error, which shows no messages.
    manager.get(LIST)
    assert SavedView.objects.get().query == a.query
    taken = "You already have a view “A” of this list. Choose another name."
    assert said(save(manager, "create", name="A", address="", columns="")) == [taken]
    save(manager, "create", name="B", address="", columns="")
    assert said(save(manager, "rename", view=SavedView.objects.get(name="B").pk, name="A")) == [taken]
    assert said(save(manager, "explode", view=SavedView.objects.get(name="B").pk)) == [
        "Choose what to do with the view. Nothing was changed."
    ]
    assert manager.get(SAVE).status_code == 405
    monkeypatch.setattr("licensehub.ui.lists.saved_views.MAX_VIEWS", 2)
    assert said(save(manager, "create", name="C", address="", columns="")) == [
        "You have 2 views of this list already. Delete one first. Nothing was saved."
    ]
    assert MAX_VIEWS >= 50


def test_a_view_whose_values_no_longer_exist_says_so(manager):
    SavedView.objects.create(
        of_list="subscriptions_subscription",
        name="Old",
        owner=manager.get(LIST).wsgi_request.user,
        query="license=pro&o=license_shown",
        columns=["person", "gone_column"],
    )
    answer = manager.get(LIST, {"view": SavedView.objects.get().pk}, follow=True)
    assert answer.status_code == 200 and shown(answer) == ["person"]
    assert said(answer) == [
        "This list cannot be sorted by “license_shown”.",
        "The filter “License” has no choice “pro” any more.",
        "This list has no column “gone_column” that you may see.",
    ]


def test_a_shared_view_shows_no_column_that_its_reader_may_not_see(manager, as_user):
    address = reverse("admin:subscriptions_removalcandidate_changelist")
    columns = ",".join(column.name for column in RemovalCandidateAdmin.columns)
    manager.post(f"{address}views/save/", {"do": "create", "name": "Cost", "columns": columns, "shared": "on"})
    view = SavedView.objects.get()
    assert "cost" in view.columns
    reader = person("rita", "")
    reader.user_permissions.add(Permission.objects.get(codename="view_removalcandidate"))
    client = as_user(reader)
    answer = client.get(address, {"view": view.pk}, follow=True)
    assert "cost" not in shown(answer) and len(shown(answer)) == len(view.columns) - 1
    assert said(answer) == ["This list has no column “cost” that you may see."]
    for form in ("export/csv/", "export/shown/csv/"):
        text = b"".join(client.get(f"{address}{form}?columns={columns}").streaming_content).decode()
        assert "Department" in text and "Amount per year" not in text
