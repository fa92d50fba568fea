"""A rejection is taken back, and a dropped person is taken back in: nobody is approved by that, and nothing is sent."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from subscriptions.approvals import closing, decide, undo
from subscriptions.approvals.leaving import SEND_BACK, Keep
from subscriptions.approvals.request import request_reclaim
from subscriptions.candidates.withdraw import withdraw
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.errors import ConcernsYou, NotActionable, OverCap, OwnRequest, Refused
from subscriptions.models import (
    KeptAs,
    Protection,
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    RequestedRemoval,
    Subscription,
)
from tests.support.fixtures import actions, person
from tests.support.people.keeping import PROTECT, pause

CHOICES = (SEND_BACK, pause(), PROTECT)
NAMES = [keep.kept_as.value for keep in CHOICES]


def states(request: ReclaimRequest) -> set[tuple[str, str]]:
    """State and close reason of the candidates."""
    return set(RemovalCandidate.objects.filter(removals__request=request).values_list("state", "close_reason"))


def again(request: ReclaimRequest) -> ReclaimRequest:
    return ReclaimRequest.objects.get(pk=request.pk)


# --- What was chosen --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", CHOICES, ids=NAMES)
def test_a_rejection_does_what_was_chosen_and_can_be_taken_back(organization, alice, bob, keep):
    asked = organization.ask(alice)
    before = (asked.expires_at, asked.requested_by, asked.cap)
    people = Subscription.objects.filter(candidates__removals__request=asked)

    assert decide.reject(asked, actor=bob, comment="Quarter close.", keep=keep) == 3

    verdicts = set(people.values_list("evaluation__verdict", "cooldown_until", "cooldown_reason"))
    if keep.kept_as == KeptAs.SENT_BACK:
        assert states(asked) == {("ready", "")} and verdicts == {("candidate", None, "")}
    elif keep.kept_as == KeptAs.PAUSED:
        assert states(asked) == {("closed_skipped", "rejected")}
        assert verdicts == {("cooling_down", keep.until, f"{asked} was rejected: “Quarter close”")}
    else:
        assert states(asked) == {("closed_skipped", "rejected")} and {row[0] for row in verdicts} == {"protected"}
        made = Protection.objects.in_force()
        assert {(row.reason, row.owner, row.created_by, row.ends_at) for row in made} == {
            ("Quarter close.", "bob", bob, None)
        }
    told = AuditEvent.objects.get(action="request.rejected").data
    assert (told["kept_as"], told["people"]) == (keep.kept_as, 3)

    assert undo.take_back_rejection(asked, actor=bob) == 3

    found = again(asked)
    assert (found.state, found.decided_by, found.decided_at, found.comment, found.kept_as) == (
        "open",
        None,
        None,
        "",
        "",
    )
    assert (found.expires_at, found.requested_by, found.cap) == before
    assert states(asked) == {("awaiting_approval", "")}
    assert set(people.values_list("evaluation__verdict", "cooldown_until")) == {("candidate", None)}
    assert not Protection.objects.in_force().exists() and not Reclaim.objects.exists()
    assert actions().count("candidate.in_request_again") == 3
    told = AuditEvent.objects.get(action="request.rejection_taken_back").data
    assert (told["rejected_by"], told["comment"], told["people"], told["left"]) == (bob.pk, "Quarter close.", 3, 0)
    with pytest.raises(NotActionable, match="is not rejected"):
        undo.take_back_rejection(asked, actor=bob)
    assert decide.approve(again(asked), actor=bob) == 3


def test_what_cannot_be_chosen(organization, alice, bob):
    asked, now = organization.ask(alice), timezone.now()
    wrong = {
        Keep(KeptAs.PAUSED): "Choose the day",
        Keep(KeptAs.PAUSED, now): "not in the future",
        Keep(KeptAs.PROTECTED, now): "not in the future",
        Keep(KeptAs.PAUSED, now + timedelta(days=366)): "within 365 days",
    }
    for keep, sentence in wrong.items():
        with pytest.raises(Refused, match=sentence):
            decide.reject(asked, actor=bob, comment="No", keep=keep)
        with pytest.raises(Refused, match=sentence):
            closing.drop(asked.removals.first(), actor=bob, reason="No", keep=keep)
    with pytest.raises(Refused, match="few words"):
        closing.drop(asked.removals.first(), actor=bob, reason=" ")
    assert states(asked) == {("awaiting_approval", "")} and again(asked).state == "open"


def test_a_pause_does_not_shorten_a_longer_cool_down(organization, alice, bob):
    asked, until = organization.ask(alice, count=1), timezone.now() + timedelta(days=300)
    row = Subscription.objects.get(candidates__removals__request=asked)
    Subscription.objects.filter(pk=row.pk).update(cooldown_until=until, cooldown_reason="restored")
    decide.reject(asked, actor=bob, comment="No", keep=pause(30))

    row.refresh_from_db()
    assert (row.cooldown_until, row.cooldown_reason) == (until, "restored")
    with pytest.raises(NotActionable, match="nothing to take back"):
        undo.take_back_rejection(asked, actor=bob)
    row.refresh_from_db()
    assert row.cooldown_until == until and again(asked).state == "rejected"


# --- Who takes back a rejection, and when -----------------------------------------------------------------------------


def test_only_those_who_may_decide_take_a_rejection_back(organization, alice, bob):
    asked = organization.ask(alice)
    decide.reject(asked, actor=bob, comment="No", keep=PROTECT)
    eve, pat = person("eve", "Approver"), person("pat", "Approver")
    pat.email = asked.removals.first().evidence["email"]
    pat.save()
    with pytest.raises(OwnRequest):
        undo.take_back_rejection(asked, actor=alice)
    with pytest.raises(ConcernsYou):
        undo.take_back_rejection(asked, actor=pat)
    assert Protection.objects.in_force().count() == 3 and again(asked).state == "rejected"

    assert undo.take_back_rejection(asked, actor=eve) == 3
    with pytest.raises(OwnRequest):
        decide.approve(again(asked), actor=alice)


def test_it_is_no_way_around_expiry_caps_and_switches(organization, alice, bob):
    ReclaimRule.objects.update(batch_cap_people=2)
    asked = organization.ask(alice)
    decide.reject(asked, actor=bob, comment="No")
    type(organization.profile).objects.update(reclaim_enabled=False)
    with pytest.raises(Refused, match="off"):
        undo.take_back_rejection(asked, actor=bob)
    type(organization.profile).objects.update(reclaim_enabled=True)
    undo.take_back_rejection(asked, actor=bob)
    with pytest.raises(OverCap):
        decide.approve(again(asked), actor=bob)

    decide.reject(again(asked), actor=bob, comment="No", keep=pause())
    ReclaimRequest.objects.filter(pk=asked.pk).update(expires_at=timezone.now())
    with pytest.raises(NotActionable, match="expired meanwhile"):
        undo.take_back_rejection(asked, actor=bob)
    assert states(asked) == {("closed_skipped", "rejected")} and not Reclaim.objects.exists()


def test_people_who_were_requested_again_stay_where_they_are(organization, alice, bob):
    asked = organization.ask(alice)
    decide.reject(asked, actor=bob, comment="No")
    later = organization.ask(alice, count=1)
    with pytest.raises(NotActionable, match=f"{later} asks for some of these people"):
        undo.take_back_rejection(asked, actor=bob)

    closing.cancel(later, actor=alice)
    assert undo.take_back_rejection(asked, actor=bob) == 3


def test_people_who_are_no_candidates_any_more_leave_the_request(organization, alice, bob):
    """One is active again, one is protected by somebody else, one was let back in."""
    asked = organization.ask(alice, count=4)
    decide.reject(asked, actor=bob, comment="No", keep=pause())
    back, other, let_in, stays = (row.candidate.subscription_id for row in asked.removals.order_by("pk"))
    Subscription.objects.filter(pk=back).update(last_activity_at=timezone.now())
    Protection.objects.create(
        profile=organization.profile,
        value=Subscription.objects.get(pk=other).email,
        reason="On leave",
        owner="HR",
        created_by=alice,
    )
    until = timezone.now() + timedelta(days=30)
    Subscription.objects.filter(pk=let_in).update(cooldown_until=until, cooldown_reason="reactivated")

    assert undo.take_back_rejection(asked, actor=bob) == 1

    standing = asked.removals.not_dropped().get()
    assert standing.candidate.subscription_id == stays
    assert set(asked.removals.exclude(pk=standing.pk).values_list("dropped_by", "drop_reason")) == {
        (None, undo.NO_CANDIDATE)
    }
    assert Subscription.objects.get(pk=let_in).cooldown_until == until
    assert decide.approve(again(asked), actor=bob) == 1
    assert Reclaim.objects.get().subscription_id == stays


def test_an_approval_on_a_page_from_before_is_refused(organization, alice, bob):
    """The page of an approver shows a list without the person who is taken back in."""
    asked = organization.ask(alice)
    dropped = asked.removals.first()
    closing.drop(dropped, actor=alice, reason="On leave")
    seen = again(asked).revision
    undo.take_back_in(dropped, actor=alice, decides=False)

    with pytest.raises(NotActionable, match="has just changed"):
        decide.approve(again(asked), actor=bob, revision=seen)
    assert decide.approve(again(asked), actor=bob, revision=again(asked).revision) == 3


# --- A dropped person -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", CHOICES, ids=NAMES)
def test_a_dropped_person_is_taken_back_in(organization, alice, bob, keep):
    asked = organization.ask(alice)
    dropped = asked.removals.first()
    closing.drop(dropped, actor=bob, reason="On leave", keep=keep)
    others = asked.removals.not_dropped()
    assert {row.candidate.state for row in others} == {"awaiting_approval"} and others.count() == 2
    with pytest.raises(NotActionable, match="Another person dropped"):
        undo.take_back_in(dropped, actor=alice, decides=False)

    undo.take_back_in(dropped, actor=bob, decides=True)

    dropped.refresh_from_db()
    values = (dropped.dropped_at, dropped.dropped_by, dropped.drop_reason, dropped.kept_as)
    assert values == (None, None, "", "") and states(asked) == {("awaiting_approval", "")}
    row = dropped.candidate.subscription
    assert (row.evaluation.verdict, row.cooldown_until) == ("candidate", None)
    assert not Protection.objects.in_force().exists()
    assert actions()[-1] == "request.person_taken_back_in"
    with pytest.raises(NotActionable, match="is in R-"):
        undo.take_back_in(dropped, actor=bob, decides=True)
    assert decide.approve(again(asked), actor=bob) == 3


def test_a_dropped_person_stays_out(organization, alice, bob):
    """In another request, no candidate any more, dropped by LicenseHub, the actor, and in a request that expired."""
    asked = organization.ask(alice, count=4)
    one, gone, mine, back = asked.removals.order_by("pk")
    for removal in (one, gone, mine):
        closing.drop(removal, actor=bob, reason="On leave")
    other = request_reclaim(RemovalCandidate.objects.filter(pk=one.candidate_id), actor=alice)
    with pytest.raises(NotActionable, match=f"{other} asks for"):
        undo.take_back_in(one, actor=bob, decides=True)
    for removal in (gone, back):
        row = removal.candidate.subscription_id
        Subscription.objects.filter(pk=row).update(last_activity_at=timezone.now())
    with pytest.raises(NotActionable, match="is a candidate any more"):
        undo.take_back_in(gone, actor=bob, decides=True)
    gone.refresh_from_db()
    assert gone.dropped_at is not None
    evaluate_profile(organization.profile)
    withdraw(organization.profile.pk)
    with pytest.raises(NotActionable, match="LicenseHub dropped"):
        undo.take_back_in(back, actor=bob, decides=True)
    bob.email = mine.evidence["email"]
    bob.save()
    with pytest.raises(ConcernsYou):
        undo.take_back_in(mine, actor=bob, decides=True)

    eve = person("eve", "Approver")
    ReclaimRequest.objects.filter(pk=asked.pk).update(expires_at=timezone.now())
    with pytest.raises(NotActionable, match="no longer waits"):
        undo.take_back_in(mine, actor=eve, decides=True)
    assert RemovalCandidate.objects.get(pk=mine.candidate_id).state == "ready"


# --- At the same moment -----------------------------------------------------------------------------------------------


def at_once(*acts) -> list[str]:
    """The outcome of each act, in threads with connections of their own."""
    outcomes, barrier = [""] * len(acts), threading.Barrier(len(acts))

    def run(number: int) -> None:
        barrier.wait()
        try:
            acts[number]()
            outcomes[number] = "done"
        except (NotActionable, Refused) as error:
            outcomes[number] = type(error).__name__
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return outcomes


@pytest.fixture
def committed(real_transactions, organization):
    """The organization, where other connections see it."""
    return organization


def test_reject_and_approve_at_once(committed, alice, bob):
    eve, asked = person("eve", "Approver"), committed.ask(alice)

    def approve() -> None:
        decide.approve(again(asked), actor=bob)

    def reject() -> None:
        decide.reject(again(asked), actor=eve, comment="No")

    found = at_once(*[approve, reject] * 3)

    assert sorted(found) == ["NotActionable"] * 5 + ["done"]
    state = again(asked).state
    assert Reclaim.objects.count() == (3 if state == "approved" else 0)
    assert states(asked) == {("awaiting_revocation", "")} if state == "approved" else {("ready", "")}
    assert actions().count("request.approved") + actions().count("request.rejected") == 1


def test_take_back_twice_at_once(committed, alice, bob):
    asked = committed.ask(alice)
    decide.reject(asked, actor=bob, comment="No", keep=PROTECT)
    dropped = committed.ask(alice, count=2).removals.first()
    closing.drop(dropped, actor=alice, reason="On leave")

    found = at_once(*[lambda: undo.take_back_rejection(again(asked), actor=bob)] * 4)
    also = at_once(*[lambda: undo.take_back_in(again_person(dropped), actor=alice, decides=False)] * 4)

    assert sorted(found) == sorted(also) == ["NotActionable"] * 3 + ["done"]
    assert (again(asked).revision, again(dropped.request).revision) == (1, 1)
    assert actions().count("candidate.in_request_again") == 4


def again_person(removal: RequestedRemoval) -> RequestedRemoval:
    return RequestedRemoval.objects.select_related("request").get(pk=removal.pk)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_a_person_who_is_taken_back_in_while_the_request_expires_stays_out(committed, alice, monkeypatch):
    """The sweep ends the request between check and guard. Without the guard, the person would wait in it forever."""
    asked = committed.ask(alice)
    dropped = again_person(asked.removals.first())
    closing.drop(dropped, actor=alice, reason="On leave")
    outcome: list[str] = []
    locking = undo._lock_waiting

    def expire_first(request: ReclaimRequest) -> None:
        ended = threading.Thread(target=expire, args=(asked,))
        ended.start()
        ended.join(20)
        locking(request)

    monkeypatch.setattr(undo, "_lock_waiting", expire_first)
    outcome += at_once(lambda: undo.take_back_in(again_person(dropped), actor=alice, decides=False))

    assert outcome == ["NotActionable"] and again(asked).state == "expired"
    assert states(asked) == {("ready", "")}


def expire(asked: ReclaimRequest) -> None:
    ReclaimRequest.objects.filter(pk=asked.pk).update(expires_at=timezone.now())
    assert closing.expire_requests() == 1
    connection.close()


def test_an_expired_rejection_is_not_taken_back_in_the_same_moment(organization, alice, bob, monkeypatch):
    """The end comes between the check and the UPDATE, which asks again."""
    asked = organization.ask(alice)
    decide.reject(asked, actor=bob, comment="No", keep=pause())
    checked = undo.why_not_taken_back

    def then_expires(request: ReclaimRequest) -> str:
        sentence = checked(request)
        ReclaimRequest.objects.filter(pk=request.pk).update(expires_at=timezone.now())
        return sentence

    monkeypatch.setattr(undo, "why_not_taken_back", then_expires)
    with pytest.raises(NotActionable):
        undo.take_back_rejection(asked, actor=bob)
    assert states(asked) == {("closed_skipped", "rejected")}
