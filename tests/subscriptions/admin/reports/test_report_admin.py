"""The page of the reports: its figures, its export, and who may choose the recipients."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from subscriptions.admin.reports.report_page import shown_profile
from subscriptions.models import DownloadRun, MonthlyReport
from subscriptions.reports.figures import first_of, month_before
from subscriptions.reports.monthly import make_due, report_settings
from tests.support.fixtures import person

PAGE = "admin:subscriptions_monthlyreport_changelist"


@pytest.fixture
def report(organization) -> MonthlyReport:
    long_ago = timezone.now() - timedelta(days=70)
    DownloadRun.objects.filter(pk=organization.run.pk).update(finished_at=long_ago)
    made = make_due()
    assert made
    return made


def test_only_a_number_whose_rows_stay_has_a_link(report, as_user):
    [data], ada = report.data["profiles"], person("ada", "Auditor")
    line = data["lines"][0]
    dollars, euros = ({**line, "currency": code, "reclaimed": 2} for code in ("USD", "EUR"))
    links = [
        {tile["label"]: tile["link"] for tile in shown["tiles"] if tile["link"]}
        for lines in ([line], [dollars], [dollars, euros])
        if (shown := shown_profile({**data, "lines": lines}, report.month, ada))
    ]
    assert [set(found) for found in links] == [set(), {"Reclaimed", "Saved"}, set()]
    client = as_user(ada)
    for link in links[1].values():
        assert f"of={data['profile']}&" in link and "currency=USD" in link
        assert client.get(link).status_code == 200


def test_the_page_has_the_month_its_numbers_and_their_rows(report, as_user):
    client = as_user(person("ada", "Auditor"))
    shown = client.get(reverse(PAGE))
    text = shown.content.decode()
    assert shown.status_code == 200
    assert f'value="{report.month:%Y-%m}" selected' in text
    assert "Nobody holds a seat." not in text
    assert "fieldset disabled" in text, "an auditor changes nothing"
    [profile] = shown.context["profiles"]
    assert int(profile["lines"][0]["seats"].replace(",", "")) > 0
    assert "@" not in text.split("Who gets it")[-1] or "Who gets it" not in text, "no addresses of accounts"
    so_far = client.get(reverse(PAGE), {"month": f"{first_of(timezone.localdate()):%Y-%m}"}).content.decode()
    assert "The month so far." in so_far
    assert client.get(reverse(PAGE), {"month": "2026-13"}).status_code == 200
    assert as_user(person("oscar", "Operator")).get(reverse(PAGE)).status_code == 403


def test_two_lines_of_one_department_say_why_they_are_two(report):
    [data], ada = report.data["profiles"], person("ada", "Auditor")
    line = {**data["lines"][0], "department": "Sales", "cost_center": "C1", "seats": 3}
    dollars = {**line, "currency": "USD", "amount": "240"}
    other = {**dollars, "department": "Legal"}
    shown = shown_profile({**data, "lines": [line, dollars, other]}, report.month, ada)
    assert [one["note"] for one in shown["lines"]] == ["license types without a price", "USD", ""]
    assert shown["cost"] == "Cost of the seats: $480 per year; 3 seats have no price"


def test_very_many_departments_are_left_to_the_file(report, as_user, monkeypatch):
    monkeypatch.setattr("subscriptions.admin.reports.report_page.SHOWN", 1)
    lines = report.data["profiles"][0]["lines"]
    report.data["profiles"][0]["lines"] = [{**lines[0], "department": f"Team {n} of ours"} for n in range(3)]
    report.save(update_fields=["data"])
    text = as_user(person("ada", "Auditor")).get(reverse(PAGE)).content.decode()
    assert "Team 0 of ours" in text and "Team 1 of ours" not in text and "and 2 more; the file has all" in text


def test_the_file_has_a_row_for_each_department(report, as_user):
    client = as_user(person("ada", "Auditor"))
    address = reverse("admin:subscriptions_monthlyreport_export", args=["csv"])
    month = f"{month_before(first_of(timezone.localdate())):%Y-%m}"
    lines = b"".join(client.get(address, {"month": month}).streaming_content).decode().splitlines()
    assert len(lines) == 1 + len(report.data["profiles"][0]["lines"])
    assert lines[0].startswith("\ufeffMonth,Profile,Department") or lines[0].startswith("Month,Profile,Department")
    assert lines[1].startswith(f"{month},")
    assert as_user(person("oscar", "Operator")).get(address).status_code == 403


def test_a_company_admin_says_who_gets_it(report, as_user):
    zoe, ada = person("zoe", "Company admin"), person("ada", "Auditor")
    values = {"enabled": "on", "day": 5, "recipients": [zoe.pk, ada.pk], "seen": 0}
    assert as_user(ada).post(reverse(PAGE), values).status_code == 403
    client = as_user(zoe)
    assert "less than or equal to 28" in client.post(reverse(PAGE), {**values, "day": 40}).content.decode()
    assert not report_settings().enabled
    answer = client.post(reverse(PAGE), values, follow=True)
    assert "It is saved." in answer.content.decode()
    saved = report_settings()
    assert (saved.enabled, saved.day, saved.recipients) == (True, 5, sorted([zoe.pk, ada.pk]))
    late = client.post(reverse(PAGE), {**values, "day": 6}).content.decode()
    assert "Somebody has changed this page meanwhile." in late
    oscar = person("oscar", "Operator")
    client.post(reverse(PAGE), {**values, "seen": 1, "recipients": [oscar.pk]})
    assert report_settings().recipients == sorted([zoe.pk, ada.pk]), "this role may not see reports"
