"""Past activity that is too old is removed, also of people who are still there; what was decided by it stays."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from licensehub.audit.chain.verify import verify
from licensehub.audit.models import AuditEvent
from subscriptions.activity.retention import _months_ago, remove_old_history, removed_before, thinned_before
from subscriptions.approvals import decide
from subscriptions.evidence.rows.comparison import verify_rows
from subscriptions.models import ActivitySnapshot, RecheckSnapshot, RequestedRemoval
from tests.support.data.scenario import tell
from tests.support.people.organization import page
from tests.support.web.pages import text_of

pytestmark = pytest.mark.django_db
# A run, and a look five days later.
STEPS = [(True, 20.0), (False, 5.0)] * 7


def test_it_keeps_everything_by_default():
    scenario = tell(3, STEPS)
    with time_machine.travel(max(scenario.told) + timedelta(days=4000), tick=False):
        assert remove_old_history() == 0


@pytest.mark.parametrize("seed", range(6))
def test_each_day_that_is_kept_reads_back_as_before(seed, settings):
    """Controls: with `>` for `<=`, or with another month for rechecks, days read back differently."""
    settings.HISTORY_MONTHS = 3
    scenario = tell(seed, STEPS)
    end = max(scenario.told)
    with time_machine.travel(end, tick=False):
        before = _months_ago(end, 3)
        kept = [moment for moment in scenario.told if moment > before]
        whole = {moment: scenario.read_back(moment) for moment in kept}
        snapshots = ActivitySnapshot.objects.count() + RecheckSnapshot.objects.count()
        removed = remove_old_history()
        assert {moment: scenario.read_back(moment) for moment in kept} == whole
        assert remove_old_history() == 0, "once"
        assert ActivitySnapshot.objects.count() + RecheckSnapshot.objects.count() == snapshots - removed
        left = [
            *ActivitySnapshot.objects.filter(run__finished_at__lte=before),
            *RecheckSnapshot.objects.filter(seen_at__lte=before),
        ]
        assert all(row.email is not None for row in left), "former addresses"
        if removed:
            assert removed_before(scenario.profile) == before.date()
            until = thinned_before(scenario.profile)
            assert until is None or until <= end
            event = AuditEvent.objects.get(action="history.removed")
            assert event.data == {"before": before.date().isoformat(), "rows": removed}


def test_begins_of_months():
    moment = datetime(2026, 3, 31, 12, tzinfo=UTC)
    found = [_months_ago(moment, months).date() for months in (1, 3, 15, 99_999)]
    assert found == [date(2026, 2, 1), date(2025, 12, 1), date(2024, 12, 1), date(1, 1, 1)]


def test_what_was_decided_stays(organization, alice, bob, carol, as_user, settings):
    settings.HISTORY_MONTHS = 1
    request = organization.ask(alice, count=2)
    decide.approve(request, actor=bob)
    evidence = list(RequestedRemoval.objects.order_by("pk").values_list("evidence", "reclaim__signature"))
    member = request.removals.first().candidate.subscription
    old = organization.run.finished_at - timedelta(days=100)
    RecheckSnapshot.objects.create(subscription=member, seen_at=old, license="free")
    RecheckSnapshot.objects.create(subscription=member, seen_at=old, email="former@northwind.example")
    found = list(verify_rows())
    assert remove_old_history() == 1
    assert RecheckSnapshot.objects.get().email == "former@northwind.example"
    assert list(RequestedRemoval.objects.order_by("pk").values_list("evidence", "reclaim__signature")) == evidence
    assert verify().findings == [] and list(verify_rows()) == found
    shown = text_of(as_user(carol).get(page("subscription", "change", member.pk)))
    assert "was removed." in shown
