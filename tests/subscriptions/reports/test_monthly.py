"""The monthly report is made once and mailed once to each person, and its figures are the sums of their rows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from subscriptions import sweep, tasks
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import (
    DownloadRun,
    MonthlyReport,
    Notification,
    Per,
    Reclaim,
    ReportSettings,
    Subscription,
)
from subscriptions.models.subscription import HELD
from subscriptions.money.prices import PriceInput, enter_price
from subscriptions.money.savings import Ledger, Stage
from subscriptions.profiles import archive
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reports import monthly
from subscriptions.reports.figures import amounts, figures, first_of, month_before, profiles_of, total
from subscriptions.reports.monthly import make_due, report_settings, save_settings
from subscriptions.reports.texts import bought_text, text_of
from tests.support.fixtures import person
from tests.support.people.colleagues import NOON, Colleagues
from tests.support.people.restoring import reclaimed

LAST_MINUTE = datetime(2026, 12, 1, 0, 59, tzinfo=UTC)


def switched_on(zoe, *others, day: int = 3, enabled: bool = True) -> bool:
    seen = report_settings().version
    return save_settings(enabled=enabled, day=day, recipients=[zoe, *others], seen=seen, actor=zoe)


def minute(colleagues: Colleagues) -> int:
    """Run the sweep and its tasks once. Returns how many mails were handed over."""
    handed = colleagues.minute()
    make_due()
    return handed


def test_each_month_is_made_once_and_mailed_once_to_each_person(colleagues: Colleagues, alice):
    zoe, operator = person("zoe", "Company admin"), person("oscar", "Operator")
    DownloadRun.objects.filter(pk=colleagues.organization.run.pk).update(finished_at=NOON)
    with time_machine.travel(NOON, tick=False) as clock:
        switched_on(zoe, alice, operator)
        assert minute(colleagues) == 0
        assert not MonthlyReport.objects.exists(), "nobody was known in October"

        clock.move_to(LAST_MINUTE)
        minute(colleagues)
        assert not MonthlyReport.objects.exists(), "the last reclaims of November may not be written yet"
        clock.shift(timedelta(minutes=2))
        minute(colleagues)
        made = MonthlyReport.objects.get()
        assert made.month == date(2026, 11, 1)
        assert make_due() is None
        assert minute(colleagues) == 0, "its day is the third"

        clock.move_to(datetime(2026, 12, 3, 0, 1, tzinfo=UTC))
        sweep.notify()
        sweep.notify()  # of another worker
        assert minute(colleagues) == 2
        assert minute(colleagues) == 0
        for user in (zoe, alice):
            assert colleagues.subjects(user) == ["Report of November 2026: licenses"]
        text = colleagues.text(zoe)
        assert "Northwind" in text and "Open candidates: 8" in text and "No request is open." in text
        assert "/admin/subscriptions/monthlyreport/?month=2026-11" in text
        assert colleagues.subjects(operator) == [], "this role may not see reports"

        # Nothing is sent twice after the mail was switched off and on, or its day was changed.
        switched_on(zoe, enabled=False)
        minute(colleagues)
        switched_on(zoe, alice, day=4)
        clock.shift(timedelta(days=5))
        assert minute(colleagues) == 0
        assert Notification.objects.filter(kind="report").count() == 1

        clock.move_to(datetime(2027, 1, 4, 0, 1, tzinfo=UTC))
        minute(colleagues)
        minute(colleagues)
        assert colleagues.subjects(zoe)[1:] == ["Report of December 2026: licenses"]
    assert MonthlyReport.objects.get(month=made.month).data == made.data


def test_a_report_that_was_due_before_the_mail_was_switched_on_is_not_mailed(colleagues: Colleagues):
    zoe = person("zoe", "Company admin")
    DownloadRun.objects.filter(pk=colleagues.organization.run.pk).update(finished_at=NOON)
    with time_machine.travel(datetime(2026, 12, 10, 12, tzinfo=UTC), tick=False):
        make_due()
        switched_on(zoe, day=3)
        assert minute(colleagues) == 0
        switched_on(zoe, day=10)
        assert minute(colleagues) == 1


def test_settings_that_cannot_be_right_are_refused_and_changes_are_recorded(organization, alice, bob):
    for day, people, sentence in ((0, [alice], "from 1 to 28"), (29, [alice], "from 1 to 28"), (1, [], "at least one")):
        with pytest.raises(Refused, match=sentence):
            save_settings(enabled=True, day=day, recipients=people, seen=0, actor=alice)
    assert switched_on(alice)
    assert not switched_on(alice)
    with pytest.raises(NotActionable, match="meanwhile"):
        save_settings(enabled=True, day=5, recipients=[bob], seen=0, actor=bob)
    assert switched_on(alice, bob)
    events = AuditEvent.objects.filter(action="report.settings_changed").order_by("sequence")
    assert [event.data["after"]["recipients"] for event in events] == [["alice"], ["alice", "bob"]]
    assert events[1].data["before"]["recipients"] == ["alice"]


def test_of_two_saves_of_the_settings_at_once_one_is_refused(organization, alice, bob, monkeypatch):
    """Both have read the same version. The second one overwrites nothing, and its transaction ends."""
    switched_on(alice)

    def saved_meanwhile() -> ReportSettings:
        row = report_settings()
        monkeypatch.setattr(monthly, "report_settings", report_settings)
        switched_on(alice, day=7)
        return row

    monkeypatch.setattr(monthly, "report_settings", saved_meanwhile)
    with pytest.raises(NotActionable, match="meanwhile"):
        save_settings(enabled=False, day=9, recipients=[bob], seen=1, actor=bob)
    now = report_settings()
    assert (now.enabled, now.recipients, now.changed_by) == (True, [alice.pk], alice)
    assert not AuditEvent.objects.filter(action="report.settings_changed", actor_name="bob").exists()


def test_the_figures_are_the_sums_of_their_rows(world, alice, bob):
    items = reclaimed(world, alice, bob, 4)
    since = timezone.localdate() - timedelta(days=400)
    for license, amount, currency in (("full", "240", "USD"), ("free_restricted", "0", "USD")):
        enter_price(world.profile, PriceInput(license, Decimal(amount), currency, Per.YEAR, since), actor=alice)
    restores.restore(items[0], actor=alice, reason="Back from leave")
    reclaim_due(world.profile)
    # A reclaim of another month, and one at its last moment.
    month = first_of(timezone.localdate())
    first = timezone.make_aware(datetime.combine(month, datetime.min.time()))
    Reclaim.objects.filter(pk=items[1].pk).update(finished_at=first - timedelta(microseconds=1))
    Reclaim.objects.filter(pk=items[2].pk).update(finished_at=first)
    Subscription.objects.filter(pk=items[3].subscription_id).update(department="", cost_center="")

    [found] = figures([world.profile], month)

    held = Subscription.objects.filter(HELD, profile=world.profile).exclude(license="free_restricted")
    paid = held.filter(license__in=["full"]).count()
    assert amounts(found, "amount") == {"USD": Decimal(240 * paid)}
    assert total(found, "seats") >= paid
    assert found["in_use"] == paid < total(found, "seats"), "the vendor says only how many Full seats were bought"
    assert bought_text(found) == f"{paid} of {found['bought']} bought in use"
    assert total(found, "inactive") == Subscription.objects.candidates().count() > 10
    ledger = Ledger([world.profile], month.year)
    rows = [ledger.rows(stage).filter(at__gte=first) for stage in (Stage.VERIFIED, Stage.AGAIN)]
    assert (total(found, "reclaimed"), total(found, "again")) == tuple(row.count() for row in rows) == (3, 1)
    assert total(found, "restored") == 1
    assert amounts(found, "saved") == {"USD": Decimal(2 * 240)}
    places = [(line["department"], line["cost_center"], line["currency"]) for line in found["lines"]]
    assert len(places) == len(set(places)) > 2
    [unknown] = [line for line in found["lines"] if line["department"] == "" and line["reclaimed"]]
    assert Decimal(unknown["saved"]) == 240 * (unknown["reclaimed"] - unknown["again"])


def test_no_saving_of_a_month_is_lost_with_its_profile(world, alice, bob):
    """The profile was archived in the month. Its seats are those of the profile after it."""
    reclaimed(world, alice, bob, 2)
    archive.archive(world.profile, typed_name=world.profile.name, actor=bob)
    month = first_of(timezone.localdate())

    assert not profiles_of(month_before(month)).exists()
    [found] = figures(profiles_of(month), month)

    assert [total(found, name) for name in ("reclaimed", "seats", "inactive")] == [2, 0, 0]
    assert (found["bought"], found["candidates"]) == (None, 0)
    assert f"{world.profile.name} (archived)" in text_of(MonthlyReport(month=month, data={"profiles": [found]}))


def test_a_restore_counts_by_the_price_of_its_day(world, alice, bob):
    """A restore counts as a reclaim does: one of a license that costs nothing is in no line."""
    items = reclaimed(world, alice, bob, 2)
    today = timezone.localdate()
    for amount, since in (("240", today - timedelta(days=400)), ("0", today)):
        enter_price(world.profile, PriceInput("full", Decimal(amount), "USD", Per.YEAR, since), actor=alice)
    for item in items:
        restores.restore(item, actor=alice, reason="Back from leave")
    assert reclaim_due(world.profile).restored == 2
    month = first_of(today)
    [found] = figures([world.profile], month)
    assert (total(found, "reclaimed"), total(found, "restored")) == (0, 0)

    yesterday = timezone.now() - timedelta(days=1)
    Reclaim.objects.filter(direction="reactivate").update(finished_at=yesterday)
    [found] = figures([world.profile], first_of(timezone.localdate(yesterday)))
    assert {line["currency"] for line in found["lines"] if line["restored"]} == {"USD"}
    assert total(found, "restored") == 2


def test_the_sweep_makes_it(organization):
    DownloadRun.objects.filter(pk=organization.run.pk).update(finished_at=NOON)
    with time_machine.travel(LAST_MINUTE + timedelta(minutes=2), tick=False):
        tasks.sweep()
    assert MonthlyReport.objects.get().data["profiles"][0]["candidates"] == 8
