"""*Restore* in History: one by oneself, several with a second person, and the record of both."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from integrations.connectors.contract import Receipt
from integrations.connectors.miro.texts import TEXTS
from subscriptions.approvals import decide
from subscriptions.models import Reclaim, ReclaimRequest, Subscription
from subscriptions.reclaims import outcomes, restores
from subscriptions.reclaims.engine import claim, commit_intent
from tests.support.data import cached_world
from tests.support.people.organization import page, said, seen
from tests.support.web.pages import text_of

LIST = "/admin/subscriptions/reclaim/"


def send(organization, direction: str, **words) -> list[Reclaim]:
    """Settle what is queued in this direction, as if Miro had done it."""
    items = claim(organization.profile, direction=direction)
    for item in items:
        assert commit_intent(item, rolling=100)
        item.refresh_from_db()
        outcomes.note_receipt(item, Receipt(200, direction == "reactivate", "req-1"))
        item.refresh_from_db()
        outcomes.mark_done(item, **words)
    return items


@pytest.fixture
def reclaimed(organization, alice, bob, request) -> list[Reclaim]:
    def make() -> None:
        decide.approve(organization.ask(alice, count=3), actor=bob)
        send(organization, "deactivate")

    cached_world.current().scene(request, make)
    return list(Reclaim.objects.order_by("pk"))


@pytest.fixture
def restored(organization, reclaimed, alice) -> Reclaim:
    item = restores.restore(reclaimed[0], actor=alice, reason="Back <b>from leave</b>")
    send(
        organization,
        "reactivate",
        came_back="Active again. License is Free now, was Full. Role is Member, as before.",
    )
    return item


def test_the_confirming_page_says_what_comes_back_and_what_cannot(reclaimed, alice, as_user):
    client = as_user(alice)
    record = page("reclaim", "change", reclaimed[0].pk)
    assert page("reclaim", "restore", reclaimed[0].pk) in text_of(client.get(record))

    shown = text_of(client.get(page("reclaim", "restore", reclaimed[0].pk)))

    assert "Restore 1 seat" in shown and "was Full, Member" in shown
    for sentence in (*TEXTS.comes_back, *restores.after_each_restore(), *TEXTS.cannot_come_back):
        assert sentence in shown
    assert not Reclaim.objects.filter(direction="reactivate").exists(), "a GET does nothing"


def test_one_seat(reclaimed, alice, as_user, workers_called):
    answer = as_user(alice).post(page("reclaim", "restore", reclaimed[0].pk), {"reason": "Back from leave"})

    made = Reclaim.objects.get(direction="reactivate")
    assert answer.url == page("reclaim", "change", made.pk)
    assert "is queued" in said(answer)
    assert made.removal.request.reason == "Back from leave" and made.removal.restores == reclaimed[0]
    assert workers_called == [made.profile_id]


def test_refusals_are_sentences(reclaimed, alice, as_user, workers_called):
    client = as_user(alice)
    address = page("reclaim", "restore", reclaimed[0].pk)
    assert "few words" in said(client.post(address, {"reason": " "}))
    client.post(address, {"reason": "Back"})

    assert "under way already" in said(client.post(address, {"reason": "Back"}))
    answer = client.get(address)
    assert answer.url == page("reclaim", "change", reclaimed[0].pk) and "under way already" in said(answer)
    assert Reclaim.objects.filter(direction="reactivate").count() == len(workers_called) == 1


@pytest.mark.parametrize("who", ["bob", "carol", "dave"])
def test_only_for_those_who_may_restore(request, reclaimed, as_user, who):
    client = as_user(request.getfixturevalue(who))

    assert client.get(page("reclaim", "restore", reclaimed[0].pk)).status_code == 403
    assert client.post(page("reclaim", "restore", reclaimed[0].pk), {"reason": "Mine"}).status_code == 403
    client.post(LIST, {"action": "request_restore", "_selected_action": [item.pk for item in reclaimed], "index": 0})
    status = 403 if who == "dave" else 200
    assert "restore/" not in text_of(client.get(page("reclaim", "change", reclaimed[0].pk)), status=status)
    assert "Request restore of" not in text_of(client.get(LIST), status=status)
    assert not ReclaimRequest.objects.filter(direction="reactivate").exists()


def test_several_need_a_second_person(organization, reclaimed, alice, bob, as_user, workers_called):
    client = as_user(alice)
    chosen = {"action": "request_restore", "index": 0, "_selected_action": [item.pk for item in reclaimed]}
    assert 'data-many="Request restore of {count} seats"' in text_of(client.get(LIST))

    confirming = text_of(client.post(LIST, chosen))
    assert "Request restore of 3 seats" in confirming and TEXTS.cannot_come_back[0] in confirming
    assert not ReclaimRequest.objects.filter(direction="reactivate").exists()
    answer = client.post(LIST, {**chosen, "confirmed": "3", "reason": "The team is back"})

    made = ReclaimRequest.objects.get(direction="reactivate")
    assert answer.url == page("reclaimrequest", "change", made.pk) and "asks to restore 3 seats" in said(answer)
    shown = text_of(client.get(answer.url))
    assert "You made this request" in shown and "The team is back" in shown
    assert "Another person has to decide" in said(client.post(page("reclaimrequest", "approve", made.pk), seen(made)))
    assert workers_called == []

    deciding = as_user(bob)
    shown = text_of(deciding.get(answer.url))
    assert "Restore 3 seats" in shown and "Approve 3 seats" in shown and TEXTS.comes_back[0] in shown
    assert "no longer sign in" not in shown, "that is what a reclaim does"
    told = said(deciding.post(page("reclaimrequest", "approve", made.pk), {"comment": "Fine", **seen(made)}))
    assert "3 seats will be restored" in told and workers_called == [organization.profile.pk]
    send(organization, "reactivate")
    assert "read back active" in text_of(deciding.get(answer.url))


def test_one_of_several_is_done_by_oneself(reclaimed, alice, as_user):
    chosen = {"action": "request_restore", "index": 0, "_selected_action": [reclaimed[0].pk]}

    answer = as_user(alice).post(LIST, chosen)

    assert answer.url == page("reclaim", "restore", reclaimed[0].pk)


def test_who_cannot_be_restored_is_left_out_and_named(reclaimed, restored, alice, as_user):
    Subscription.objects.filter(pk=reclaimed[1].subscription_id).update(active=True)
    client = as_user(alice)
    everybody = [item.pk for item in Reclaim.objects.all()]

    answer = client.post(LIST, {"action": "request_restore", "index": 0, "_selected_action": everybody})
    assert answer.url == page("reclaim", "restore", reclaimed[2].pk), "only one is left"
    Subscription.objects.filter(pk=reclaimed[2].subscription_id).update(active=True)
    told = said(client.post(LIST, {"action": "request_restore", "index": 0, "_selected_action": everybody}))

    named = ", ".join(str(item.subscription) for item in reclaimed[1:])
    assert f"2 people are left out ({named}): This person is active at Miro already" in told
    assert f"1 person is left out ({reclaimed[0].subscription}): This reclaim is restored" in told


def test_the_requester_s_own_seat_is_left_out_and_the_others_are_requested(reclaimed, alice, as_user):
    Subscription.objects.filter(pk=reclaimed[0].subscription_id).update(email=alice.email)
    chosen = {"action": "request_restore", "index": 0, "_selected_action": [item.pk for item in reclaimed]}

    told = said(as_user(alice).post(LIST, {**chosen, "confirmed": "2", "reason": "Back"}))

    assert "asks to restore 2 seats" in told
    assert f"1 person is left out ({reclaimed[0].subscription}): Your own seat" in told


def test_the_list_may_change_before_it_is_confirmed(reclaimed, alice, as_user):
    chosen = {"action": "request_restore", "index": 0, "_selected_action": [item.pk for item in reclaimed]}
    Subscription.objects.filter(pk=reclaimed[0].subscription_id).update(active=True)

    answer = as_user(alice).post(LIST, {**chosen, "confirmed": "3", "reason": "Back"})

    assert "2 of these can be restored now" in said(answer) or "2 of these can be restored now" in text_of(answer)
    assert not ReclaimRequest.objects.filter(direction="reactivate").exists()


def test_a_selection_that_makes_no_sense(reclaimed, alice, as_user):
    answer = as_user(alice).post(LIST, {"action": "request_restore", "index": 0, "_selected_action": ["x; --"]})

    assert "is not valid" in said(answer)


@pytest.mark.parametrize("end", ["reject", "withdraw", "drop"])
def test_what_ends_without_a_restore_says_so(reclaimed, alice, bob, as_user, end):
    made = restores.request_restore(Reclaim.objects.all(), actor=alice, reason="Back")
    if end == "reject":
        reject = page("reclaimrequest", "reject", made.pk)
        assert "3 people stay deactivated." in text_of(as_user(bob).post(reject))
        told = said(as_user(bob).post(reject, {"kept_as": "sent_back", "comment": "They left"}))
        assert "3 people stay deactivated" in told
    elif end == "withdraw":
        assert "stay deactivated" in said(as_user(alice).post(page("reclaimrequest", "withdraw", made.pk)))
    else:
        dropping = page("reclaimrequest", "drop", made.pk, made.removals.first().pk)
        why = {"kept_as": "sent_back", "comment": "They left"}
        assert "the seat stays reclaimed" in said(as_user(bob).post(dropping, why))
    assert "Restore" in text_of(as_user(bob).get(page("reclaimrequest", "change", made.pk)))


def test_the_record_says_what_came_back_and_links_both_ways(reclaimed, restored, carol, as_user):
    client = as_user(carol)
    of_restore = text_of(client.get(page("reclaim", "change", restored.pk)))
    of_reclaim = text_of(client.get(page("reclaim", "change", reclaimed[0].pk)))

    assert "License is Free now, was Full." in of_restore and TEXTS.cannot_come_back[0] in of_restore
    assert "Back &lt;b&gt;from leave&lt;/b&gt;" in of_restore and "<b>from leave" not in of_restore
    assert page("reclaim", "change", reclaimed[0].pk) in of_restore and "Activated again" in of_restore
    assert page("reclaim", "change", restored.pk) in of_reclaim and "Restored" in of_reclaim
    assert "no approval needed for one seat" in of_restore
    assert "Seat restored" in of_restore, "from the audit log"


def test_the_reclaim_says_why_it_is_not_restored_again(reclaimed, restored, alice, as_user):
    shown = text_of(as_user(alice).get(page("reclaim", "change", reclaimed[0].pk)))

    assert "This reclaim is restored already." in shown
    assert page("reclaim", "restore", reclaimed[0].pk) not in shown


def test_found_by_direction_and_approver(reclaimed, restored, bob, carol, as_user):
    client = as_user(carol)
    name = restored.subscription.name
    other = reclaimed[1].subscription.name

    only_restores = text_of(client.get(f"{LIST}?direction__exact=reactivate"))
    assert name in only_restores and other not in only_restores
    assert "Asked for it back: “Back &lt;b&gt;" in only_restores and "no approval needed" in only_restores
    assert other in text_of(client.get(f"{LIST}?direction__exact=deactivate"))
    assert other not in text_of(client.get(f"{LIST}?approver=nobody"))
    assert other in text_of(client.get(f"{LIST}?approver={bob.pk}"))
    assert b"Restore" in b"".join(client.get(f"{LIST}export/").streaming_content)


def test_the_list_asks_no_question_per_row(
    organization, reclaimed, restored, alice, as_user, django_assert_max_num_queries
):
    client = as_user(alice)
    client.get(LIST)

    # One of them reads the audit for all rows of the page.
    with django_assert_max_num_queries(15):
        assert "Restore 1 seat" in text_of(client.get(LIST))


def test_the_seat_of_the_reader_herself(reclaimed, alice, as_user):
    User.objects.filter(pk=alice.pk).update(email=reclaimed[0].removal.evidence["email"])

    answer = as_user(alice).post(page("reclaim", "restore", reclaimed[0].pk), {"reason": "Mine"})

    assert "Your own seat" in said(answer)
    assert not Reclaim.objects.filter(direction="reactivate").exists()
