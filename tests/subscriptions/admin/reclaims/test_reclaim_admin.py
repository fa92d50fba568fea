"""History: a line and a page for each reclaim, whatever came of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.utils import timezone

from integrations.connectors.contract import PermanentError, Receipt
from licensehub.audit.models import AuditEvent
from licensehub.audit.triggers import drop
from licensehub.site.audit import evidence
from subscriptions.accounts.settings import choose_time_zone
from subscriptions.approvals import decide
from subscriptions.models import HoldReason, Reclaim
from subscriptions.reclaims import outcomes
from subscriptions.reclaims.engine import claim, commit_intent
from tests.support.people.organization import page
from tests.support.web.pages import text_of

LIST = "/admin/subscriptions/reclaim/"
EVIDENCE = 'href="/admin/audit/auditevent/evidence/"'


@pytest.fixture
def approved(organization, alice, bob):
    asked = organization.ask(alice, count=5)
    decide.approve(asked, actor=bob, comment="Fine")
    return asked


@pytest.fixture
def settled(organization, approved):
    """One of each ending."""
    done, refused, doubt, held, _waiting = claim(organization.profile)
    for item in (done, refused, doubt):
        commit_intent(item, rolling=10)
        item.refresh_from_db()
    outcomes.note_receipt(done, Receipt(200, False, "req-1"))
    done.refresh_from_db()
    outcomes.mark_done(done)
    outcomes.mark_refused(refused, PermanentError("Last admin of “Ops”.", status=409))
    outcomes.mark_in_doubt(doubt, "The answer did not come within 45 seconds.", status=None)
    outcomes.requeue(held, HoldReason.CONNECTION, message="The token is dead.")
    return approved


def test_every_ending_has_its_words(settled, carol, as_user):
    shown = text_of(as_user(carol).get(LIST))

    for words in ("Verified", "PATCH 200 · read back inactive", "Refused", "Last admin of “Ops”.", "In doubt"):
        assert words in shown
    assert "Held: A connection is in error." in shown and settled.number in shown
    assert "alice" in shown and "bob" in shown


def test_the_number_of_a_request_opens_as_many_reclaims(settled, carol, as_user):
    client = as_user(carol)
    answer = client.get(page("reclaimrequest", "change", settled.pk))
    address = f"{LIST}?q={settled.number}&state__exact=done"
    assert f'href="{address.replace("&", "&amp;")}">1</a>' in text_of(answer)
    assert client.get(address).context["cl"].result_count == answer.context["tiles"]["reclaimed"] == 1


def test_every_page_tells_the_story(settled, carol, as_user):
    client = as_user(carol)

    for item in Reclaim.objects.all():
        shown = text_of(client.get(page("reclaim", "change", item.pk)))
        assert "Timeline of this seat" in shown and "alice" in shown and "Miro ID" in shown
        assert "Reclaim queued" in shown, "each event is named"


def test_a_hold_says_until_when(settled, carol, as_user):
    held = Reclaim.objects.get(hold_reason="connection")

    shown = text_of(as_user(carol).get(page("reclaim", "change", held.pk)))

    assert (
        "Waiting: A connection is in error" in shown
        and "The token is dead." in shown
        and "The approval is valid until" in shown
    )


def test_found_by_request_number_name_and_outcome(settled, carol, as_user):
    client = as_user(carol)

    assert "Person 11" in text_of(client.get(f"{LIST}?q={settled.number}"))
    assert "No matching reclaims" in text_of(client.get(f"{LIST}?q=R-9999"))
    assert "Person 11" in text_of(client.get(f"{LIST}?q=person11@"))
    assert "PATCH 200" not in text_of(client.get(f"{LIST}?state__exact=failed"))
    assert "Person 11" in text_of(client.get(f"{LIST}?approver={settled.decided_by_id}"))


def test_the_decided_request_shows_each_outcome(settled, carol, as_user):
    shown = text_of(as_user(carol).get(page("reclaimrequest", "change", settled.pk)))

    assert "Approved by bob" in shown and "Fine" in shown and "PATCH 200" in shown
    for item in Reclaim.objects.all():
        assert page("reclaim", "change", item.pk) in shown


def test_the_list_says_what_the_last_verification_found(settled, alice, carol, as_user, monkeypatch):
    reader, requester = as_user(carol), as_user(alice)
    assert "Not verified yet." in text_of(reader.get(LIST))
    assert "lh-verified" not in text_of(requester.get(LIST)), "who cannot verify reads only results"
    # The rows of these tests are made without events.
    monkeypatch.setattr(evidence, "CHECKS", [])
    evidence.verify_history(carol)
    events = AuditEvent.objects.get(action="audit.verified").data["events"]
    line = f'Nothing was altered.</strong> <span class="lh-muted">{events} events checked just now.'
    assert line in text_of(reader.get(LIST)) and line in text_of(requester.get(LIST))
    assert EVIDENCE in text_of(reader.get(LIST)) and EVIDENCE not in text_of(requester.get(LIST))
    monkeypatch.setattr(evidence, "CHECKS", [lambda: (["A row was changed."], 1)])
    evidence.verify_history(carol)
    assert "1 thing is not as LicenseHub wrote it." in text_of(requester.get(LIST))


def test_a_forged_verification_is_not_shown(settled, alice, carol, as_user, monkeypatch):
    """Somebody who writes into the database cannot say that nothing was altered."""
    monkeypatch.setattr(evidence, "CHECKS", [])
    evidence.verify_history(carol)
    assert "Nothing was altered." in text_of(as_user(alice).get(LIST))
    drop(connection)
    AuditEvent.objects.filter(action="audit.verified").update(actor_name="somebody")
    assert "Nothing was altered." not in text_of(as_user(alice).get(LIST))


def test_nothing_yet(empty_organization, carol, as_user):
    assert "Nothing was reclaimed yet" in text_of(as_user(carol).get(LIST))


def test_a_stranger_sees_nothing(settled, dave, as_user):
    assert as_user(dave).get(LIST).status_code == 403
    assert as_user(dave).get(page("reclaim", "change", Reclaim.objects.first().pk)).status_code == 403


def test_no_question_per_row(settled, carol, as_user, django_assert_max_num_queries):
    client = as_user(carol)
    client.get(LIST)

    # One of them reads the audit for all rows of the page.
    with django_assert_max_num_queries(15):
        client.get(LIST)


def test_the_days_of_a_filter_are_whole_days_and_a_wrong_day_finds_nothing(settled, carol, as_user):
    client, today = as_user(carol), timezone.localdate().isoformat()
    found = {
        query: client.get(LIST, dict(item.split("=") for item in query.split("&"))).context["cl"].result_count
        for query in (f"queued_at_from={today}&queued_at_to={today}", "queued_at_from=2026-02-30", "queued_at_to=x")
    }
    assert list(found.values()) == [Reclaim.objects.count(), 0, 0], found


def test_the_days_of_a_filter_are_those_of_the_reader(settled, carol, as_user):
    choose_time_zone(carol, "Pacific/Auckland")
    first, last, late, *_ = Reclaim.objects.order_by("pk").values_list("pk", flat=True)
    midnight = datetime(2026, 3, 10, tzinfo=ZoneInfo("Pacific/Auckland"))
    for pk, moment in ((first, midnight), (last, midnight + timedelta(days=2, seconds=-1))):
        Reclaim.objects.filter(pk=pk).update(queued_at=moment)
    Reclaim.objects.filter(pk=late).update(queued_at=midnight + timedelta(days=2))
    answer = as_user(carol).get(LIST, {"queued_at_from": "2026-03-10", "queued_at_to": "2026-03-11"})
    assert {row.pk for row in answer.context["cl"].result_list} == {first, last}
    Reclaim.objects.filter(pk=late).update(finished_at=midnight + timedelta(days=4))
    answer = as_user(carol).get(LIST, {"finished_at_from": "2026-03-14", "finished_at_to": "2026-03-14"})
    assert {row.pk for row in answer.context["cl"].result_list} == {late}
