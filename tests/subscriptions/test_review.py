"""Decide on people who need review: keep, look up, or make a candidate. Each person alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.models import IntegrationProfile, ProfileState
from licensehub.audit.models import AuditEvent
from subscriptions import review
from subscriptions.accounts import persons
from subscriptions.accounts.own_seat import OWN_SEAT
from subscriptions.approvals import asking, closing, decide, undo
from subscriptions.approvals.deciders import deciders_of, undecidable
from subscriptions.approvals.request import file_automatically, request_reclaim
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.eligibility.sentences import on_day
from subscriptions.eligibility.terms import Terms, current_terms
from subscriptions.errors import OwnRequest, Refused
from subscriptions.models import ReclaimRequest, ReclaimRule, RemovalCandidate, Subscription, Verdict
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.rules import rules
from subscriptions.rules.evaluation import evaluate_again
from tests.support.fixtures import person
from tests.support.people.keeping import pause
from tests.support.people.profile_states import people
from tests.support.web.pages import text_of

WHY = "Left the company, the manager confirmed it."


def ago(days: float) -> str:
    return (timezone.now() - timedelta(days=days)).isoformat()


def reviewed(world, verdict: Verdict) -> list[Subscription]:
    rows = Subscription.objects.filter(profile=world.profile, evaluation__verdict=verdict)
    return [row for row in rows.order_by("pk") if not world.sandbox.world.teams_without_other_admin(row.external_id)]


def reviewed_in(profile: IntegrationProfile) -> list[Subscription]:
    rows = Subscription.objects.filter(profile=profile, evaluation__verdict=Verdict.NEVER_ACTIVE)
    return list(rows.select_related("profile", "evaluation").order_by("pk"))


def went_back(world, count: int, days: int | None) -> list[Subscription]:
    lately = timezone.now() - timedelta(days=40)
    active = Subscription.objects.filter(
        evaluation__verdict=Verdict.ACTIVE, sole_admin_of="", last_activity_at__gt=lately
    )
    rows = list(active.order_by("pk")[:count])
    for row in rows:
        world.miro.change(row.external_id, last_activity_at=days and ago(days))
    world.download()
    return rows


def fresh(row: Subscription) -> Subscription:
    return Subscription.objects.select_related("evaluation").get(pk=row.pk)


def test_kept_people_are_left_alone_for_some_days_and_the_others_are_named(world, alice):
    world.first_download()
    never = reviewed(world, Verdict.NEVER_ACTIVE)[0]
    active = Subscription.objects.filter(evaluation__verdict=Verdict.ACTIVE).first()

    decided = review.keep([never, active], days=30, reason="On parental leave until spring.", actor=alice)

    assert decided.done == [never]
    assert decided.refused == [(active, "needs no review any more: Active lately.")]
    assert fresh(never).verdict == Verdict.COOLING_DOWN
    assert 29 <= (fresh(never).cooldown_until - timezone.now()).days <= 30
    event = AuditEvent.objects.get(action="review.kept")
    assert (event.target_id, event.data["reason"]) == (never.pk, "On parental leave until spring.")
    [other] = reviewed(world, Verdict.NEVER_ACTIVE)[:1]
    review.keep([other], days=30, reason="Long. " * 80, actor=alice)
    assert len(fresh(other).cooldown_reason) == 200
    assert len(AuditEvent.objects.get(action="review.kept", target_id=other.pk).data["reason"]) == 479
    for wrong in ({"days": 0, "reason": WHY}, {"days": 366, "reason": WHY}, {"days": 9, "reason": "no"}):
        with pytest.raises(Refused):
            review.keep([never], actor=alice, **wrong)


def test_a_candidate_made_after_review_shows_the_reason_and_is_reclaimed(world, alice, bob, client):
    """Through a request and another person, as any other; the next downloads leave it as it is."""
    world.first_download()
    never = reviewed(world, Verdict.NEVER_ACTIVE)[0]

    decided = review.make_candidates([never], reason=WHY, actor=alice)

    assert (decided.done, decided.refused) == ([never], [])
    candidate = never.candidates.get()
    assert candidate.evidence["review"]["by"] == "alice"
    assert candidate.evidence["why"].endswith(
        f"Made a candidate by alice although a review was needed (Never active): “{WHY}”"
    )
    assert AuditEvent.objects.get(action="review.passed").data["candidate"] == candidate.pk
    world.download()
    assert (fresh(never).verdict, never.candidates.get().state) == (Verdict.CANDIDATE, "ready")
    request = request_reclaim(RemovalCandidate.objects.filter(pk=candidate.pk), actor=alice)
    client.force_login(bob)
    page = text_of(client.get(f"/admin/subscriptions/reclaimrequest/{request.pk}/change/"))
    assert f"Needed review: Never active. alice made this person a candidate: “{WHY}”" in page
    decide.approve(request, actor=bob)
    assert reclaim_due(world.profile).reclaimed == 1
    assert world.deactivated_by_us() == [never.external_id]


def test_whoever_made_a_candidate_after_review_does_not_approve_it_as_well(world, bob):
    """The schedule files the request, so the two decisions on this person would be of one person."""
    world.first_download()
    never = reviewed(world, Verdict.NEVER_ACTIVE)[0]
    ReclaimRule.objects.update(file_requests="automatic")
    RemovalCandidate.objects.filter(state="ready").update(state="closed_skipped")
    review.make_candidates([never], reason=WHY, actor=bob)
    request = file_automatically(world.profile)
    assert request.removals.get().candidate.subscription == never
    User.objects.filter(pk=person("bobby", "Approver").pk).update(email="Bob+second@northwind.example")
    second = User.objects.get(username="bobby")

    for same in (bob, second):
        with pytest.raises(OwnRequest, match="needed review"):
            decide.approve(request, actor=same)
    assert not deciders_of(request).filter(pk__in=[bob.pk, second.pk]).exists()
    assert undecidable(request.profile, [request]) == [request]
    ada = person("ada", "Approver")
    assert set(deciders_of(request)) == {ada}
    assert undecidable(request.profile, [request]) == []
    assert decide.approve(request, actor=ada) == 1


def test_a_review_is_shown_again_and_ends_with_a_decision_for_the_person(world, alice, bob):
    world.first_download()
    never = reviewed(world, Verdict.NEVER_ACTIVE)[0]
    review.make_candidates([never], reason=WHY, actor=alice)
    threshold = ReclaimRule.objects.get().last_activity_threshold
    for days in (3000, threshold):
        rules.change_rule(ReclaimRule.objects.get(), actor=alice, changed={"last_activity_threshold": days})
        evaluate_again(world.profile)
    assert never.candidates.get().state == "closed_skipped"
    world.download()

    again = never.candidates.get(state="ready")
    assert again.evidence["review"]["by_id"] == alice.pk and f"“{WHY}”" in again.evidence["why"]

    request = request_reclaim(RemovalCandidate.objects.filter(pk=again.pk), actor=alice)
    decide.reject(request, actor=bob, comment="On parental leave", keep=pause())
    assert fresh(never).verdict == Verdict.COOLING_DOWN
    Subscription.objects.filter(pk=never.pk).update(cooldown_until=timezone.now())
    world.download()
    assert fresh(never).verdict == Verdict.NEVER_ACTIVE
    assert not RemovalCandidate.objects.open().filter(subscription=never).exists()


def test_a_pause_that_is_taken_back_gives_the_decision_of_the_review_back(world, alice, bob):
    """The decision does not hold again if the facts have changed since: it was made on the former facts."""
    world.first_download()
    never, changed = reviewed(world, Verdict.NEVER_ACTIVE)[:2]
    usual = world.candidates(1).get().subscription
    review.make_candidates([never, changed], reason=WHY, actor=alice)
    made = RemovalCandidate.objects.filter(subscription__in=[never, changed, usual], state="ready")
    request = request_reclaim(made, actor=alice, reason="True-up")
    for leave, take_back in (
        (
            lambda: decide.reject(request, actor=bob, comment="Wait for the team lead.", keep=pause()),
            lambda: undo.take_back_rejection(request, actor=bob),
        ),
        (
            lambda: closing.drop(
                request.removals.get(candidate__subscription=never), actor=bob, reason="Wait", keep=pause()
            ),
            lambda: undo.take_back_in(request.removals.get(candidate__subscription=never), actor=bob, decides=True),
        ),
    ):
        leave()
        assert not fresh(never).review_passed and fresh(never).verdict == Verdict.COOLING_DOWN
        Subscription.objects.filter(pk=changed.pk).update(facts_at=timezone.now())
        take_back()
        assert fresh(never).review_passed and fresh(never).verdict == Verdict.CANDIDATE
        assert RemovalCandidate.objects.get(subscription=never).state == "awaiting_approval"
        assert (fresh(usual).review_passed, fresh(usual).verdict) == (False, Verdict.CANDIDATE), "nobody reviewed it"
    assert not fresh(changed).review_passed and fresh(changed).verdict == Verdict.NEVER_ACTIVE
    assert request.removals.get(candidate__subscription=changed).dropped_at
    assert decide.approve(ReclaimRequest.objects.get(pk=request.pk), actor=bob) == 2


def test_a_decision_ends_when_the_facts_change(world, alice, bob):
    """The same for a person who is approved already: the recheck decides again."""
    world.first_download()
    waiting, approved = rows = reviewed(world, Verdict.NEVER_ACTIVE)[:2]
    assert len(review.make_candidates(rows, reason=WHY, actor=alice).done) == 2
    decide.approve(request_reclaim(approved.candidates.all(), actor=alice), actor=bob)
    for row in rows:
        world.miro.change(row.external_id, license_assigned_at=ago(65))
    assert reclaim_due(world.profile).skipped == 1
    world.download()
    assert [fresh(row).verdict for row in rows] == [Verdict.NEVER_ACTIVE] * 2
    assert {row.candidates.get().close_reason for row in rows} == {"needs_review"}
    assert world.deactivated_by_us() == []
    assert waiting.candidates.get().state == "closed_skipped"


def test_a_person_whose_dates_went_back_becomes_a_candidate_by_the_vendors_date(world, alice):
    world.first_download()
    older, barely = went_back(world, 2, 205)
    world.miro.change(barely.external_id, last_activity_at=ago(50))
    [ended] = went_back(world, 1, None)
    world.download()
    assert {fresh(row).verdict for row in (older, barely, ended)} == {Verdict.DATES_WENT_BACK}

    decided = review.make_candidates([older, barely, ended], reason=WHY, actor=alice)

    assert decided.done == [older]
    known, older = older.last_activity_at, fresh(older)
    assert older.verdict == Verdict.CANDIDATE
    assert older.dates_went_back is False
    assert (timezone.now() - older.last_activity_at).days == 205
    assert older.recheck_snapshots.get().last_activity_at == known
    told = RemovalCandidate.objects.get(subscription=older).evidence["review"]
    assert told["needed"] == "Dates went back"
    assert f"We count {on_day(known)}" in told["why"], "what was known when it was decided"
    passed = AuditEvent.objects.get(action="review.passed")
    assert (passed.target_id, passed.data["needed_review"]) == (older.pk, "dates_went_back")
    reasons = {row.pk: reason for row, reason in decided.refused}
    assert "cannot be a candidate: Active lately" in reasons[barely.pk]
    assert "cannot be a candidate: Active lately" in reasons[ended.pk]
    assert fresh(ended).verdict == Verdict.DATES_WENT_BACK
    assert not fresh(ended).review_passed


def test_a_last_activity_that_cannot_be_right_makes_nobody_a_candidate(world, alice):
    rows = [member for member in world.sandbox.world.after("") if member.active and member.license == "full"][:2]
    world.miro.change(rows[0].id, last_activity_at="1970-01-01T00:00:00Z", license_assigned_at=ago(400))
    world.miro.change(rows[1].id, last_activity_at=ago(100), license_assigned_at="2099-01-01T00:00:00Z")
    world.download()
    activity, assigned = (Subscription.objects.get(external_id=member.id) for member in rows)
    decided = review.make_candidates([activity, assigned], reason=WHY, actor=alice)
    assert decided.done == [assigned]
    assert "cannot be right (last activity 1970-01-01)" in decided.refused[0][1]


def test_many_people_are_decided_with_as_many_statements_as_few(run, alice):
    people(run.profile, run, 60, idle=None)
    evaluate_profile(run.profile)
    never = reviewed_in(run.profile)
    decisions = (
        lambda rows: review.keep(rows, days=30, reason=WHY, actor=alice),
        lambda rows: review.make_candidates(rows, reason=WHY, actor=alice),
    )
    for decide_on in decisions:
        statements = []
        for count in (2, 25):
            chosen, never = never[:count], never[count:]
            with CaptureQueriesContext(connection) as made:
                assert decide_on(chosen).done == chosen
            statements.append(len(made))
        assert statements[1] <= statements[0] + 3, statements
    assert AuditEvent.objects.filter(action="review.kept").count() == 27
    passed = AuditEvent.objects.filter(action="review.passed").values_list("target_id", "data__candidate")
    assert len(passed) == 27 and dict(passed) == dict(
        RemovalCandidate.objects.filter(evidence__has_key="review").values_list("subscription", "pk")
    )


def test_a_look_up_reads_them_at_the_vendor_now(world, alice, monkeypatch):
    world.first_download()
    back, still = went_back(world, 2, 205)
    gone = reviewed(world, Verdict.NEVER_ACTIVE)[0]
    world.miro.change(back.external_id, last_activity_at="now")
    world.miro.change(gone.external_id, removed=True)

    decided = review.look_up([back, still, gone], actor=alice)

    assert decided.done == [back]
    assert fresh(back).verdict == Verdict.ACTIVE
    assert decided.refused == [(gone, "is unknown to Miro now; the next download decides.")]
    assert decided.still_in_review == [still]
    assert AuditEvent.objects.filter(action="review.looked_up").count() == 3
    asked = len(world.miro.requests())
    monkeypatch.setattr(review, "MAX_LOOKED_UP", 1)
    with pytest.raises(Refused, match="at most 1 people"):
        review.look_up([back, still], actor=alice)
    IntegrationProfile.objects.update(state=ProfileState.PAUSED)
    with pytest.raises(Refused, match="paused"):
        review.look_up([fresh(still)], actor=alice)
    assert len(world.miro.requests()) == asked
    IntegrationProfile.objects.update(state=ProfileState.PUBLISHED)
    world.miro.set_toggles(token_valid=False)
    with pytest.raises(Refused, match="Nothing was changed"):
        review.look_up([still], actor=alice)


def test_nobody_makes_a_candidate_of_themselves_and_no_switch_is_passed(world, alice):
    world.first_download()
    own, other = reviewed(world, Verdict.NEVER_ACTIVE)[:2]
    User.objects.filter(pk=alice.pk).update(email=own.email)
    alice.refresh_from_db()

    decided = review.make_candidates([own, other], reason=WHY, actor=alice)

    assert decided.done == [other]
    assert decided.refused == [(own, OWN_SEAT)]
    assert (fresh(own).verdict, fresh(own).review_passed) == (Verdict.NEVER_ACTIVE, False)
    # The vendor's id counts after the address has changed, too.
    persons.find_persons(world.profile)
    User.objects.filter(pk=alice.pk).update(email="alice.married@labs.example")
    alice.refresh_from_db()
    assert review.make_candidates([own], reason=WHY, actor=alice).refused == [(own, OWN_SEAT)]
    [paused] = went_back(world, 1, 205)
    world.download()
    IntegrationProfile.objects.update(state=ProfileState.PAUSED)
    assert review.make_candidates([paused], reason=WHY, actor=alice).refused == [(paused, "The profile is paused.")]
    assert set(RemovalCandidate.objects.filter(subscription__in=[own, paused])) == set()


def test_an_older_approval_is_not_revived_and_new_facts_end_the_act(world, alice, bob, monkeypatch):
    """The vendor's dates went back after the approval: only a new request may take this seat."""
    world.first_download()
    row = world.candidates(1).get().subscription
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    world.miro.change(row.external_id, last_activity_at=None)
    world.download()
    assert fresh(row).verdict == Verdict.DATES_WENT_BACK

    [(_, reason)] = review.make_candidates([row], reason=WHY, actor=alice).refused

    assert "a candidate already" in reason
    assert not fresh(row).review_passed
    assert reclaim_due(world.profile).skipped == 1
    assert world.deactivated_by_us() == []
    # A recheck may write facts while somebody decides.
    [older], never = went_back(world, 1, 205), reviewed(world, Verdict.NEVER_ACTIVE)[0]
    world.download()
    both = [fresh(never), fresh(older)]
    assert [row.verdict for row in both] == [Verdict.NEVER_ACTIVE, Verdict.DATES_WENT_BACK]

    def written_meanwhile(profile_id: int) -> Terms:
        Subscription.objects.filter(pk__in=[never.pk, older.pk]).update(facts_at=timezone.now())
        return current_terms(profile_id)

    monkeypatch.setattr(review, "current_terms", written_meanwhile)
    refused = review.make_candidates(both, reason=WHY, actor=alice).refused
    assert sorted(refused, key=lambda one: one[0].pk != never.pk) == [(row, "has changed meanwhile.") for row in both]
    for row in both:
        assert not row.candidates.exists() and not fresh(row).review_passed
    assert fresh(older).last_activity_at == both[1].last_activity_at


def test_nobody_becomes_a_candidate_who_cannot_be_asked_now(world, alice, monkeypatch):
    """More people than all requests of one click may have."""
    world.download()
    first, second = reviewed(world, Verdict.NEVER_ACTIVE)[:2]
    ReclaimRule.objects.update(notify_user=True, batch_cap_people=1)
    monkeypatch.setattr(asking, "MAX_REQUESTS", 1)

    decided, made = asking.ask([first, second], reason=WHY, actor=alice)

    assert (decided.done, len(made)) == ([first], 1)
    [(row, why)] = decided.refused
    assert row == second and "was not asked: at most 1" in why
    assert not second.candidates.exists()
