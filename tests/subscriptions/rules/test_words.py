"""A license type that the connector does not know can be ruled, protected and filtered once somebody has it."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from subscriptions.models import ProtectionKind, Subscription, Verdict
from subscriptions.rules.evaluation import evaluate_again
from subscriptions.rules.protections import ProtectionInput, create_protection
from subscriptions.rules.rules import change_rule
from subscriptions.rules.words import seen_words, words_of
from tests.support.people.organization import page
from tests.support.web.pages import text_of

NEW = "platinum"


def test_a_new_license_type_is_among_all_choices(organization, as_user, alice):
    row = organization.hire(50, idle=200, license=NEW)
    organization.hire(51, idle=200, role="organization_trainee", license="unknown")
    organization.propose()
    assert Subscription.objects.get(pk=row.pk).verdict == Verdict.NOT_IN_SCOPE
    assert seen_words(ProtectionKind.LICENSE) == ["full", NEW]
    assert words_of(organization.profile, ProtectionKind.LICENSE)[NEW] == NEW
    assert "organization_trainee" in words_of(organization.profile, ProtectionKind.ROLE)
    client = as_user(alice)
    for address in (
        page("reclaimrule", "change", organization.rule.pk),
        page("protection", "add"),
        page("subscription", "changelist"),
        page("removalcandidate", "changelist"),
        page("persontoreview", "changelist"),
    ):
        assert NEW in text_of(client.get(address)), address

    change_rule(organization.rule, actor=alice, changed={"licenses": ["full", NEW]}, by_license={NEW: 300})
    evaluate_again(organization.profile)
    assert Subscription.objects.get(pk=row.pk).verdict == Verdict.ACTIVE
    change_rule(organization.rule, actor=alice, changed={}, by_license={NEW: 100})
    evaluate_again(organization.profile)
    assert Subscription.objects.get(pk=row.pk).verdict == Verdict.CANDIDATE
    wish = ProtectionInput("A trial of the new plan", "Ines Aubert", timezone.now() + timedelta(days=9))
    create_protection(organization.profile, ProtectionKind.LICENSE, NEW, wish, actor=alice)
    assert Subscription.objects.get(pk=row.pk).verdict == Verdict.PROTECTED
