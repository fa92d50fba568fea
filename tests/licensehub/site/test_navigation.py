"""The numbers in the menu, and what they cost each page."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from integrations.models import Connection
from licensehub.site.navigation import navigation
from subscriptions.models import Reconciliation
from tests.support.web.pages import text_of


def badges(user: User) -> dict[str, str]:
    request = RequestFactory().get("/")
    request.user = user
    return {str(item["title"]): item["badge"] for group in navigation(request) for item in group["items"]}


@pytest.mark.parametrize(
    ("results", "badge"),
    [
        ([(["a"], ""), (["a", "b"], "")], "2"),
        ([(["a"], ""), ([], "")], ""),
        ([(["a"], ""), ([], "The vendor did not answer.")], "1"),
        ([(["a"], ""), (["a", "b"], "The vendor did not answer.")], "2"),
        ([([], "The vendor did not answer.")], ""),
    ],
)
def test_the_differences_of_the_last_result_are_counted(run, admin_user, results, badge):
    for findings, problem in results:
        done = {"finished_at": timezone.now(), "findings": findings, "problem": problem}
        Reconciliation.objects.create(profile=run.profile, **done)
    Reconciliation.objects.create(profile=run.profile)  # is running
    assert badges(admin_user)["Reconciliations"] == badge


def test_the_people_to_review_belong_to_the_candidates(run, admin_user):
    request = RequestFactory().get(reverse("admin:subscriptions_persontoreview_changelist"))
    request.user = admin_user
    items = [item for group in navigation(request) for item in group["items"]]
    assert [str(item["title"]) for item in items if item["active"]] == ["Removal candidates"]


def test_profiles_with_a_connection_in_error_are_counted_once(run, admin_user):
    assert badges(admin_user)["Integration profiles"] == ""
    assert Connection.objects.filter(profile=run.profile).update(state="error") > 1
    assert badges(admin_user)["Integration profiles"] == "1"


def test_the_menu_takes_two_statements(run, admin_user):
    with CaptureQueriesContext(connection) as asked:
        badges(admin_user)
    assert len(asked) == 2


def test_a_page_shows_the_menu_with_its_numbers(run, admin_client):
    Connection.objects.filter(profile=run.profile).update(state="error")
    [badge] = re.findall(
        r"<span>Integration profiles</span>\s*<span([^>]*)>1</span>", text_of(admin_client.get("/admin/"))
    )
    assert "text-red-700" in badge


def test_the_menu_of_the_account_leads_to_the_language(admin_client):
    """It stands on the page of the notifications, where nobody looks for it."""
    link = f"{reverse('admin:subscriptions_notificationchoice_changelist')}#lh-language"
    shown = admin_client.get(reverse("admin:index")).content.decode()
    assert f'href="{link}"' in shown and "Language and time zone" in shown
    assert 'id="lh-language"' in admin_client.get(link).content.decode()
