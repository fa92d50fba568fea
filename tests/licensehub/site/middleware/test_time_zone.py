"""Times are those of the reader: the choice of the account, else the browser's, else the setting."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from subscriptions.candidates import propose
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.models import AccountSettings, DownloadRun, Protection, RemovalCandidate, Subscription
from subscriptions.notifications import deputies
from subscriptions.rules.protection_lines import end_of
from subscriptions.schedules.working_days import until
from tests.support.web.exports import rows, sheets
from tests.support.web.pages import text_of

MOMENT = datetime(2026, 11, 27, 23, 30, tzinfo=UTC)
MINE = "admin:subscriptions_notificationchoice_changelist"
SAVE = "admin:subscriptions_notificationchoice_time_zone"


@pytest.fixture
def page(run):
    DownloadRun.objects.update(started_at=MOMENT, finished_at=MOMENT)
    return reverse("admin:subscriptions_downloadrun_change", args=[run.pk])


@pytest.mark.parametrize(
    ("chosen", "browser", "shown", "named"),
    [
        ("", "", "Nov 27, 2026, 23:30", "Times are in UTC"),
        ("", "Europe/Berlin", "Nov 28, 2026, 00:30", "Times are in Europe/Berlin (CET)"),
        ("Asia/Tokyo", "Europe/Berlin", "Nov 28, 2026, 08:30", "Times are in Asia/Tokyo (JST)"),
        ("", "../../etc/passwd", "Nov 27, 2026, 23:30", "Times are in UTC"),
        ("Mars/Base", "Mars/Base", "Nov 27, 2026, 23:30", "Times are in UTC"),
    ],
)
def test_whose_time_zone_counts(page, sign_in, chosen, browser, shown, named):
    client = sign_in("Auditor")
    AccountSettings.objects.create(user_id=client.session["_auth_user_id"], time_zone=chosen)
    client.cookies["lh_time_zone"] = browser
    text = text_of(client.get(page))
    assert shown in text
    assert named in text
    assert timezone.get_current_timezone_name() == "UTC", "the next request begins as usual"


def test_each_account_chooses_for_itself(page, sign_in):
    client, other = sign_in("Auditor"), sign_in("Approver")
    client.cookies["lh_time_zone"] = "Europe/Berlin"
    assert "The browser's: Europe/Berlin" in text_of(client.get(reverse(MINE)))
    assert client.get(reverse(SAVE)).status_code == 405
    said = client.post(reverse(SAVE), {"time_zone": "America/New_York"}, follow=True)
    assert "Times are shown in America/New_York now." in text_of(said)
    assert "Nov 27, 2026, 18:30" in text_of(client.get(page))
    assert "Nov 27, 2026, 23:30" in text_of(other.get(page))
    assert "Choose a time zone of the list." in text_of(client.post(reverse(SAVE), {"time_zone": "x"}, follow=True))
    client.post(reverse(SAVE), {"time_zone": ""})
    assert "Nov 28, 2026, 00:30" in text_of(client.get(page))


def test_files_have_the_time_zone_of_the_reader(page, sign_in):
    """A CSV file is written when the middleware has ended already."""
    client = sign_in("Auditor")
    client.cookies["lh_time_zone"] = "Asia/Tokyo"
    export = "admin:subscriptions_downloadrun_export"
    [line] = rows(client.get(reverse(export, args=["csv"])))
    assert line["Finished (Asia/Tokyo)"] == "2026-11-28 08:30:00"
    [[line]] = sheets(client.get(reverse(export, args=["xlsx"])))
    assert line["Finished (Asia/Tokyo)"] == datetime(2026, 11, 28, 8, 30)  # noqa: DTZ001 - a cell has no zone


def test_what_all_share_keeps_the_time_zone_of_the_company(run, bob):
    """Evidence, the end of a protection, a day away and mails are the same, whoever causes them."""
    Subscription.objects.filter(last_activity_at=None).update(license_assigned_at=datetime(2025, 11, 3, 23, tzinfo=UTC))
    run.profile.rule.never_active = "candidate"
    run.profile.rule.save()
    with timezone.override("Asia/Tokyo"):
        evaluate_profile(run.profile)
        propose.propose_candidates(run)
        ends_at = end_of(datetime(2026, 12, 31, tzinfo=UTC).date())
        assert Protection(ends_at=ends_at).until_label == "until Dec 31, 2026"
        assert "UTC" in until(MOMENT, zone=True)
        assert "Saturday, Nov 28, 08:30 (" in until(MOMENT)
        assert deputies._today() == timezone.now().date()
    assert ends_at == datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    never = [row.evidence["why"] for row in RemovalCandidate.objects.all() if not row.evidence["last_activity_at"]]
    assert never
    assert all("Never active since assigned on Nov 3, 2025" in why for why in never)
