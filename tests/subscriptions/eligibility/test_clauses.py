"""Every clause of the verdict, its order, its edges, and that the explanation agrees with the decision."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from licensehub.translations.stored import translated
from subscriptions.eligibility.clauses import CLAUSES, checks, explain, lead
from subscriptions.eligibility.evaluate import evaluate_rows
from subscriptions.eligibility.sentences import LEADS, licensed_for
from subscriptions.eligibility.terms import Terms
from subscriptions.eligibility.verdict_sql import verdict_of
from subscriptions.models import Subscription, Verdict
from tests.support.data.subscription_rows import TERMS, days_ago, make, terms_with

CASES = [
    ({}, Verdict.CANDIDATE, "Inactive 94 days, 34 over the threshold."),
    ({"last_activity_at": days_ago(1201.1)}, Verdict.CANDIDATE, "Inactive 1,201 days, 1,141 over the threshold."),
    ({"last_activity_at": days_ago(59.9)}, Verdict.ACTIVE, "Active lately"),
    ({"last_activity_at": days_ago(60.1)}, Verdict.CANDIDATE, "Inactive 60 days"),
    ({"license": "advanced"}, Verdict.CANDIDATE, ", 4 over"),
    ({"license": "advanced", "last_activity_at": days_ago(89)}, Verdict.ACTIVE, "the threshold is 90 days"),
    ({"license": "free"}, Verdict.NOT_IN_SCOPE, "Free license"),
    ({"license": "platinum"}, Verdict.NOT_IN_SCOPE, "platinum"),
    ({"license": "unknown"}, Verdict.UNKNOWN, "which license"),
    ({"role": ""}, Verdict.UNKNOWN, "which role"),
    ({"active": False}, Verdict.DEACTIVATED, "takes no seat"),
    ({"active": False, "gone_at": days_ago(1)}, Verdict.GONE, "Left the organization"),
    ({"reclaimable": False, "why_not": "Demote first."}, Verdict.CANNOT_BE_REMOVED, "Demote first."),
    ({"license_assigned_at": days_ago(5)}, Verdict.IN_GRACE, "within the grace of 30 days"),
    ({"last_activity_at": None}, Verdict.NEVER_ACTIVE, "never active"),
    ({"last_activity_at": None, "license_assigned_at": days_ago(45)}, Verdict.ACTIVE, "Never active, but licensed"),
    ({"last_activity_at": None, "license_assigned_at": None}, Verdict.UNKNOWN, "neither"),
    # A seat that is left alone anyway needs no review, and neither does a person who is kept or protected.
    ({"license": "free", "last_activity_at": None, "license_assigned_at": None}, Verdict.NOT_IN_SCOPE, "Free"),
    ({"role": "", "cooldown_until": days_ago(-3), "cooldown_reason": "kept"}, Verdict.COOLING_DOWN, "kept"),
    ({"implausible_dates": "last activity 1970-01-01"}, Verdict.UNKNOWN, "cannot be right (last activity 1970-01-01)"),
    ({"implausible_dates": "license date 2099-01-01", "review_passed": True}, Verdict.CANDIDATE, "Inactive 94 days"),
    ({"dates_went_back": True}, Verdict.DATES_WENT_BACK, "then no date. We count"),
    ({"dates_went_back": True, "vendor_activity_at": days_ago(95.1)}, Verdict.DATES_WENT_BACK, "Miro said"),
    ({"dates_went_back": True, "vendor_activity_at": days_ago(94.9)}, Verdict.CANDIDATE, "Inactive 94 days"),
    ({"dates_went_back": True, "last_activity_at": days_ago(5)}, Verdict.DATES_WENT_BACK, "Miro said"),
    ({"dates_went_back": True, "review_passed": True}, Verdict.CANDIDATE, "Inactive 94 days"),
    ({"last_activity_at": None, "review_passed": True}, Verdict.CANDIDATE, "Never active since assigned"),
    ({"license_assigned_at": None}, Verdict.CANDIDATE, "Inactive 94 days"),
    ({"cooldown_until": days_ago(-3), "cooldown_reason": "rejected"}, Verdict.COOLING_DOWN, "rejected"),
    ({"admin_roles": ("User Admin",)}, Verdict.ADMIN_ROLE, "Needs review: User Admin. Others may depend on this role,"),
    (
        {"admin_roles": ("A", "B"), "last_activity_at": None},
        Verdict.ADMIN_ROLE,
        "A, B. Others may depend on these roles",
    ),
    ({"admin_roles": ("User Admin",), "last_activity_at": days_ago(5)}, Verdict.ACTIVE, "Active lately"),
    ({"cooldown_until": days_ago(3), "cooldown_reason": "rejected"}, Verdict.CANDIDATE, "Inactive"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("facts", "verdict", "sentence"), CASES)
def test_clause(facts, verdict, sentence):
    row = make(**facts)

    assert verdict_of(row, TERMS) == verdict
    evaluate_rows(Subscription.objects.all(), TERMS)
    row.refresh_from_db()
    assert row.verdict == verdict
    assert sentence in explain(row, TERMS)
    decided = [
        clause.verdict for clause, check in zip(CLAUSES, checks(row, TERMS), strict=True) if check.passed is False
    ]
    assert decided == ([] if verdict == Verdict.CANDIDATE else [verdict])


def test_each_verdict_has_its_own_sentence_with_the_name():
    assert set(LEADS) == set(Verdict)
    said = [str(one) for one in LEADS.values()]
    assert len(set(said)) == len(said) and all("{name}" in one for one in said)
    assert {one for one in said if "is a candidate" in one} == {str(LEADS[Verdict.CANDIDATE])}


@pytest.mark.django_db
def test_the_sentence_about_a_candidate_has_the_facts():
    row = make(name="Tomasz {license} <b>")
    assert lead(row, TERMS) == "Tomasz {license} <b> is not evaluated yet."
    evaluate_rows(Subscription.objects.all(), TERMS)
    row.refresh_from_db()
    assert lead(row, TERMS) == (
        "Tomasz {license} <b> is a candidate: holds a Full license, inactive for 94 days, 34 days over the threshold."
    )
    with translation.override("de"):
        assert lead(row, TERMS).startswith("Tomasz {license} <b> ist Kandidat: Lizenz Full, 94 Tage inaktiv,")
    row.last_activity_at = None
    assert "a candidate: holds a Full license, never active since it was assigned on" in lead(row, TERMS)
    row.changed_run.state = "evaluating"
    assert lead(row, TERMS) == "The facts about Tomasz {license} <b> are new, and there is no verdict on them yet."


def test_many_days_are_grouped_as_the_reader_writes_numbers():
    assert licensed_for(1201) == "licensed for 1,201 days" and licensed_for(999) == "licensed for 999 days"
    assert licensed_for(1000) == "licensed for 1,000 days"
    with translation.override("de"):
        assert licensed_for(1201) == "seit 1.201 Tagen lizenziert"
        stored = "Inactive 1,201 days, 1,141 over the threshold."
        assert translated(stored) == "1.201 Tage inaktiv, 1.141 über der Schwelle."


@pytest.mark.django_db
def test_the_rule_decides_about_people_with_an_admin_role():
    row, active = make(admin_roles=("User Admin",)), make(admin_roles=("User Admin",), last_activity_at=days_ago(5))
    other = make()
    candidate, leave = (terms_with(licenses=("full",), admin_roles=meaning) for meaning in ("candidate", "leave"))

    assert [verdict_of(one, candidate) for one in (row, active, other)] == [
        Verdict.CANDIDATE,
        Verdict.ACTIVE,
        Verdict.CANDIDATE,
    ]
    assert [verdict_of(one, leave) for one in (row, active, other)] == [
        Verdict.PROTECTED,
        Verdict.PROTECTED,
        Verdict.CANDIDATE,
    ]
    assert explain(row, leave, verdict=Verdict.PROTECTED) == (
        "Left alone: User Admin. The rule leaves people with an admin role alone."
    )


@pytest.mark.django_db
def test_never_active_people_can_be_made_candidates():
    row = make(last_activity_at=None)

    terms = terms_with(threshold=60, licenses=("full",), grace=30, never_active="candidate")

    assert verdict_of(row, terms) == Verdict.CANDIDATE
    assert "Never active since assigned" in explain(row, terms, verdict=Verdict.CANDIDATE)


@pytest.mark.django_db
def test_checks_tell_which_clause_decided():
    row = make(license="free", reclaimable=False)

    found = checks(row, TERMS)

    assert [check.passed for check in found] == [True, True, False, *[None] * (len(CLAUSES) - 3)]


@pytest.mark.django_db
def test_the_clauses_after_the_one_that_decides_are_not_asked():
    asked = []
    for row in (make(), make(license="free")):
        with CaptureQueriesContext(connection) as statements:
            checks(row, TERMS)
        asked.append(len(statements))
    assert asked[0] == asked[1] + 1


@pytest.mark.django_db
def test_only_changed_verdicts_are_written():
    make()
    assert evaluate_rows(Subscription.objects.all(), TERMS) == 1
    assert evaluate_rows(Subscription.objects.all(), TERMS) == 0


@pytest.mark.django_db
def test_terms_survive_freezing():
    assert Terms.from_json(TERMS.to_json()) == TERMS


moments = st.none() | st.floats(0, 500).map(days_ago)


class ExplanationAgrees(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(
        st.booleans(),
        st.sampled_from(["full", "advanced", "free", "unknown", ""]),
        moments,
        moments,
        st.booleans(),
        moments,
    )
    def test_the_clause_that_fails_is_the_verdict(self, active, license, assigned, activity, reclaimable, gone):
        row = make(
            active=active,
            license=license,
            license_assigned_at=assigned,
            last_activity_at=activity,
            reclaimable=reclaimable,
            gone_at=gone,
        )

        verdict = verdict_of(row, TERMS)
        found = checks(row, TERMS)

        assert [check.passed for check in found].count(False) == (0 if verdict == Verdict.CANDIDATE else 1)
        assert explain(row, TERMS, verdict=verdict)
