"""The caps on the page of a request: why it cannot be approved, who raises its cap, and who would wait."""

from __future__ import annotations

import pytest

from subscriptions.models import (
    Reclaim,
    ReclaimRule,
)
from tests.support.people.organization import request_url, said, seen
from tests.support.web.pages import text_of

OVER = "is for 3 people, and at most 2 may be reclaimed at once"


def test_over_the_cap_the_button_is_off_and_says_why(capped, bob, as_user):
    shown = text_of(as_user(bob).get(request_url("change", capped)))

    assert OVER in shown and "<b>3</b> of 2 people" in shown and "Raise the cap to 3 people" in shown
    assert 'disabled aria-describedby="over-cap"' in shown
    assert OVER in said(as_user(bob).post(request_url("approve", capped), seen(capped)))
    assert not Reclaim.objects.exists()


def test_a_further_person_raises_the_cap_and_a_third_one_decides(capped, bob, erin, as_user):
    raised = as_user(bob).post(request_url("raise_cap", capped), {"cap_reason": "The contract ends"})

    assert f"The cap of {capped} is raised to 3 people" in said(raised)
    own = text_of(as_user(bob).get(request_url("change", capped)))
    assert "You raised the cap of this request" in own and "Approve 3 seats" not in own
    assert "You raised the cap" in said(as_user(bob).post(request_url("approve", capped), seen(capped)))
    shown = text_of(as_user(erin).get(request_url("change", capped)))
    assert "Cap raised to 3 by <strong>bob</strong>" in shown and "The contract ends" in shown
    assert "3 seats will be reclaimed" in said(as_user(erin).post(request_url("approve", capped), seen(capped)))


@pytest.mark.parametrize(("who", "sentence"), [("alice", "You made this request"), ("bob", "Say in a few words why")])
def test_who_cannot_raise_it_so(capped, request, as_user, who, sentence):
    answer = as_user(request.getfixturevalue(who)).post(request_url("raise_cap", capped), {"cap_reason": " "})

    assert sentence in said(answer)
    capped.refresh_from_db()
    assert (capped.cap, capped.cap_raised_by) == (2, None)


@pytest.mark.parametrize("who", ["carol", "dave"])
def test_raising_takes_the_permission(capped, request, as_user, who):
    client = as_user(request.getfixturevalue(who))

    assert client.post(request_url("raise_cap", capped), {"cap_reason": "mine"}).status_code == 403
    capped.refresh_from_db()
    assert capped.cap == 2


def test_a_reader_is_told_who_raises_caps(capped, carol, as_user):
    shown = text_of(as_user(carol).get(request_url("change", capped)))

    assert "Only an Approver can raise the cap." in shown and "Raise the cap…" not in shown


def test_a_rule_that_became_stricter_since_can_be_raised_too(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    ReclaimRule.objects.update(batch_cap_people=2)

    assert "is raised to 3 people" in said(
        as_user(bob).post(request_url("raise_cap", asked), {"cap_reason": "As agreed"})
    )


def test_within_the_cap_nothing_is_raised(organization, alice, bob, as_user):
    asked = organization.ask(alice)

    assert "Within the caps" in text_of(as_user(bob).get(request_url("change", asked)))
    assert "is within its cap" in said(as_user(bob).post(request_url("raise_cap", asked), {"cap_reason": "To be sure"}))


def test_who_would_wait_for_the_rolling_cap(organization, alice, bob, as_user):
    ReclaimRule.objects.update(rolling_cap_percent=10)  # of 12 seats: 2

    shown = text_of(as_user(bob).get(request_url("change", organization.ask(alice))))

    assert "1 person will wait until the cap allows more" in shown and "<b>3</b> of 2" in shown
    assert "Approve 3 seats" in shown, "beyond the rolling cap people wait; they are not refused"
