"""For which profiles the deciding account may decide: on the page, in the event and in the pack, as it was then."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection

from licensehub.audit.models import AuditEvent
from licensehub.audit.triggers import drop
from subscriptions.approvals import decide
from subscriptions.evidence.scope import scope_of_request
from subscriptions.models import ReclaimRequest
from tests.support.attacks import attack
from tests.support.packs import make, opened, rows
from tests.support.people.organization import limited_to, request_url
from tests.support.web.pages import text_of


def in_pack(request: ReclaimRequest) -> str:
    with opened(make(scope_of_request(request))) as files:
        return rows(files, "requests.jsonl")[0]["decides_for"]


def event_of(request: ReclaimRequest) -> AuditEvent:
    return AuditEvent.objects.get(action__in=("request.approved", "request.rejected"), target_id=request.pk)


def test_an_account_for_all_profiles(organization, alice, bob, carol, as_user):
    request = organization.ask(alice)
    assert "Decides for: all profiles" in text_of(as_user(bob).get(request_url("change", request)))
    decide.approve(request, actor=bob)
    assert event_of(request).data["account"]["decides_for"] is None
    assert "Decides for: all profiles" in text_of(as_user(carol).get(request_url("change", request)))
    assert in_pack(request) == "all profiles"
    with opened(make(scope_of_request(request), language="de")) as files:
        assert "alle Profile" in files.read("report.html").decode()


def test_an_account_for_some_profiles_is_shown_as_it_was_then(organization, us, alice, bob, carol, as_user):
    request = organization.ask(alice)
    bob = limited_to(bob, organization.profile)
    assert "Decides for: Northwind" in text_of(as_user(bob).get(request_url("change", request)))
    decide.reject(request, actor=bob, comment="Not yet")
    assert event_of(request).data["account"]["decides_for"] == [organization.profile.pk]
    # Later, the account decides for others.
    limited_to(bob, us.profile)
    page = text_of(as_user(carol).get(request_url("change", request)))
    assert "Decides for: Northwind<" in page and "Northwind US" not in page
    assert in_pack(request) == "Northwind"


def test_a_reader_learns_no_name_of_a_profile_outside_of_the_own_scope(organization, us, alice, bob, carol, as_user):
    request = organization.ask(alice)
    decide.approve(request, actor=limited_to(bob, organization.profile, us.profile))
    assert "Decides for: Northwind, Northwind US" in text_of(as_user(carol).get(request_url("change", request)))
    reader = as_user(limited_to(carol, organization.profile))
    page = text_of(reader.get(request_url("change", request)))
    assert "Decides for: Northwind and other profiles" in page and "Northwind US" not in page


@pytest.mark.parametrize("where", ["rows", "event"])
def test_somebody_who_has_the_database_changes_nothing_of_it(where, organization, us, alice, bob, carol, as_user):
    request = organization.ask(alice)
    decide.approve(request, actor=limited_to(bob, organization.profile))
    if where == "rows":
        attack("DELETE FROM integrations_accountscope_profiles")
        attack("DELETE FROM integrations_accountscope")
        said = "Decides for: Northwind"
    else:
        drop(connection)
        event = event_of(request)
        event.data["account"]["decides_for"] = None
        AuditEvent.objects.filter(pk=event.pk).update(data=event.data)
        said = "Decides for: unknown, since the event of the decision was changed outside of LicenseHub"
    page = text_of(as_user(User.objects.get(pk=carol.pk)).get(request_url("change", request)))
    assert said in page and "all profiles" not in page
    assert in_pack(request) == said.removeprefix("Decides for: ")
