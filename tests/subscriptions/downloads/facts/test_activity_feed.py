"""A vendor's activity feed that has stopped makes nobody inactive, and nothing is sent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from integrations.models import IntegrationProfile
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.downloads import acceptance, follow_up
from subscriptions.downloads.facts import activity_feed
from subscriptions.downloads.facts.activity_feed import MIN_IN_DOMAIN
from subscriptions.downloads.facts.activity_feed import Group as Counts
from subscriptions.downloads.run import download_subscriptions
from subscriptions.models import (
    DownloadRun,
    HoldReason,
    Reclaim,
    ReclaimRule,
    RemovalCandidate,
    RunState,
    Subscription,
    Verdict,
)
from subscriptions.models.download import StartedBy
from subscriptions.models.subscription import FACTS
from subscriptions.profiles import archive
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reclaims.switches import Operation, profiles_allowing
from tests.support.fixtures import MEMBERS, connect
from tests.support.web.pages import text_of

DOMAIN = "northfield.example"


def run(world) -> DownloadRun:
    return download_subscriptions(world.profile, actor=None, started_by=StartedBy.COMMAND)


def facts() -> list[tuple[object, ...]]:
    return list(Subscription.objects.order_by("external_id").values_list("external_id", *FACTS, "facts_at"))


def inactive(world, count: int, *, days: int) -> None:
    """Give an older date to so many people who were active lately, as if a part of the feed was lost."""
    truth = world.sandbox.world
    moment = (timezone.now() - timedelta(days=days)).isoformat()
    lately = (timezone.now() - timedelta(days=40)).isoformat()
    people = [member for member in truth.after("") if member.active and (member.last_activity_at or "") > lately]
    people = [member for member in people if member.license == "full" and member.role == "organization_internal_user"]
    for member in people[:count]:
        world.miro.change(member.id, last_activity_at=moment, license_assigned_at="2020-01-01T00:00:00Z")
    assert len(people) >= count


def operators() -> list[User]:
    made = [User.objects.create_user(name, f"{name}@northwind.example", is_staff=True) for name in ("olivia", "oscar")]
    for user in made:
        user.groups.add(Group.objects.get(name="Operator"))
    return made


def accept(found: DownloadRun) -> DownloadRun:
    olivia, oscar = operators()
    acceptance.propose(found, reason="The whole company was away.", actor=olivia)
    found.refresh_from_db()
    acceptance.accept(found, actor=oscar)
    follow_up.resume(found.pk)
    found.refresh_from_db()
    return found


def test_a_feed_that_has_stopped_quarantines_the_run_and_its_page_says_why(world, admin_client):
    ReclaimRule.objects.filter(profile=world.profile).update(file_requests="automatic")
    world.download()
    before, candidates = facts(), set(RemovalCandidate.objects.values_list("subscription", flat=True))
    world.miro.set_toggles(frozen_feed_days=100)

    found = run(world)

    assert (found.state, found.acceptable, found.doubt) == (RunState.QUARANTINED, True, "activity")
    assert found.problem.startswith("Miro shows no activity within the last 3 days, and the download before had some.")
    assert facts() == before
    assert set(RemovalCandidate.objects.values_list("subscription", flat=True)) == candidates
    page = text_of(admin_client.get(f"/admin/subscriptions/downloadrun/{found.pk}/change/"))
    assert "Why this download was not used" in page
    assert page.count('<svg class="lh-chart"') == 2
    assert "Before: D-" in page
    assert "Approved reclaims and questions by mail wait" in page
    assert "Activity dates in doubt" in text_of(admin_client.get("/admin/"))
    # Three days later the vendor is right again.
    world.miro.set_toggles(frozen_feed_days=0)
    world.download()
    world.profile.refresh_from_db()
    assert world.profile.activity_doubted_at is None
    assert "Activity dates in doubt" not in text_of(admin_client.get("/admin/"))


def leave(world, count: int) -> None:
    for row in Subscription.objects.filter(active=True).order_by("external_id")[:count]:
        world.miro.change(row.external_id, removed=True)


def test_an_older_download_that_is_accepted_ends_no_newer_doubt(world, admin_client):
    world.first_download()
    leave(world, 30)
    older = run(world)
    world.miro.set_toggles(frozen_feed_days=100)
    newer = run(world)
    assert (older.doubt, newer.doubt) == ("members", "activity")

    assert accept(older).state == RunState.COMPLETE

    world.profile.refresh_from_db()
    newer.refresh_from_db()
    assert world.profile.activity_doubted_at is not None
    assert not profiles_allowing(Operation.SEND).exists()
    assert newer.acceptable and newer.members.count() == newer.read
    page = text_of(admin_client.get(f"/admin/subscriptions/downloadrun/{newer.pk}/change/"))
    assert "cannot be accepted" not in page


def test_a_new_profile_of_the_organization_makes_no_feed_alive(world, at_sandbox, bob):
    world.first_download()
    archive.archive(world.profile, typed_name=world.profile.name, actor=bob)
    world.miro.set_toggles(frozen_feed_days=100)
    world.profile = connect(at_sandbox, name="Northwind again")

    found = run(world)

    assert (found.state, found.doubt) == (RunState.QUARANTINED, "activity")
    assert not RemovalCandidate.objects.filter(profile=world.profile).exists()
    world.miro.set_toggles(frozen_feed_days=0)
    world.download()


def test_approved_people_wait_while_the_feed_has_stopped(world, alice, bob):
    """The recheck reads the same dates: somebody who works each day would still look inactive."""
    world.first_download()
    request = request_reclaim(world.candidates(2), actor=alice)
    decide.approve(request, actor=bob)
    world.miro.set_toggles(frozen_feed_days=10)
    assert run(world).state == RunState.QUARANTINED

    tally = reclaim_due(world.profile)

    assert (tally.held, tally.reclaimed) == (2, 0)
    assert set(Reclaim.objects.values_list("hold_reason", flat=True)) == {HoldReason.ACTIVITY}
    assert world.deactivated_by_us() == []
    assert not profiles_allowing(Operation.SEND).filter(pk=world.profile.pk).exists()
    assert profiles_allowing(Operation.RESTORE).filter(pk=world.profile.pk).exists()
    # Discarding it says nothing about the feed.
    acceptance.discard(DownloadRun.objects.get(doubt="activity"), actor=bob)
    assert reclaim_due(world.profile).held == 2
    world.miro.set_toggles(frozen_feed_days=0)
    world.download()
    assert reclaim_due(world.profile).reclaimed == 2


def test_missing_people_do_not_hide_a_feed_that_has_stopped(world, alice, bob):
    """Two people who know why members are missing would accept the dates with them, and all sends would go on."""
    world.first_download()
    approved = world.candidates(1).get().subscription
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    others = Subscription.objects.exclude(pk=approved.pk).order_by("external_id")
    for row in others[: MEMBERS // 4]:
        world.miro.change(row.external_id, removed=True)
    world.miro.set_toggles(frozen_feed_days=10)

    found = run(world)

    assert (found.state, found.doubt) == (RunState.QUARANTINED, "activity")
    assert "known members are missing from this download" in found.problem
    assert "Miro shows no activity within the last 3 days" in found.problem
    # Days later the dates are right, and the same people are missing: that is all that is accepted.
    world.miro.set_toggles(frozen_feed_days=0)
    found = run(world)
    assert (found.state, found.doubt) == (RunState.QUARANTINED, "members")
    assert "activity" not in found.problem
    assert reclaim_due(world.profile).held == 1
    assert accept(found).state == RunState.COMPLETE
    assert reclaim_due(world.profile).reclaimed == 1
    assert world.deactivated_by_us() == [approved.external_id]


def test_an_accepted_run_is_the_new_base(world):
    world.first_download()
    world.miro.set_toggles(frozen_feed_days=30)
    active = set(Subscription.objects.filter(evaluation__verdict=Verdict.ACTIVE).values_list("pk", flat=True))
    dated = Subscription.objects.filter(pk__in=active, last_activity_at__gt=timezone.now() - timedelta(days=25))
    dates = dict(dated.values_list("pk", "last_activity_at"))

    found = accept(run(world))

    assert (found.state, found.gone) == (RunState.COMPLETE, 0)
    assert IntegrationProfile.objects.get().activity_doubted_at is None
    # The latest known date of each person still counts, and they are up for review.
    assert dict(dated.values_list("pk", "last_activity_at")) == dates
    verdicts = Subscription.objects.filter(pk__in=dates).values_list("evaluation__verdict", flat=True)
    assert set(verdicts) <= {Verdict.DATES_WENT_BACK, Verdict.IN_GRACE}
    assert Verdict.DATES_WENT_BACK in verdicts
    assert run(world).state == RunState.COMPLETE
    # The feed works again, and then stops again: that is a new fault.
    world.miro.set_toggles(frozen_feed_days=0)
    assert run(world).state == RunState.COMPLETE
    world.miro.set_toggles(frozen_feed_days=30)
    assert run(world).state == RunState.QUARANTINED


def test_a_part_of_the_feed_that_has_stopped_is_found_by_domain(world):
    for member in world.sandbox.world.directory()[:MIN_IN_DOMAIN]:
        world.miro.change(member.id, last_activity_at="now", active=True)
    world.download()
    guest = next(
        member for member in world.sandbox.world.after("") if "partner.example" in member.email and member.active
    )
    world.miro.change(guest.id, last_activity_at="now")
    world.miro.set_toggles(frozen_feed_days=4, frozen_feed_domain=DOMAIN)

    found = run(world)

    assert found.state == RunState.QUARANTINED
    assert f"people at {DOMAIN}" in found.problem


def test_many_people_who_become_inactive_at_once_quarantine_the_run(world):
    """Others are active today, so the feed has not stopped."""
    world.first_download()
    inactive(world, 35, days=100)
    found = run(world)
    assert (found.state, found.doubt) == (RunState.QUARANTINED, "activity")
    assert "both by today's rule" in found.problem
    assert accept(found).state == RunState.COMPLETE
    assert run(world).state == RunState.COMPLETE
    # The limits of the rule count.
    ReclaimRule.objects.filter(profile=world.profile).update(surge_percent=100)
    inactive(world, 1, days=100)
    assert run(world).state == RunState.COMPLETE


def test_a_lower_threshold_is_no_fault_of_the_feed(world):
    world.first_download()
    rule = ReclaimRule.objects.get(profile=world.profile)
    before = Subscription.objects.candidates().count()
    rule.last_activity_threshold = 20
    rule.new_joiner_grace = 0
    rule.save()
    world.download()
    assert Subscription.objects.candidates().count() > 2 * before


def test_the_overview_says_that_a_first_download_has_only_old_dates(world, admin_client):
    """A first download cannot be compared with another one."""
    world.miro.set_toggles(frozen_feed_days=14)
    assert run(world).state == RunState.COMPLETE
    page = text_of(admin_client.get("/admin/"))
    assert "Old activity dates" in page
    assert "the newest was 14 days old at the last download" in page
    world.miro.set_toggles(frozen_feed_days=0)
    world.download()
    assert "Old activity dates" not in text_of(admin_client.get("/admin/"))


def test_a_feed_that_has_stopped_since_the_last_download_is_found_days_later(world):
    """The dates are the same in both, and each is measured at its own day."""
    world.miro.set_toggles(frozen_feed_days=10)
    world.download()
    day = timezone.now() - timedelta(days=10)
    DownloadRun.objects.update(started_at=day, finished_at=day)
    assert (run(world).state, DownloadRun.objects.first().doubt) == (RunState.QUARANTINED, "activity")


def test_an_unchanged_organization_is_counted_the_same_on_both_sides(world, monkeypatch):
    """People who left or are deactivated count on neither side, and capitals make no second domain."""
    world.first_download()
    left, off, loud = world.candidates(3)
    world.miro.change(left.subscription.external_id, removed=True)
    world.miro.change(off.subscription.external_id, active=False)
    world.miro.change(loud.subscription.external_id, email=loud.subscription.email.upper())
    world.download()
    sides = []
    count = activity_feed._count

    def note(*args, **kwargs):
        sides.append(count(*args, **kwargs))
        return sides[-1]

    monkeypatch.setattr(activity_feed, "_count", note)
    world.download()

    before, after = sides
    assert before == after
    truth = [member for member in world.sandbox.world.after("") if member.active]
    assert set(after) == {member.email.partition("@")[2].lower() for member in truth}
    licenses = ReclaimRule.objects.get(profile=world.profile).licenses
    in_scope = [member for member in truth if member.license in licenses]
    assert sum(group.people for group in after.values()) == len(truth) > len(in_scope)
    assert sum(group.in_scope for group in after.values()) == len(in_scope)


A, B = "a.example", "b.example"
# Before and after: people, active lately, in scope, inactive. The rule names 3 days, a factor of 2 and 10 %.
NO_DOUBT = {
    "the first activity of all": ({A: (50, 0, 50, 0)}, {A: (50, 5, 50, 0)}),
    "nobody was active before": ({A: (50, 0, 50, 10)}, {A: (50, 0, 50, 10)}),
    "a small domain is on holiday": ({A: (19, 19, 0, 0), B: (9, 9, 0, 0)}, {A: (19, 0, 0, 0), B: (9, 9, 0, 0)}),
    "a domain moves to another name": ({A: (40, 30, 0, 0)}, {A: (5, 0, 0, 0), B: (35, 30, 0, 0)}),
    "a domain is gone": ({A: (40, 30, 0, 0), B: (9, 9, 0, 0)}, {B: (9, 9, 0, 0)}),
    "four people more": ({A: (20, 9, 20, 0)}, {A: (20, 9, 20, 4)}),
    "more than doubled, and 10 % only": ({A: (100, 50, 100, 4)}, {A: (100, 50, 100, 10)}),
    "more than 10 %, and doubled only": ({A: (100, 50, 100, 20)}, {A: (100, 50, 100, 40)}),
    "twice the people, the same share": ({A: (100, 50, 100, 15)}, {A: (200, 90, 200, 45)}),
    "no license in scope": ({A: (100, 50, 0, 0)}, {A: (100, 50, 100, 60)}),
}
DOUBT = {
    "all of it": (
        {A: (9, 1, 9, 0)},
        {A: (9, 0, 9, 0)},
        "shows no activity within the last 3 days, and the download before had some",
    ),
    "one domain": ({A: (40, 20, 0, 0), B: (9, 9, 0, 0)}, {A: (20, 0, 0, 0), B: (9, 9, 0, 0)}, "people at a.example"),
    "from none": ({A: (40, 9, 40, 0)}, {A: (40, 9, 40, 5)}, "5 of 40 active licenses in scope would be inactive"),
    "more than doubled": ({A: (100, 50, 100, 5)}, {A: (100, 50, 100, 11)}, "(11.0%), and 5 of 100"),
    "in two domains together": ({A: (50, 9, 50, 3)}, {A: (30, 9, 30, 4), B: (20, 9, 20, 4)}, "8 of 50 active"),
}


@pytest.mark.parametrize("case", [*NO_DOUBT, *DOUBT])
def test_where_the_doubt_begins(monkeypatch, case):
    before, after, *words = {**NO_DOUBT, **DOUBT}[case]
    sides = [{domain: Counts(*numbers) for domain, numbers in side.items()} for side in (before, after)]
    rule = ReclaimRule(stale_feed_days=3, surge_factor=2, surge_percent=10)
    found_run = DownloadRun(profile=IntegrationProfile(kind="miro_enterprise"))
    monkeypatch.setattr(activity_feed, "as_downloaded", lambda run: Subscription.objects.none())
    found = activity_feed._has_stopped(found_run, rule, *sides) or activity_feed._surges(rule, *sides)
    assert bool(found) == bool(words), found
    assert all(part in found for part in words)
