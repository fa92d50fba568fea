"""Old months are thinned to one point each: exact at their ends, told in the audit and on the page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django_celery_beat.models import PeriodicTask
from hypothesis import given
from hypothesis import strategies as st

from licensehub.audit.models import AuditEvent
from subscriptions.activity import retention
from subscriptions.activity.retention import thin_past_activity, thinned_before
from subscriptions.models import ActivitySnapshot, DownloadRun, RecheckSnapshot
from tests.support.data.scenario import BEGIN, QUICK, STEPS, Scenario, tell
from tests.support.fixtures import actions

pytestmark = pytest.mark.django_db

FIRSTS = [datetime(2025 + month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in range(18)]


@pytest.fixture(autouse=True)
def _hundred_days(settings):
    settings.SNAPSHOT_DAYS = 100


def kept_moments(scenario: Scenario, until: datetime) -> list[datetime]:
    """The ends of months, and all that happened after `until`."""
    return [*FIRSTS, *(moment for moment in scenario.told if moment > until)]


@QUICK
@given(seed=st.integers(0, 2**32), steps=STEPS, later=st.integers(0, 400))
def test_the_ends_of_months_read_back_as_before(seed, steps, later):
    scenario = tell(seed, steps)
    whole = {moment: scenario.read_back(moment) for moment in [*FIRSTS, *scenario.told]}
    with time_machine.travel(max(scenario.told) + timedelta(days=later), tick=False):
        thin_past_activity()
        until = thinned_before(scenario.profile) or BEGIN
    thinned = {moment: scenario.read_back(moment) for moment in kept_moments(scenario, until)}
    assert thinned == {moment: whole[moment] for moment in thinned}
    assert one_point_a_month(scenario, until)


def one_point_a_month(scenario: Scenario, until: datetime) -> bool:
    rows = ActivitySnapshot.objects.filter(subscription__profile=scenario.profile, run__finished_at__lte=until)
    points = {(row.subscription_id, month(row.run.finished_at)) for row in rows.select_related("run")}
    looks = RecheckSnapshot.objects.filter(subscription__profile=scenario.profile, seen_at__lte=until)
    months_of_runs = {month(run.finished_at) for run in DownloadRun.objects.filter(profile=scenario.profile)}
    return len(points) == len(rows) and not any(month(look.seen_at) in months_of_runs for look in looks)


def month(moment: datetime | None) -> tuple[int, int]:
    assert moment
    return moment.year, moment.month


def test_the_newest_value_in_place_of_the_oldest_is_found_out(monkeypatch):
    """The control."""
    oldest = retention.oldest_of
    monkeypatch.setattr(retention, "oldest_of", lambda column: oldest(column).replace(", at)", ", at DESC)"))
    with pytest.raises(AssertionError):
        test_the_ends_of_months_read_back_as_before()


def test_looks_left_where_they_are_would_be_found_out(monkeypatch):
    """The control: they would have the last word over what was replaced before them."""
    monkeypatch.setattr(retention, "_between", lambda profile, month: RecheckSnapshot.objects.none())
    with pytest.raises(AssertionError):
        test_the_ends_of_months_read_back_as_before()


def long_story() -> Scenario:
    return tell(3, [(True, 4.0)] * 12)


def test_one_event_tells_each_month_and_nothing_is_done_twice():
    scenario = long_story()
    before = ActivitySnapshot.objects.count()
    with time_machine.travel(BEGIN + timedelta(days=150), tick=False):
        done = thin_past_activity()
        assert thin_past_activity() == 0

    events = AuditEvent.objects.filter(action="history.thinned").order_by("sequence")
    assert [event.data["month"] for event in events] == ["2025-01", "2025-02"]
    assert done == 2
    assert actions()[-1] == "history.thinned"
    told = sum(event.data["before"] - event.data["after"] for event in events)
    assert before - ActivitySnapshot.objects.count() == told > 0
    assert {event.target_id for event in events} == {scenario.profile.pk}


def test_a_month_that_another_process_thins_meanwhile_is_thinned_once(monkeypatch):
    """Both processes have found the month, and neither has begun."""
    scenario = long_story()
    due_months = retention.due_months

    def thinned_meanwhile(profile):
        found = due_months(profile)
        monkeypatch.setattr(retention, "due_months", due_months)
        assert thin_past_activity() == 2
        return found

    monkeypatch.setattr(retention, "due_months", thinned_meanwhile)
    with time_machine.travel(BEGIN + timedelta(days=150), tick=False):
        assert thin_past_activity() == 0

    events = AuditEvent.objects.filter(action="history.thinned", target_id=scenario.profile.pk)
    assert [event.data["month"] for event in events.order_by("sequence")] == ["2025-01", "2025-02"]


def test_a_month_is_thinned_when_all_of_it_is_old_enough():
    scenario = long_story()
    with time_machine.travel(datetime(2025, 6, 8, tzinfo=UTC), tick=False):  # 99 days after February
        assert [f"{found.start:%Y-%m}" for found in retention.due_months(scenario.profile)] == ["2025-01"]
    with time_machine.travel(datetime(2025, 6, 9, tzinfo=UTC), tick=False):
        assert [f"{found.start:%Y-%m}" for found in retention.due_months(scenario.profile)] == ["2025-01", "2025-02"]


def test_a_month_is_a_few_statements(django_assert_max_num_queries):
    scenario = long_story()
    with time_machine.travel(BEGIN + timedelta(days=150), tick=False):
        [first, *_] = retention.due_months(scenario.profile)
        with django_assert_max_num_queries(17):
            assert retention._thin(scenario.profile, first) is True
        assert retention._thin(scenario.profile, first) is False


def test_a_profile_that_is_young_says_nothing():
    assert thinned_before(long_story().profile) is None


def test_it_is_triggered_every_night():
    task = PeriodicTask.objects.get(name="Thin old history")
    assert (task.task, task.crontab.hour) == ("subscriptions.tasks.thin_history", "3")


def test_the_page_says_since_when_every_change_is_there(client, carol):
    scenario = long_story()
    row = scenario.profile.subscriptions.first()
    client.force_login(carol)
    address = f"/admin/subscriptions/subscription/{row.pk}/change/"
    assert "one point a month" not in client.get(address).content.decode()
    with time_machine.travel(BEGIN + timedelta(days=150), tick=False):
        thin_past_activity()

    assert "Before Mar 1, 2025, only one point a month is kept." in client.get(address).content.decode()
