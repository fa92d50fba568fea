"""A vendor's date that goes back, becomes empty or cannot be right makes nobody inactive."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.eligibility.clauses import explain
from subscriptions.eligibility.terms import current_terms
from subscriptions.models import DownloadRun, NeverActive, ReclaimRule, Subscription, Verdict
from subscriptions.reclaims.engine import reclaim_due
from tests.support.web.pages import text_of


def ago(days: float) -> str:
    return (timezone.now() - timedelta(days=days)).isoformat()


def active_people(world, count: int) -> list[Subscription]:
    rows = Subscription.objects.filter(
        profile=world.profile, evaluation__verdict=Verdict.ACTIVE, last_activity_at__isnull=False
    )
    return list(rows.order_by("-last_activity_at")[:count])


def verdicts(rows: list[Subscription]) -> list[Verdict]:
    found = Subscription.objects.select_related("evaluation").in_bulk([row.pk for row in rows])
    return [found[row.pk].verdict for row in rows]


def test_an_activity_that_goes_back_or_ends_needs_review_until_the_vendor_is_as_new_again(world):
    world.first_download()
    back, ended, jitter = rows = active_people(world, 3)
    world.miro.change(back.external_id, last_activity_at=ago(205))
    world.miro.change(ended.external_id, last_activity_at=None)
    world.miro.change(jitter.external_id, last_activity_at=(jitter.last_activity_at - timedelta(hours=20)).isoformat())

    run = world.download()

    assert run.changed == 3
    assert verdicts(rows) == [Verdict.DATES_WENT_BACK, Verdict.DATES_WENT_BACK, Verdict.ACTIVE]
    for row in rows:
        known = row.last_activity_at
        row.refresh_from_db()
        assert (row.last_activity_at, row.dates_went_back) == (known, True)
    assert ended.vendor_activity_at is None
    # The history has no change of the date that counts.
    assert ended.snapshots.get().last_activity_at is None
    known = f"{timezone.localtime(back.last_activity_at):%b} {timezone.localtime(back.last_activity_at).day}"
    sentence = explain(back, current_terms(world.profile.pk), verdict=Verdict.DATES_WENT_BACK)
    assert sentence.startswith(f"Needs review: Miro said {known}, ")
    assert f"We count {known}, " in sentence
    assert not back.candidates.exists()
    assert not ended.candidates.exists()
    # The same again changes nothing, and a newer activity resolves it.
    assert world.download().changed == 0
    world.miro.change(back.external_id, last_activity_at="now")
    world.miro.change(ended.external_id, last_activity_at=ended.last_activity_at.isoformat())
    assert world.download().changed == 2
    assert verdicts(rows) == [Verdict.ACTIVE] * 3
    assert not Subscription.objects.filter(dates_went_back=True).exclude(pk=jitter.pk).exists()


def test_the_recheck_before_the_send_counts_the_latest_known_activity(world, alice, bob):
    """Inactive people are approved. Then the vendor shows a still older date, or none."""
    world.first_download()
    chosen = list(world.candidates(2))
    request = request_reclaim(world.candidates(2), actor=alice)
    decide.approve(request, actor=bob)
    older, ended = (candidate.subscription for candidate in chosen)
    world.miro.change(older.external_id, last_activity_at=ago(2000))
    world.miro.change(ended.external_id, last_activity_at=None)

    assert reclaim_due(world.profile).skipped == 2

    assert world.deactivated_by_us() == []
    for candidate in chosen:
        candidate.refresh_from_db()
        assert (candidate.state, candidate.close_reason) == ("closed_skipped", "needs_review")
    known = older.last_activity_at
    older.refresh_from_db()
    assert (older.last_activity_at, older.verdict) == (known, Verdict.DATES_WENT_BACK)
    assert "Miro said" in chosen[0].removals.get().reclaim.outcome


def test_a_date_that_cannot_be_right_is_unknown_and_counted_on_the_page_of_the_run(world, admin_client):
    """The rule makes people who were never active candidates, and these people are none nevertheless."""
    ReclaimRule.objects.filter(profile=world.profile).update(never_active=NeverActive.CANDIDATE)
    truth = world.sandbox.world
    people = [
        member for member in truth.after("") if member.active and member.license == "full" and member.last_activity_at
    ]
    wrong = ("1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2099-01-01T00:00:00Z")
    for member, moment in zip(people, wrong, strict=False):
        world.miro.change(member.id, last_activity_at=moment, license_assigned_at=ago(900))
    world.miro.change(people[3].id, license_assigned_at="1970-01-01T00:00:00Z")

    run: DownloadRun = world.download()

    assert run.implausible == 4
    rows = list(Subscription.objects.filter(external_id__in=[member.id for member in people[:4]]))
    assert verdicts(rows) == [Verdict.UNKNOWN] * 4
    assert not any(row.candidates.exists() for row in rows)
    for row in rows:
        page = admin_client.get(f"/admin/subscriptions/subscription/{row.pk}/change/")
        assert page.status_code == 200
        assert f"sent a date that cannot be right ({row.implausible_dates})" in text_of(page)
    page = text_of(admin_client.get(f"/admin/subscriptions/downloadrun/{run.pk}/change/"))
    assert "<dt>Dates that cannot be right</dt> <dd>4 people<small>" in page
    assert "before Jan 1, 2011, or later than tomorrow" in page


def test_a_license_date_that_goes_back_ends_no_grace(world, alice, bob):
    """In a download, and in the recheck; another license has a date of its own."""
    world.first_download()
    ReclaimRule.objects.update(new_joiner_grace=0)
    rows = [candidate.subscription for candidate in world.candidates(4)]
    for row in rows:
        world.miro.change(row.external_id, license_assigned_at=ago(5))
    world.download()
    new, ended, older, approved = rows
    decide.approve(request_reclaim(approved.candidates.filter(state="ready"), actor=alice), actor=bob)
    world.miro.change(new.external_id, license_assigned_at=ago(400))
    world.miro.change(ended.external_id, license_assigned_at=None)
    world.miro.change(approved.external_id, license_assigned_at=ago(400))

    assert reclaim_due(world.profile).skipped == 1
    world.download()

    assert verdicts(rows) == [Verdict.COOLING_DOWN, Verdict.COOLING_DOWN, Verdict.CANDIDATE, Verdict.COOLING_DOWN]
    assert world.deactivated_by_us() == []
    new.refresh_from_db()
    assert new.cooldown_reason == "the vendor's license date went back"
    assert (timezone.now() - new.license_assigned_at).days == 400
    # It ends by itself. The date of a license that was old already goes back without a cool-down.
    Subscription.objects.filter(pk=new.pk).update(cooldown_until=None)
    world.miro.change(new.external_id, license_assigned_at=ago(500))
    world.miro.change(older.external_id, license="advanced" if older.license == "full" else "full")
    world.miro.change(older.external_id, license_assigned_at=ago(400))
    world.download()
    assert verdicts([new, older]) == [Verdict.CANDIDATE, Verdict.CANDIDATE]
