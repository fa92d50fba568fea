"""The page of an approved request follows to the end: what it says, how often it asks, and that an answer is cheap."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from subscriptions.admin.approvals.pages.progress import progress_of
from subscriptions.approvals import decide
from subscriptions.models import Reclaim, ReclaimRequest
from tests.support.people.organization import request_url
from tests.support.web.pages import text_of

LIVE = "data-lh-live"


@pytest.fixture
def approved(organization, alice, bob) -> ReclaimRequest:
    asked = organization.ask(alice, count=7)
    decide.approve(asked, actor=bob)
    return asked


def put(request: ReclaimRequest, *states: str) -> None:
    """The items in these states, in their order; the others are queued."""
    items = Reclaim.objects.filter(removal__request=request).order_by("pk")
    for item, state in zip(items, [*states, *["queued"] * len(items)], strict=False):
        Reclaim.objects.filter(pk=item.pk).update(state=state, outcome=f"It is {state}.")


def test_failures_come_first_and_the_count_is_of_all(approved, bob, as_user):
    put(approved, "done", "skipped", "failed", "in_doubt", "sending", "claimed")
    Reclaim.objects.filter(state="in_doubt").update(read_back="active")
    Reclaim.objects.filter(state="queued").update(hold_reason="rolling_cap")

    progress = progress_of(approved)
    shown = text_of(as_user(bob).get(request_url("change", approved)))

    assert progress is not None and progress.sentence == "4 of 7 are done"
    assert [(part.name, part.count, part.start) for part in progress.parts] == [
        ("failed", 1, 0),
        ("tampered", 0, 1),
        ("doubt", 1, 1),
        ("skipped", 1, 2),
        ("verified", 1, 3),
        ("sending", 2, 4),
        ("waiting", 1, 6),
    ]
    assert shown.count('role="status"') == 1 and LIVE in shown and "Reload this page" in shown
    assert "1 wait:" in shown and "It is failed." in shown
    assert {row["outcome"] for row in progress.look_at} == {"It is in_doubt.", "It is failed."}


def test_an_answer_takes_few_queries_whatever_the_number_of_people(approved, organization, alice, bob, as_user):
    """At rest it makes the browser reload the page, which then asks no more."""
    one = organization.ask(alice, count=1)
    decide.approve(one, actor=bob)
    put(approved, "failed")
    put(one)
    client, counts = as_user(bob), []
    for request in (approved, one):
        client.get(request_url("progress", request))
        with CaptureQueriesContext(connection) as asked:
            answer = client.get(request_url("progress", request))
        counts.append(len(asked))
        assert "of" in text_of(answer) and "HX-Refresh" not in answer
    assert max(counts) <= 7, counts

    put(approved, *["done"] * 6, "skipped")
    assert client.get(request_url("progress", approved))["HX-Refresh"] == "true"
    shown = text_of(client.get(request_url("change", approved)))
    assert "All 7 are done: 1 skipped, 6 verified" in shown and LIVE not in shown


def test_what_is_read_back_later_is_still_under_way(approved):
    put(approved, *["done"] * 6, "in_doubt")
    assert (found := progress_of(approved)) is not None and (found.done, found.follows) == (6, True)

    Reclaim.objects.filter(state="in_doubt").update(read_back="active")
    assert (found := progress_of(approved)) is not None and (found.done, found.follows) == (7, False)


def test_only_readers_of_requests_get_an_answer(organization, alice, dave, as_user):
    asked = organization.ask(alice)
    assert as_user(dave).get(request_url("progress", asked)).status_code == 403
    assert as_user(alice).get(request_url("progress", asked))["HX-Refresh"] == "true"
    assert progress_of(asked) is None
