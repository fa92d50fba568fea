"""A person who is taken back in had the whole time to answer: otherwise silence would take the seat."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from subscriptions.approvals import closing, decide, undo
from subscriptions.approvals.collecting import close_collections
from subscriptions.errors import NotActionable
from subscriptions.models import Notice, Protection, ReclaimRequest, ReclaimRule, RemovalCandidate, RequestedRemoval
from subscriptions.rules.protections import ProtectionInput, protect_people
from tests.support.people.keeping import PROTECT


def again(request: ReclaimRequest) -> ReclaimRequest:
    return ReclaimRequest.objects.get(pk=request.pk)


def test_somebody_who_was_not_asked_is_not_taken_back_in(organization, alice, bob):
    """Their silence would count although they had no chance to answer."""
    ReclaimRule.objects.update(notify_user=True)
    asked = organization.ask(alice, count=3)
    sent, unasked, _ = asked.removals.order_by("pk")
    Notice.objects.exclude(removal=unasked).update(state="sent", sent_at=timezone.now())
    for removal in (sent, unasked):
        closing.drop(removal, actor=alice, reason="On leave")
    Notice.objects.filter(removal=unasked).update(state="canceled")
    close_collections()
    assert again(asked).state == "collecting"
    with pytest.raises(NotActionable, match="was not asked"):
        undo.take_back_in(unasked, actor=alice, decides=False)

    undo.take_back_in(sent, actor=alice, decides=False)
    assert RemovalCandidate.objects.get(pk=sent.candidate_id).state == "awaiting_user"

    closing.drop(RequestedRemoval.objects.get(pk=sent.pk), actor=alice, reason="On leave")
    ReclaimRequest.objects.filter(pk=asked.pk).update(answers_until=timezone.now() + timedelta(seconds=-1))
    RequestedRemoval.objects.filter(pk=sent.pk).update(dropped_at=timezone.now() - timedelta(days=1))
    close_collections()
    assert again(asked).state == "open"
    with pytest.raises(NotActionable, match="not for the whole time"):
        undo.take_back_in(sent, actor=alice, decides=False)


def test_somebody_who_could_not_answer_for_a_while_is_not_taken_back_in(organization, alice):
    """The link of a dropped person takes no answer, and nobody is reminded."""
    ReclaimRule.objects.update(notify_user=True)
    asked = organization.ask(alice, count=2)
    Notice.objects.update(state="sent", sent_at=timezone.now())
    close_collections()
    assert again(asked).state == "collecting" and Notice.objects.filter(kind="reminder").exists()
    person = asked.removals.order_by("pk")[0]
    closing.drop(person, actor=alice, reason="On leave")
    RequestedRemoval.objects.filter(pk=person.pk).update(dropped_at=timezone.now() - timedelta(days=10))
    with pytest.raises(NotActionable, match="not for the whole time"):
        undo.take_back_in(person, actor=alice, decides=False)

    # A drop of a moment ago shortens nobody's time, and a person who released the seat has answered.
    RequestedRemoval.objects.filter(pk=person.pk).update(dropped_at=timezone.now() - timedelta(minutes=5))
    undo.take_back_in(person, actor=alice, decides=False)
    closing.drop(RequestedRemoval.objects.get(pk=person.pk), actor=alice, reason="On leave")
    long_ago = timezone.now() - timedelta(days=10)
    RequestedRemoval.objects.filter(pk=person.pk).update(dropped_at=long_ago, answer="release", answered_at=long_ago)
    undo.take_back_in(person, actor=alice, decides=False)
    assert RemovalCandidate.objects.get(pk=person.candidate_id).state == "awaiting_user"


@pytest.mark.parametrize("state", ["due", "canceled"])
def test_a_question_that_was_never_sent_is_no_silence(organization, alice, state):
    """The others have answered, so the request opens although this mail still waits to be sent."""
    ReclaimRule.objects.update(notify_user=True)
    asked = organization.ask(alice, count=2)
    person, other = asked.removals.order_by("pk")
    closing.drop(person, actor=alice, reason="On leave")
    Notice.objects.filter(removal=other).update(state="sent", sent_at=timezone.now())
    Notice.objects.filter(removal=person).update(state=state)
    RequestedRemoval.objects.filter(pk=other.pk).update(answer="release", answered_at=timezone.now())
    ReclaimRequest.objects.filter(pk=asked.pk).update(answers_until=timezone.now() - timedelta(days=1))
    close_collections()
    assert again(asked).state == "open"
    with pytest.raises(NotActionable, match="was not asked"):
        undo.take_back_in(person, actor=alice, decides=False)


def test_a_protection_of_a_colleague_stays_when_the_rejection_is_taken_back(organization, alice, bob, carol):
    asked = organization.ask(alice, count=2)
    decide.reject(asked, actor=bob, comment="No", keep=PROTECT)
    row = asked.removals.order_by("pk")[0].candidate.subscription
    effect = protect_people(asked.profile, [row], ProtectionInput("On leave", "Petra", None), actor=carol)
    assert (len(effect.made), effect.already) == (1, 0)

    assert undo.take_back_rejection(asked, actor=bob) == 1

    [left] = Protection.objects.in_force()
    assert (left.external_id, left.reason) == (row.external_id, "On leave")
    assert asked.removals.not_dropped().count() == 1


def test_a_bounced_question_was_not_asked(organization, alice):
    ReclaimRule.objects.update(notify_user=True)
    asked = organization.ask(alice, count=2)
    dropped = asked.removals.order_by("pk").first()
    Notice.objects.update(state="sent", sent_at=timezone.now())
    close_collections()
    closing.drop(dropped, actor=alice, reason="On leave")
    ReclaimRequest.objects.filter(pk=asked.pk).update(answers_until=timezone.now() + timedelta(days=7))
    Notice.objects.filter(removal=dropped).update(bounced_at=timezone.now())
    with pytest.raises(NotActionable, match="was not asked"):
        undo.take_back_in(dropped, actor=alice, decides=False)


def test_who_released_the_seat_is_taken_back_in_whenever_dropped(organization, alice):
    ReclaimRule.objects.update(notify_user=True)
    asked = organization.ask(alice, count=2)
    dropped = asked.removals.order_by("pk").first()
    Notice.objects.update(state="sent", sent_at=timezone.now())
    closing.drop(dropped, actor=alice, reason="On leave")
    past = timezone.now() - timedelta(seconds=1)
    ReclaimRequest.objects.filter(pk=asked.pk).update(answers_until=past)
    close_collections()
    assert again(asked).state == "open"
    values = {"dropped_at": past - timedelta(days=1), "answer": "release", "answered_at": past - timedelta(days=2)}
    RequestedRemoval.objects.filter(pk=dropped.pk).update(**values)

    undo.take_back_in(dropped, actor=alice, decides=False)
    assert RemovalCandidate.objects.get(pk=dropped.candidate_id).state == "awaiting_approval"


def test_a_notice_that_was_not_needed_is_needed_again(organization, alice):
    ReclaimRule.objects.update(notify_user=True)
    asked = organization.ask(alice, count=2)
    dropped = asked.removals.order_by("pk").first()
    closing.drop(dropped, actor=alice, reason="On leave")
    Notice.objects.filter(removal=dropped).update(state="canceled")
    undo.take_back_in(dropped, actor=alice, decides=False)
    assert set(Notice.objects.filter(removal=dropped).values_list("state", flat=True)) == {"due"}
