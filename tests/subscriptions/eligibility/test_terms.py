"""Terms follow the columns of the rule: a field that decides is named once, in `Terms`."""

from __future__ import annotations

from dataclasses import fields, replace

from django.http import QueryDict

from subscriptions.admin.rules.rule_form import ReclaimRuleForm
from subscriptions.admin.rules.rule_preview import entered
from subscriptions.eligibility.terms import COLUMNS, Terms, terms_of
from subscriptions.models import ReclaimRule
from subscriptions.models.subscription import FREE, HELD, NEVER_ACTIVE, Subscription
from subscriptions.rules.rules import ASKING, CAPS, DOUBTS, FIELDS, TERMS
from tests.support.people.members import member

# Another valid value for each column that decides, as the form sends it, and as the terms hold it.
OTHER = {
    "last_activity_threshold": ("45", 45),
    "licenses": ("advanced", ("advanced",)),
    "new_joiner_grace": ("10", 10),
    "never_active": ("candidate", "candidate"),
    "admin_roles": ("leave", "leave"),
}


def test_each_field_of_the_rule_is_in_one_group():
    editable = {field.name for field in ReclaimRule._meta.get_fields() if getattr(field, "editable", False)}
    assert (
        sorted(FIELDS)
        == sorted([*TERMS, *ASKING, *CAPS, *DOUBTS])
        == sorted(editable - {"id", "profile", "changed_at"})
    )
    assert len(set(FIELDS)) == len(FIELDS)


def test_each_term_is_read_frozen_and_previewed(profile):
    rule = ReclaimRule.objects.get(profile=profile)
    saved = Terms.of(rule)
    assert set(COLUMNS.values()) == set(OTHER) == set(TERMS)
    for name, column in COLUMNS.items():
        sent, held = OTHER[column]
        assert getattr(saved, name) != held
        assert getattr(entered(saved, rule, QueryDict(f"{column}={sent}")), name) == held
        assert getattr(Terms.of(ReclaimRule(**{"licenses": [], column: held})), name) == held
        assert column in ReclaimRuleForm.base_fields
    assert Terms.from_json(saved.to_json()) == saved
    assert set(saved.to_json()) == {field.name for field in fields(Terms)}


def test_terms_that_an_earlier_version_froze_are_read():
    frozen = {"threshold": 45, "licenses": ["full"], "version": 3, "a_field_that_is_gone": True}
    default = Terms.of(ReclaimRule())
    assert Terms.from_json(frozen) == replace(default, threshold=45, licenses=("full",), version=3)


def test_a_wrong_entry_counts_as_saved(profile):
    rule = ReclaimRule.objects.get(profile=profile)
    saved = Terms.of(rule)
    wrong = "last_activity_threshold=0&licenses=nothing&new_joiner_grace=-1&never_active=maybe"
    assert entered(saved, rule, QueryDict(wrong)) == saved
    assert entered(saved, rule, QueryDict("last_activity_threshold=&new_joiner_grace=x")) == saved


def test_the_terms_of_a_profile_without_a_rule_are_the_defaults(profile):
    ReclaimRule.objects.all().delete()
    profile.refresh_from_db()
    default = ReclaimRule(licenses=list(profile.connector.default_licenses))
    assert terms_of(profile) == Terms.of(default)


def test_a_seat_is_held_or_free(profile):
    for number, (active, gone) in enumerate([(True, False), (False, False), (True, True), (False, True)]):
        row = member(profile, number, active=active)
        if gone:
            Subscription.objects.filter(pk=row.pk).update(gone_at=row.facts_at)
    held, free = Subscription.objects.filter(HELD), Subscription.objects.filter(FREE)
    assert (held.count(), free.count()) == (1, 3)
    assert not held.filter(FREE).exists()
    assert set(Subscription.objects.filter(NEVER_ACTIVE)) <= set(held) == set(Subscription.objects.held())
