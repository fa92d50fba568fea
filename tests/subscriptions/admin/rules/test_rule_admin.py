"""The page of the reclaim rule: wrong values, two editors, and what a saved change does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from integrations.models import Connection
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.audit.models import AuditEvent
from subscriptions import tasks
from subscriptions.admin.rules.rule_admin import LOSSES
from subscriptions.errors import NotActionable
from subscriptions.models import DownloadRun, ReclaimRule, RemovalCandidate, Verdict
from subscriptions.rules.rules import change_rule, terms_of
from tests.support.fixtures import person
from tests.support.people.organization import page, said
from tests.support.web.pages import text_of


def form(organization, **changed):
    rule = organization.rule
    values = {
        "last_activity_threshold": "60",
        "licenses": ["full", "advanced"],
        "new_joiner_grace": "30",
        "never_active": "review",
        "admin_roles": "review",
        "days_to_answer": "7",
        "keep_means": "final",
        "file_requests": "by_hand",
        "batch_cap_people": str(rule.batch_cap_people),
        "batch_cap_percent": str(rule.batch_cap_percent),
        "rolling_cap_percent": str(rule.rolling_cap_percent),
        "stale_feed_days": "3",
        "surge_factor": "2",
        "surge_percent": "10",
        "seen_version": str(rule.version),
        "license_thresholds-TOTAL_FORMS": "0",
        "license_thresholds-INITIAL_FORMS": "0",
        **changed,
    }
    return page("reclaimrule", "change", rule.pk), values


def row(number: int, license: str, days: str) -> dict[str, str]:
    prefix = f"license_thresholds-{number}-"
    return {f"{prefix}license": license, f"{prefix}last_activity_threshold": days, f"{prefix}id": ""}


def test_the_list_says_how_many_rules_there_are(organization, alice, as_user):
    assert "1 reclaim rule" in text_of(as_user(alice).get(reverse("admin:subscriptions_reclaimrule_changelist")))


def test_a_new_threshold_reaches_verdicts_and_candidates(organization, alice, as_user):
    address, values = form(
        organization, last_activity_threshold="108", licenses=["full", "advanced", "standard", "basic"]
    )

    told = said(as_user(alice).post(address, values))

    rule = organization.rule
    assert (rule.last_activity_threshold, rule.version) == (108, 2)
    assert "4 of 12 subscriptions changed their verdict; 4 are inactive now." in told
    assert RemovalCandidate.objects.filter(state="ready").count() == 4
    event = AuditEvent.objects.get(action="rule.changed")
    assert event.actor_name == "alice"
    assert event.data["changed"] == {"last_activity_threshold": {"from": 60, "to": 108}}


def test_a_lower_threshold_proposes_at_once_and_old_facts_need_a_download(organization, alice, as_user):
    manager = as_user(alice)
    address, values = form(organization, last_activity_threshold="2")
    assert "12 are inactive now. 4 new candidates are ready to request." in said(manager.post(address, values))
    assert "complete download" not in text_of(manager.get(address))

    organization.hire(12, idle=2)
    DownloadRun.objects.update(started_at=timezone.now() - timedelta(hours=30))
    Connection.objects.create(profile=organization.profile, slot="rest", state="working")
    nils = person("nils", "Company admin")
    User.objects.filter(pk=nils.pk).update(first_name="Nils", last_name="Berg")
    why = f"after the next complete download. The facts of {organization.run} are more than 26 hours old."
    address, values = form(organization, last_activity_threshold="1")
    told = said(manager.post(address, values))
    assert "13 are inactive now." in told and "ready to request" not in told
    assert why in told
    for client, asked in ((manager, True), (as_user(nils), False)):
        shown = text_of(client.get(address))
        assert why in shown
        assert ("Ask Nils Berg to start a download." in shown) is asked
        assert ("Download now" in shown) is not asked


def test_a_page_does_not_wait_for_many_people(organization, alice, as_user, monkeypatch):
    monkeypatch.setattr("subscriptions.eligibility.people_counts.COUNTED_LIVE", 10)
    address, values = form(organization, last_activity_threshold="3000")
    assert "The rule is saved. Everybody is being evaluated" in said(as_user(alice).post(address, values))
    assert RemovalCandidate.objects.filter(state="ready").exists()
    tasks.evaluate_again(organization.profile.pk)
    assert not RemovalCandidate.objects.filter(state="ready").exists()


@pytest.mark.parametrize("days", ["abc", "0", "4000", "", "-3", "1.5", "9" * 40])
def test_a_threshold_that_makes_no_sense(organization, alice, as_user, days):
    address, values = form(organization, last_activity_threshold=days)

    shown = text_of(as_user(alice).post(address, values))

    too_long = days in ("4000", "9" * 40)
    assert (
        "Enter the threshold in days, at most 3650 (ten years)." if too_long else "Enter the threshold in days"
    ) in shown
    assert organization.rule.version == 1


def test_at_least_one_license_type(organization, alice, as_user):
    address, values = form(organization, licenses=[])

    assert "Choose at least one license type" in text_of(as_user(alice).post(address, values))
    assert organization.rule.version == 1


def test_thresholds_for_license_types(organization, alice, as_user):
    rows = {"license_thresholds-TOTAL_FORMS": "1", **row(0, "full", "200")}
    address, values = form(organization, **rows)

    as_user(alice).post(address, values)

    assert list(organization.rule.license_thresholds.values_list("license", "last_activity_threshold")) == [
        ("full", 200)
    ]
    assert not RemovalCandidate.objects.filter(state="ready").exists()


def test_one_threshold_per_license_type(organization, alice, as_user):
    rows = {"license_thresholds-TOTAL_FORMS": "2", **row(0, "full", "90"), **row(1, "full", "120")}
    address, values = form(organization, **rows)

    assert "appears twice" in text_of(as_user(alice).post(address, values))
    assert organization.rule.version == 1


def test_the_second_of_two_editors_is_told_and_loses_nothing(organization, alice, as_user):
    address, first = form(organization, last_activity_threshold="45")
    _, second = form(organization, last_activity_threshold="90")
    client = as_user(alice)
    client.post(address, first)

    shown = text_of(client.post(address, second))

    assert "Somebody else saved this rule while you were editing" in shown
    assert 'value="90"' in shown and 'name="seen_version" value="2"' in shown
    assert organization.rule.last_activity_threshold == 45

    client.post(address, {**second, "seen_version": "2"})
    assert (organization.rule.last_activity_threshold, organization.rule.version) == (90, 3)


def test_the_guard_in_the_write_itself(organization, alice):
    mine, theirs = organization.rule, organization.rule
    change_rule(theirs, actor=alice, changed={"last_activity_threshold": 45})

    with pytest.raises(NotActionable, match="Somebody else"):
        change_rule(mine, actor=alice, changed={"last_activity_threshold": 90})

    assert organization.rule.last_activity_threshold == 45
    assert AuditEvent.objects.filter(action="rule.changed").count() == 1


def test_a_lost_race_is_a_sentence(organization, alice, as_user, monkeypatch):
    def faster(*args, **kwargs):
        raise NotActionable("Somebody else changed this rule in the meantime.")

    monkeypatch.setattr("subscriptions.admin.rules.rule_admin.change_rule", faster)
    address, values = form(organization, last_activity_threshold="45")

    assert "Somebody else" in said(as_user(alice).post(address, values))


def test_the_function_validates_as_well(organization, alice):
    with pytest.raises(ValidationError):
        change_rule(organization.rule, actor=alice, changed={"last_activity_threshold": 0})


def test_nothing_different_is_no_change(organization, alice, as_user):
    address, values = form(organization, licenses=organization.rule.licenses)

    assert "Nothing was changed" in said(as_user(alice).post(address, values))
    assert organization.rule.version == 1
    assert not AuditEvent.objects.filter(action="rule.changed").exists()


@pytest.mark.parametrize(("who", "status"), [("bob", 200), ("carol", 200), ("dave", 403)])
def test_who_only_reads(organization, as_user, request, who, status):
    client = as_user(request.getfixturevalue(who))
    address, values = form(organization, last_activity_threshold="45")

    assert client.get(address).status_code == status
    assert client.post(address, values).status_code == 403
    assert organization.rule.version == 1


def test_nobody_adds_or_deletes(organization, admin_user, as_user):
    client = as_user(admin_user)

    assert client.get("/admin/subscriptions/reclaimrule/add/").status_code == 403
    assert client.post(page("reclaimrule", "delete", organization.rule.pk), {"post": "yes"}).status_code == 403


def test_what_the_terms_mean_now(organization, alice, as_user):
    shown = text_of(as_user(alice).get(page("reclaimrule", "change", organization.rule.pk)))

    assert "Effect of this rule" in shown and "Active lately" in shown and "−4" in shown


def test_before_the_first_download(empty_organization, alice, as_user):
    shown = text_of(as_user(alice).get(page("reclaimrule", "change", empty_organization.rule.pk)))

    assert "Nothing to count yet" in shown


# --- Asking, and limits -----------------------------------------------------------------------------------------------


def test_asking_and_limits_are_saved_with_old_and_new_values(organization, alice, as_user):
    wanted = {
        "notify_user": "on",
        "days_to_answer": "10",
        "keep_means": "ask",
        "file_requests": "automatic",
        "batch_cap_people": "3",
        "batch_cap_percent": "5",
        "rolling_cap_percent": "20",
    }
    address, values = form(organization, licenses=organization.rule.licenses, **wanted)

    as_user(alice).post(address, values)

    rule = organization.rule
    assert (rule.notify_user, rule.days_to_answer, rule.keep_means) == (True, 10, "ask")
    assert (rule.file_requests, rule.batch_cap_people, rule.batch_cap_percent) == ("automatic", 3, 5)
    assert (rule.rolling_cap_percent, rule.version) == (20, 2)
    assert AuditEvent.objects.get(action="rule.changed").data["changed"] == {
        "notify_user": {"from": False, "to": True},
        "days_to_answer": {"from": 7, "to": 10},
        "keep_means": {"from": "final", "to": "ask"},
        "file_requests": {"from": "by_hand", "to": "automatic"},
        "batch_cap_people": {"from": 1000, "to": 3},
        "batch_cap_percent": {"from": 100, "to": 5},
        "rolling_cap_percent": {"from": 100, "to": 20},
    }


WRONG = [
    ("days_to_answer", "0", "at least one day"),
    ("days_to_answer", "91", "at most 90 days"),
    ("days_to_answer", "soon", "from 1 to 90"),
    ("batch_cap_people", "0", "room for at least one person"),
    ("batch_cap_people", "many", "at least 1. The usual value is 50"),
    ("batch_cap_people", "9" * 40, "less than or equal to"),
    ("batch_cap_percent", "0", "stop sending for the profile"),
    ("batch_cap_percent", "101", "At most 100 percent"),
    ("rolling_cap_percent", "0", "stop sending for the profile"),
    ("rolling_cap_percent", "5.5", "The usual value is 10"),
    ("keep_means", "perhaps", "not one of the available choices"),
    ("file_requests", "", "required"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG)
def test_asking_and_limits_that_make_no_sense(organization, alice, as_user, name, value, sentence):
    address, values = form(organization, **{name: value})

    assert sentence in text_of(as_user(alice).post(address, values))
    assert organization.rule.version == 1


def test_what_the_caps_mean_now(organization, alice, carol, as_user):
    rules = type(organization.rule).objects
    address = page("reclaimrule", "change", organization.rule.pk)
    rules.update(batch_cap_people=50, batch_cap_percent=20, rolling_cap_percent=50)
    shown = text_of(as_user(alice).get(address))
    assert "Now at most 3 people per request: 20 % of 12 active licenses in scope." in shown
    inactive = organization.profile.candidates.count()
    needed = f"All {inactive} inactive seats need at least {-(-inactive // 3)} approvals."
    assert inactive > 3 and needed in shown
    assert "In 24 hours at most 6 people: 50 %; none of them is used." in shown

    rules.update(batch_cap_people=2)
    shown = text_of(as_user(carol).get(address))
    assert "Now at most 2 people per request: 20 % of 12 active licenses in scope would be 3, and the smaller" in shown


def test_caps_before_the_first_download(empty_organization, alice, as_user):
    shown = text_of(as_user(alice).get(page("reclaimrule", "change", empty_organization.rule.pk)))

    assert "appear after the first complete download" in shown


def test_each_verdict_stands_in_one_line_of_the_funnel():
    shown = [verdict for _, verdicts in LOSSES for verdict in verdicts]
    assert sorted([*shown, Verdict.CANDIDATE]) == sorted(Verdict)


def test_an_error_in_the_form_is_no_change_from_outside(organization, alice, as_user):
    """The form has written what was entered into the row of the page, and stored nothing."""
    client = as_user(alice)
    with transaction.atomic():
        rule = organization.rule
        record(Action.RULE_CREATED, actor=alice, target=rule, data={"terms": terms_of(rule)})
    client.post(*form(organization, days_to_answer="8"))
    organization.rule.refresh_from_db()
    wrong = form(organization, days_to_answer="6", last_activity_threshold="")

    shown = text_of(client.post(*wrong))
    assert "Enter the threshold in days" in shown and "Row now" not in shown

    ReclaimRule.objects.update(days_to_answer=9)
    assert "Row now" in text_of(client.post(*wrong))
