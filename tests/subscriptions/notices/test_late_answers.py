"""An answer counts until the send, and not a moment longer."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from subscriptions import sweep
from subscriptions.approvals import decide
from subscriptions.approvals.closing import drop_by_licensehub, expire_requests
from subscriptions.errors import NotActionable
from subscriptions.models import Answer, Reclaim, ReclaimRule, RequestedRemoval
from subscriptions.models.reclaims.request import RequestedRemovalQuerySet
from subscriptions.notices import answers
from subscriptions.reclaims import engine
from subscriptions.reclaims.engine import reclaim_due
from tests.support.people.notices import Asking, facts, text_of

# --- Until the send ---------------------------------------------------------------------------------------------------


@pytest.fixture
def approved(asking: Asking, one_asked, bob) -> RequestedRemoval:
    """Released, approved, and not yet sent."""
    asking.says(one_asked, "release")
    sweep.repair()
    decide.approve(one_asked.request, actor=bob)
    return one_asked


def test_a_late_keep_settles_what_waits(asking: Asking, approved, client):
    assert "is about to be taken back" in text_of(client.get(asking.link(approved)))

    asking.says(approved, "keep")

    item = Reclaim.objects.get()
    assert item.state == "skipped"
    item.removal.candidate.refresh_from_db()
    assert item.removal.candidate.close_reason == "kept_by_user"
    assert item.subscription.cooldown_until > timezone.now()
    assert reclaim_due(asking.world.profile).reclaimed == 0
    assert asking.world.deactivated_by_us() == []
    assert "You keep your Miro license" in text_of(client.get(asking.link(approved)))


def test_a_keep_between_claim_and_send_stops_the_send(asking: Asking, approved, monkeypatch):
    commit = engine.commit_intent

    def late(item, *, rolling):
        asking.says(approved, "keep")
        return commit(item, rolling=rolling)

    monkeypatch.setattr(engine, "commit_intent", late)
    assert reclaim_due(asking.world.profile).held == 1
    monkeypatch.setattr(engine, "commit_intent", commit)
    Reclaim.objects.update(not_before=None)

    assert reclaim_due(asking.world.profile).skipped == 1
    assert asking.world.deactivated_by_us() == []
    approved.candidate.refresh_from_db()
    assert approved.candidate.close_reason == "kept_by_user"


def test_the_control_an_answer_that_the_intent_does_not_look_at_comes_too_late(asking: Asking, approved, monkeypatch):
    commit = engine.commit_intent

    def late(item, *, rolling):
        asking.says(approved, "keep")
        return commit(item, rolling=rolling)

    monkeypatch.setattr(engine, "commit_intent", late)
    monkeypatch.setattr(RequestedRemovalQuerySet, "without_late_keep", lambda people: people)

    assert reclaim_due(asking.world.profile).reclaimed == 1


def test_a_keep_while_another_process_claims_is_not_lost(asking: Asking, approved, monkeypatch):
    """The item was read as queued, and is claimed when it should be settled."""
    settle = answers.mark_unsent

    def late(item, decision):
        engine.claim(asking.world.profile)
        settle(item, decision)

    monkeypatch.setattr(answers, "mark_unsent", late)
    asking.says(approved, "keep")

    approved.refresh_from_db()
    assert approved.answer == "keep"
    assert Reclaim.objects.get().state == "claimed"
    assert engine.commit_intent(Reclaim.objects.get(), rolling=1000) is False


def test_a_late_keep_counts_though_this_clock_is_behind(asking: Asking, approved):
    with time_machine.travel(timezone.now() - timedelta(minutes=5), tick=True):
        answers.answer(approved, Answer.KEEP)

    assert Reclaim.objects.get().state == "skipped"


def test_after_the_send_the_page_says_what_happened_and_whom_to_ask(asking: Asking, approved, client):
    path = asking.link(approved)
    assert reclaim_due(asking.world.profile).reclaimed == 1
    before = facts()

    page = client.get(path)
    assert "Your Miro license was taken back" in text_of(page)
    assert "Write to IT Asset Management" in text_of(page)
    assert "<button" not in page.content.decode()
    answered = client.post(path, {"answer": "keep"})
    assert answered.status_code == 409
    assert "cannot be answered any more" in text_of(answered)
    assert facts() == before


def test_while_it_is_being_sent_it_is_too_late(asking: Asking, approved, client):
    [item] = engine.claim(asking.world.profile)
    assert engine.commit_intent(item, rolling=1000)

    assert "is being taken back" in text_of(client.get(asking.link(approved)))
    with pytest.raises(NotActionable):
        answers.answer(approved, Answer.KEEP)
    approved.refresh_from_db()
    assert approved.answer == "release"


def test_a_wish_that_the_approver_knew_is_decided(asking: Asking, one_asked, bob, client):
    ReclaimRule.objects.update(keep_means="ask")
    asking.says(one_asked, "keep")
    sweep.repair()
    decide.approve(one_asked.request, actor=bob, comment="The project ended")

    page = client.get(asking.link(one_asked))
    assert "a colleague decided to take it back" in text_of(page)
    for said in ("release", "keep"):
        assert client.post(asking.link(one_asked), {"answer": said}).status_code == 409
    assert reclaim_due(asking.world.profile).reclaimed == 1


def test_questions_that_are_over_say_so(asking: Asking, one_asked, client):
    drop_by_licensehub(one_asked, reason="Left the project")
    page = client.get(asking.link(one_asked))
    assert "nothing has changed" in text_of(page)
    assert client.post(asking.link(one_asked), {"answer": "keep"}).status_code == 409


@pytest.mark.parametrize("change", [{"dropped_at": timezone.now()}, {"answer": "release"}], ids=["dropped", "answered"])
def test_an_answer_to_what_changes_in_this_moment_is_refused(one_asked, monkeypatch, change):
    """The UPDATE that notes the answer asks again whether it is the person who was read before."""

    def changed_meanwhile(person, given):
        RequestedRemoval.objects.filter(pk=person.pk).update(**change)

    monkeypatch.setattr(answers, "_refuse_endless_changes", changed_meanwhile)
    with pytest.raises(NotActionable, match="has just changed"):
        answers.answer(one_asked, Answer.KEEP)

    one_asked.refresh_from_db()
    assert (one_asked.answer, one_asked.answered_at, one_asked.dropped_at) == ("", None, None)


def test_an_expired_request_is_over(asking: Asking, one_asked, client):
    asking.says(one_asked, "release")
    sweep.repair()
    with time_machine.travel(timezone.now() + timedelta(days=4), tick=True):
        expire_requests()
        assert "nothing has changed" in text_of(client.get(asking.link(one_asked)))
        assert client.post(asking.link(one_asked), {"answer": "keep"}).status_code == 409


def test_a_late_keep_before_the_decision_counts(asking: Asking, one_asked, bob):
    """The days are over, the request is open, and nobody has decided."""
    with time_machine.travel(timezone.now() + timedelta(days=8, minutes=1), tick=True):
        sweep.repair()
        one_asked.request.refresh_from_db()
        assert one_asked.request.state == "open"
        assert "The time to answer is over" in text_of(Client().get(asking.link(one_asked)))
        asking.says(one_asked, "keep")

        one_asked.candidate.refresh_from_db()
        assert one_asked.candidate.close_reason == "kept_by_user"
        with pytest.raises(NotActionable):
            decide.approve(one_asked.request, actor=bob)
