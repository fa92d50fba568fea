"""The contract: what is refused, the reminders before the last day of notice, and the forecast."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate

import pytest
import time_machine
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import Contract, DownloadRun, Notification, NotificationRecipient
from subscriptions.money.contracts import ContractInput, reminder_due, save_contract, version_of
from subscriptions.money.forecast import Week, forecast, weekly_seats
from subscriptions.sweep import notify
from tests.support.fixtures import person

TODAY = date(2026, 12, 1)


@pytest.fixture(autouse=True)
def today() -> Iterator[None]:
    """All of it on one day, on which the reminders reach into the next year."""
    with time_machine.travel(datetime.combine(TODAY, time(12), tzinfo=UTC)):
        yield


def given(**other) -> ContractInput:
    values = {
        "license": "full",
        "seats": 4000,
        "starts": TODAY - timedelta(days=300),
        "renews_on": TODAY + timedelta(days=100),
        "notice_by": TODAY + timedelta(days=40),
        **other,
    }
    return ContractInput(**values)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"seats": 0}, "at least 1"),
        ({"starts": date(26, 3, 1), "renews_on": date(27, 3, 1), "notice_by": date(27, 1, 1)}, "before the year 2000"),
        ({"renews_on": TODAY - timedelta(days=300)}, "after the first day"),
        ({"renews_on": TODAY + timedelta(days=5000)}, "ten years"),
        ({"notice_by": TODAY + timedelta(days=101)}, "not after the renewal"),
    ],
)
def test_a_contract_that_cannot_be_right_is_refused(organization, alice, values, sentence):
    with pytest.raises(Refused, match=sentence):
        save_contract(organization.profile, given(**values), seen="none", actor=alice)
    assert not Contract.objects.exists()


def test_a_change_is_recorded_with_what_it_replaces_and_overwrites_nobody(organization, alice, bob):
    row = save_contract(organization.profile, given(owner=bob), seen="none", actor=alice)
    seen = version_of(row)
    save_contract(organization.profile, given(seats=3900), seen=seen, actor=alice)
    with pytest.raises(NotActionable, match="meanwhile"):
        save_contract(organization.profile, given(seats=1), seen=seen, actor=bob)
    with pytest.raises(NotActionable, match="meanwhile"):
        save_contract(organization.profile, given(seats=1), seen="none", actor=bob)
    assert Contract.objects.get().seats == 3900
    events = list(AuditEvent.objects.filter(action__startswith="contract.").order_by("sequence"))
    assert [event.action for event in events] == ["contract.entered", "contract.changed"]
    assert (events[1].data["before"]["seats"], events[1].data["before"]["owner"]) == (4000, "bob")


def test_each_reminder_has_its_days():
    row = Contract(notice_by=date(2026, 12, 31))
    days = {
        left: reminder_due(row, today=row.notice_by - timedelta(days=left)) for left in (121, 120, 91, 90, 31, 30, 0)
    }
    assert days == {121: None, 120: 120, 91: 120, 90: 90, 31: 60, 30: 30, 0: 30}
    assert reminder_due(row, today=date(2027, 1, 1)) is None


def test_each_reminder_is_mailed_once_to_company_admins_and_the_owner(organization, alice, bob, carol):
    admin = person("petra", "Company admin")
    row = save_contract(organization.profile, given(owner=bob), seen="none", actor=alice)
    for _ in range(3):
        notify()
    [reminder] = Notification.objects.filter(kind="contract")
    assert "40 days left" in reminder.subject and "4,000" in reminder.text
    told = set(NotificationRecipient.objects.filter(notification=reminder).values_list("user__username", flat=True))
    assert told == {admin.username, "bob"}

    Contract.objects.filter(pk=row.pk).update(notice_by=TODAY + timedelta(days=30))
    notify()
    notify()
    found = Notification.objects.filter(kind="contract").order_by("pk")
    assert [one.key.rpartition(":")[2] for one in found] == ["60", "30"]
    Contract.objects.filter(pk=row.pk).update(notice_by=TODAY - timedelta(days=1))
    notify()
    assert found.count() == 2 and not found.filter(ended_at=None).exists(), "too late is no reminder"


def weeks(numbers: list[int], start: date = date(2026, 5, 25)) -> list[Week]:
    return [Week(start + timedelta(weeks=n), seats) for n, seats in enumerate(numbers)]


def test_a_straight_line_is_continued_and_its_band_grows():
    line = weeks([3800 + 3 * n for n in range(10)])
    found = forecast(line, day=line[-1].day + timedelta(weeks=14))
    assert (found.seats, found.low, found.high) == (3827 + 42,) * 3 and found.weekly == pytest.approx(3)
    assert forecast(line, day=line[-1].day + timedelta(weeks=14), less=75).seats == 3794
    noisy = weeks([3800, 3815, 3796, 3820, 3811, 3809, 3822, 3806, 3830, 3818])
    near, far = (forecast(noisy, day=noisy[-1].day + timedelta(weeks=n)) for n in (1, 20))
    assert near.low < near.seats < near.high and far.high - far.low > near.high - near.low
    assert forecast(weeks([5] * 10), day=date(2027, 3, 1), less=9).seats == 0, "never fewer than nobody"


def test_the_band_grows_with_the_root_of_the_time_at_first():
    """The path that the page draws is the model: at each week it is what a forecast for that day says."""
    noisy = weeks([3800, 3815, 3796, 3820, 3811, 3809, 3822, 3806, 3830, 3818] * 5)
    last = noisy[-1].day
    path = forecast(noisy, day=last + timedelta(days=100)).path
    assert [(one.day - last).days for one in path] == [*range(0, 100, 7), 100]
    assert path[0].low == path[0].seats == path[0].high == 3818
    for one in path[1:]:
        alone = forecast(noisy, day=one.day)
        assert (alone.seats, alone.low, alone.high) == (round(one.seats), round(one.low), round(one.high))
    first, fourth = (path[week].high - path[week].seats for week in (1, 4))
    assert 1.9 < fourth / first < 2.5, "four weeks: twice as wide, and a little more; a triangle is four times as wide"
    less = forecast(noisy, day=last + timedelta(days=70), less=700).path
    assert less[5].seats == pytest.approx((less[0].seats + less[10].seats) / 2)


@pytest.mark.parametrize(("known", "ahead"), [(8, 4), (8, 26), (26, 13), (52, 26), (52, 52)])
def test_the_band_holds_8_of_10_values(known, ahead):
    """The band holds 8 of 10 values in a thousand histories, in which each change of a week stays in the next ones."""
    rng, held = random.Random(known + ahead), 0  # noqa: S311 - the same histories each time
    for _ in range(1000):
        seats = list(accumulate(round(rng.gauss(2, 5)) for _ in range(known + ahead)))
        seats = [4000 + change for change in seats]
        history = weeks(seats[:known])
        found = forecast(history, day=history[-1].day + timedelta(weeks=ahead))
        held += found.low <= seats[-1] <= found.high
    assert 760 <= held <= 870


def test_less_than_eight_weeks_say_nothing():
    assert forecast(weeks([10] * 7), day=date(2027, 1, 1)) is None
    close = [Week(date(2026, 5, 25) + timedelta(days=n), 10) for n in range(9)]
    assert forecast(close, day=date(2027, 1, 1)) is None
    rare = [Week(date(2026, 5, 25) + timedelta(weeks=2 * n), 10 + n) for n in range(7)]
    assert forecast(rare, day=date(2027, 1, 1)) is None, "fourteen weeks, and a download in seven of them"
    assert forecast(weeks([10] * 8), day=date(2027, 1, 1)) is not None


def test_the_history_is_that_of_our_own_downloads(organization):
    now = timezone.now()
    for days, count, state in ((30, 7, "complete"), (29, 8, "complete"), (20, 9, "quarantined"), (800, 1, "complete")):
        at = now - timedelta(days=days)
        stats = {"by_license": {"full": count, "free": 3}}
        DownloadRun.objects.create(
            profile=organization.profile,
            state=state,
            started_by="schedule",
            finished_at=at,
            lease_until=at,
            stats=stats,
        )
    assert weekly_seats(organization.profile, "renamed") == [], "no weeks with 0 seats"
    found = weekly_seats(organization.profile, "full")
    expected = {timezone.localdate(now - timedelta(days=days)).isocalendar()[:2]: n for days, n in ((30, 7), (29, 8))}
    assert [week.seats for week in found] == list(expected.values())
