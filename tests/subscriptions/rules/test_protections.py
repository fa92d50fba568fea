"""Protections of each kind: from when to when, and what they do to candidates and approved items."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from subscriptions.candidates.propose import propose_candidates
from subscriptions.eligibility.clauses import checks, explain
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.eligibility.terms import current_terms
from subscriptions.eligibility.verdict_sql import verdict_of
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import Protection, ReclaimRule, Subscription, Verdict
from subscriptions.models.protection import count_people
from subscriptions.rules import protections
from subscriptions.rules.protections import ProtectionInput, create_protection, end_protection, protect_people
from subscriptions.sweep import repair
from tests.support.data.subscription_rows import TERMS, make

WISH = ProtectionInput(reason="On parental leave", owner="Petra Meyer")
SOON = timedelta(days=30)

pytestmark = pytest.mark.django_db


@pytest.fixture
def row() -> Subscription:
    found = make(email="Pat.Lee@Northwind.example")
    ReclaimRule.objects.create(profile=found.profile, licenses=[*found.profile.connector.default_licenses])
    evaluate_profile(found.profile)
    propose_candidates(found.changed_run)
    found.refresh_from_db()
    assert found.verdict == Verdict.CANDIDATE
    return found


COVERING = [
    ("person", "pat.lee@northwind.example", "pat.lee@northwind.example"),
    ("person", " PAT.LEE@northwind.EXAMPLE ", "pat.lee@northwind.example"),
    ("domain", "@Northwind.Example", "northwind.example"),
    ("license", "Full", "full"),
    ("role", "organization_internal_user", "organization_internal_user"),
]
OTHERS = [
    ("person", "pat@northwind.example"),
    ("domain", "wind.example"),
    ("domain", "sub.northwind.example"),
    ("license", "advanced"),
    ("role", "organization_internal_admin"),
]


@pytest.mark.parametrize(("kind", "given", "stored"), COVERING)
def test_each_kind_in_sql_and_in_words(row, alice, kind, given, stored):
    effect = create_protection(row.profile, kind, given, WISH, actor=alice)

    row.refresh_from_db()
    assert (effect.changed, effect.withdrawn) == (1, 1)
    assert [made.value for made in effect.made] == [stored]
    assert (row.verdict, verdict_of(row, TERMS)) == (Verdict.PROTECTED, Verdict.PROTECTED)
    sentence = explain(row, TERMS)
    assert "Protected by alice" in sentence and "without an end: “On parental leave”. Ask Petra Meyer." in sentence
    [decided] = [check for check in checks(row, TERMS) if check.passed is False]
    assert decided.label == "Nobody protected this person" and "without an end" in decided.fact
    assert count_people(effect.made) == {effect.made[0].pk: 1}


VALUES = {kind: stored for kind, _, stored in COVERING}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("other", VALUES)
def test_a_value_covers_as_its_own_kind_and_no_other(row, alice, kind, other):
    Protection.objects.create(
        profile=row.profile, kind=kind, value=VALUES[other], reason="Leave", owner="Petra", created_by=alice
    )
    assert verdict_of(row, TERMS) == (Verdict.PROTECTED if kind == other else Verdict.CANDIDATE)


@pytest.mark.parametrize(("kind", "value"), OTHERS)
def test_others_are_not_covered(row, alice, kind, value):
    effect = create_protection(row.profile, kind, value, WISH, actor=alice)

    assert (effect.changed, effect.withdrawn) == (0, 0)
    assert verdict_of(row, TERMS) == Verdict.CANDIDATE
    assert count_people(effect.made) == {effect.made[0].pk: 0}


def test_another_profile_is_not_covered(row, alice):
    create_protection(row.profile, "license", "full", WISH, actor=alice)
    other = type(row.profile).objects.create(name="Other", organization_id="2")
    Subscription.objects.filter(pk=row.pk).update(profile=other)

    assert verdict_of(row, TERMS) == Verdict.CANDIDATE


def test_the_sentence_names_no_protection_of_another_profile(row, alice):
    other = type(row.profile).objects.create(name="Other", organization_id="2", kind=row.profile.kind)
    create_protection(row.profile, "person", row.email, WISH, actor=alice)
    Protection.objects.create(
        profile=other, kind="license", value="full", reason="Renewal", owner="Omar", created_by=alice
    )

    row.refresh_from_db()
    assert explain(row, TERMS).endswith("“On parental leave”. Ask Petra Meyer.")


def test_protected_comes_before_and_cooling_down_after(row, alice):
    create_protection(row.profile, "license", "full", WISH, actor=alice)

    Subscription.objects.update(cooldown_until=timezone.now() + SOON)
    assert verdict_of(row, TERMS) == Verdict.PROTECTED
    Subscription.objects.update(reclaimable=False)
    assert verdict_of(row, TERMS) == Verdict.CANNOT_BE_REMOVED


def test_several_are_counted(row, alice):
    create_protection(row.profile, "person", row.email, WISH, actor=alice)
    create_protection(row.profile, "license", "full", ProtectionInput("Renewal", "Omar"), actor=alice)

    row.refresh_from_db()
    assert "1 more covers this person, too." in explain(row, TERMS)


def test_the_candidate_closes_and_the_audit_tells(row, alice):
    create_protection(row.profile, "person", row.email, WISH, actor=alice)

    candidate = row.candidates.get()
    assert (candidate.state, candidate.close_reason) == ("closed_skipped", "protected")
    event = AuditEvent.objects.get(action="protection.created")
    assert (event.actor_name, event.data["reason"]) == ("alice", "On parental leave")
    assert AuditEvent.objects.filter(action="candidate.withdrawn").exists()


def test_ended_by_hand_it_covers_nobody_and_ends_once(row, alice, bob):
    [made] = create_protection(row.profile, "person", row.email, WISH, actor=alice).made

    effect = end_protection(made, actor=bob)

    row.refresh_from_db()
    assert (effect.changed, row.verdict) == (1, Verdict.CANDIDATE)
    made.refresh_from_db()
    assert (made.ended_by, made.is_in_force) == (bob, False)
    assert not Protection.objects.covering(row).exists()
    assert AuditEvent.objects.get(action="protection.ended").actor_name == "bob"
    with pytest.raises(NotActionable, match="ended already"):
        end_protection(made, actor=bob)
    assert AuditEvent.objects.filter(action="protection.ended").count() == 1


def test_ended_by_time_it_is_noted_by_the_sweep(row, alice):
    [made] = create_protection(
        row.profile, "person", row.email, ProtectionInput("Leave", "Petra", timezone.now() + SOON), actor=alice
    ).made
    repair()
    assert Protection.objects.get().ended_at is None
    Protection.objects.update(ends_at=timezone.now() - timedelta(seconds=1))
    row.refresh_from_db()
    # Not noted yet, and no protection any more: the send asks the clause, not the stored verdict.
    assert (row.verdict, verdict_of(row, TERMS)) == (Verdict.PROTECTED, Verdict.CANDIDATE)
    assert "until a moment ago" in explain(row, TERMS)

    repair()
    repair()

    row.refresh_from_db()
    made.refresh_from_db()
    assert row.verdict == Verdict.CANDIDATE
    assert made.ended_at is not None and made.ended_by is None
    assert [event.actor_name for event in AuditEvent.objects.filter(action="protection.ended")] == ["LicenseHub"]


WRONG = [
    ("person", "pat", WISH, "value", "is no e-mail address"),
    ("person", "pät northwind.example", WISH, "value", "is no e-mail address"),
    ("person", "", WISH, "value", "Enter an e-mail address"),
    ("domain", "northwind", WISH, "value", "is no domain"),
    ("domain", "pat@northwind.example", WISH, "value", "is no domain"),
    ("license", "platinum", WISH, "value", "is no license type that Northwind knows"),
    ("license", "unknown", WISH, "value", "Known are: Full"),
    ("role", "boss", WISH, "value", "is no role"),
    ("person", "a@b.example", ProtectionInput(" ", "Petra"), "reason", "Enter a reason"),
    ("person", "a@b.example", ProtectionInput("Leave", ""), "owner", "Name a person"),
    ("person", "a@b.example", ProtectionInput("x" * 501, "Petra"), "reason", "At most 500"),
    (
        "person",
        "a@b.example",
        ProtectionInput("Leave", "Petra", timezone.now() - timedelta(days=1)),
        "ends_at",
        "in the past",
    ),
]


@pytest.mark.parametrize(("kind", "value", "wish", "field", "sentence"), WRONG)
def test_what_makes_no_sense_is_refused_beside_its_field(row, alice, kind, value, wish, field, sentence):
    with pytest.raises(ValidationError) as refused:
        create_protection(row.profile, kind, value, wish, actor=alice)

    assert sentence in refused.value.message_dict[field][0]
    assert not Protection.objects.exists()
    assert not AuditEvent.objects.filter(action="protection.created").exists()


def test_the_same_is_in_force_once(row, alice, bob):
    [made] = create_protection(row.profile, "person", row.email, WISH, actor=alice).made

    with pytest.raises(Refused, match="by alice, without an end"):
        create_protection(row.profile, "person", row.email.upper(), ProtectionInput("Other", "Omar"), actor=bob)
    end_protection(made, actor=alice)
    create_protection(row.profile, "person", row.email, ProtectionInput("Other", "Omar"), actor=bob)

    assert Protection.objects.in_force().count() == 1


def test_two_at_the_same_time_make_one(real_transactions, row, alice):
    def make_it(number: int) -> str:
        try:
            create_protection(row.profile, "person", row.email, WISH, actor=alice)
        except Refused:
            return "refused"
        finally:
            connection.close()
        return "made"

    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(make_it, range(6)))

    assert (told.count("made"), told.count("refused")) == (1, 5)
    assert Protection.objects.count() == 1


def test_many_people_at_once_each_with_one_of_their_own(row, alice):
    second = make(email="sam@northwind.example")
    create_protection(row.profile, "person", row.email, WISH, actor=alice)

    effect = protect_people(row.profile, [row, second], WISH, actor=alice)

    assert [made.value for made in effect.made] == ["sam@northwind.example"]
    with pytest.raises(Refused, match="All of these people are protected already"):
        protect_people(row.profile, [row, second], WISH, actor=alice)


def test_without_the_audit_there_is_no_protection(row, alice, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("The audit cannot be written.")

    monkeypatch.setattr(protections, "record_many", fail)
    with pytest.raises(RuntimeError):
        create_protection(row.profile, "person", row.email, WISH, actor=alice)

    assert not Protection.objects.exists()


def test_the_only_admin_of_a_team_is_protected_in_words_of_its_own(row):
    Subscription.objects.update(sole_admin_of="Design")
    row.refresh_from_db()

    assert verdict_of(row, current_terms(row.profile_id)) == Verdict.CANNOT_BE_REMOVED
    assert "the only admin of Design" in explain(row, TERMS, verdict=Verdict.CANNOT_BE_REMOVED)
    [decided] = [check for check in checks(row, TERMS) if check.passed is False]
    assert (decided.label, decided.fact) == ("Not the only admin of a team", "Design")
    evaluate_profile(row.profile)
    propose_candidates(row.changed_run)
    candidate = row.candidates.get()
    assert (candidate.state, candidate.close_reason) == ("closed_skipped", "protected")


@pytest.mark.parametrize(("checked", "fact", "passed"), [(True, "of no team", True), (False, "not checked", None)])
def test_what_was_not_checked_is_not_said_to_have_passed(row, checked, fact, passed):
    type(row.changed_run).objects.update(state="complete", team_admins_checked=checked)

    [found] = [check for check in checks(row, TERMS) if check.label == "Not the only admin of a team"]

    assert (found.fact, found.passed) == (fact, passed)
