"""The numbers agree with the lists behind them, and an empty overview shows the next step."""

from __future__ import annotations

import csv
import html
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from integrations.models import IntegrationProfile
from subscriptions.admin.widgets.charts import (
    BOTTOM,
    LABEL_HEIGHT,
    SHADES,
    TOP,
    histogram_of,
    histogram_of_download,
    trend,
)
from subscriptions.approvals.request import request_reclaim
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.eligibility.people_counts import Group, PeopleCounts, current_counts
from subscriptions.models import DownloadRun, ReclaimRequest, ReclaimRule, RemovalCandidate, Verdict
from subscriptions.rules.protections import ProtectionInput, create_protection
from tests.support.web.pages import text_of

INDEX = "admin:index"
# On PostgreSQL, `large_tables` sets how it plans, and sets it back.
QUERIES = {"sqlite": 43, "postgresql": 46}


def tiles(context) -> dict[str, object]:
    return {tile.label: tile for tile in context["tiles"]}


@pytest.mark.parametrize(
    ("label", "expected"),
    [("Assigned", 17), ("Inactive over 60 days", 5), ("Never active", 3), ("Protected or not removable", 2)],
)
def test_each_tile_counts_what_its_list_shows(run, sign_in, label, expected):
    client = sign_in("Auditor")
    tile = tiles(client.get(reverse(INDEX)).context)[label]
    assert tile.number == str(expected)
    assert client.get(tile.link).context["cl"].result_count == expected


@pytest.mark.parametrize(
    ("days", "then", "text"),
    [
        (7, 24, "19 fewer than a week ago"),
        (6, 4, "1 more than a week ago"),
        (8, 5, "as many as a week ago"),
        (4, 24, "candidates by the rule"),
        (10, 24, "candidates by the rule"),
    ],
)
def test_the_tile_says_the_change_against_last_week(run, sign_in, days, then, text):
    at = timezone.now() - timedelta(days=days)
    same = {"profile": run.profile, "state": "complete", "started_by": "schedule", "started_at": at, "lease_until": at}
    DownloadRun.objects.create(**same, finished_at=at, stats={"verdicts": {"candidate": then}})
    # This download is too near to today to be a number of a week ago.
    day = timezone.now() - timedelta(days=1)
    DownloadRun.objects.create(**{**same, "started_at": day}, finished_at=day, stats={"verdicts": {"candidate": 99}})
    assert tiles(sign_in("Auditor").get(reverse(INDEX)).context)["Inactive over 60 days"].text == text


def test_open_requests_are_counted(run, sign_in):
    request_reclaim(RemovalCandidate.objects.all(), actor=user_of(sign_in("License manager")))
    context = sign_in("Approver").get(reverse(INDEX)).context
    assert tiles(context)["Awaiting approval"].number == "1"
    assert tiles(context)["Awaiting approval"].text == "request, 5 seats"
    assert context["waiting"][0]["title"] == "1 request to decide"


def test_protections_that_end_soon_are_named_and_listed(run, sign_in, alice):
    """One whose end is far away, one without an end, and one that ends soon."""
    for email, days in (("a@x.example", 15), ("b@x.example", None), ("soon@x.example", 13)):
        ends_at = timezone.now() + timedelta(days=days) if days else None
        wish = ProtectionInput(reason="On parental leave", owner="Petra Meyer", ends_at=ends_at)
        create_protection(run.profile, "person", email, wish, actor=alice)
    client = sign_in("Auditor")
    [line] = [line for line in client.get(reverse(INDEX)).context["waiting"] if "protection" in line["title"]]
    assert line["title"] == "1 protection ends within 14 days"
    assert [row.value for row in client.get(line["link"]).context["cl"].result_list] == ["soon@x.example"]
    everybody = client.get(reverse("admin:subscriptions_protection_changelist")).context["cl"]
    assert everybody.result_count == 3


def test_the_strip_says_how_old_a_token_is(run, sign_in):
    """A person entered the token of SCIM; the vendor renews that of the OAuth app."""
    assert run.profile.connections.update(credentials_set_at=timezone.now() - timedelta(days=40), state="working") == 2
    strip = {item.label: item.text for item in sign_in("Auditor").get(reverse(INDEX)).context["health"]}
    assert strip["Connections"] == "2 working" and strip["SCIM API token"] == "set 40 days ago"
    assert "OAuth app" not in strip
    for days, tone, text in (
        (364, "neutral", "set 364 days ago"),
        (365, "warning", "set 365 days ago; store a new one"),
    ):
        run.profile.connections.update(credentials_set_at=timezone.now() - timedelta(days=days))
        [item] = [one for one in sign_in("Auditor").get(reverse(INDEX)).context["health"] if one.icon == "history"]
        assert (item.tone, item.text) == (tone, text)


def test_the_overview_exports_the_people_of_its_tile(run, sign_in):
    """Exactly the rows of the list behind the tile. Somebody who sees no people has no button, and gets no file."""
    client = sign_in("Auditor")
    context = client.get(reverse(INDEX)).context
    listed = client.get(tiles(context)["Inactive over 60 days"].link).context["cl"].result_list
    rows = csv.DictReader(client.get(context["export"]).getvalue().decode("utf-8-sig").splitlines())
    emails = sorted(row["E-mail"] for row in rows)
    assert emails == sorted(row.email for row in listed) and len(emails) == 5
    operator = sign_in("Operator")
    assert "export" not in operator.get(reverse(INDEX)).context
    assert operator.get(context["export"]).status_code == 403


def test_the_steps_of_the_savings_and_the_tile_agree(run, sign_in):
    """The tile counts all inactive people, the card those on their way; it names the others."""
    client = sign_in("Auditor")

    def shown() -> tuple[str, str, str]:
        context = client.get(reverse(INDEX)).context
        amounts = [step["amount"] for step in context["savings"]["steps"]]
        return tiles(context)["Inactive over 60 days"].number, amounts[0], str(context["savings"]["attention"])

    note = "candidate with attention required is inactive, too, and in none of these"
    assert shown() == ("5", "5", "0") and note not in text_of(client.get(reverse(INDEX)))
    RemovalCandidate.objects.filter(pk=RemovalCandidate.objects.first().pk).update(state="attention_required")
    assert shown() == ("5", "4", "1") and f"1 {note}" in text_of(client.get(reverse(INDEX)))


@pytest.mark.parametrize("role", ["Auditor", "Approver"])
def test_few_queries(run, sign_in, monkeypatch, django_assert_max_num_queries, role):
    """Two requests take as few as one."""
    monkeypatch.setattr("licensehub.site.dashboard.overview.is_set_up", lambda: True)
    client, asks = sign_in(role), user_of(sign_in("License manager"))
    first, *others = RemovalCandidate.objects.values_list("pk", flat=True)
    for some in ([first], others):
        request_reclaim(RemovalCandidate.objects.filter(pk__in=some), actor=asks)
        client.get(reverse(INDEX))
        with django_assert_max_num_queries(QUERIES[connection.vendor]):
            assert client.get(reverse(INDEX)).status_code == 200


def test_the_strip_says_that_a_request_waits_for_answers(run, sign_in):
    asked = request_reclaim(RemovalCandidate.objects.all(), actor=user_of(sign_in("License manager")))
    until = timezone.now() + timedelta(days=7)  # calendar days
    ReclaimRequest.objects.update(state="collecting", answers_until=until)
    strip = {item.label: item.text for item in sign_in("Approver").get(reverse(INDEX)).context["health"]}
    assert strip[str(asked)] == "waits for people's answers, 7 days left"
    assert "Requests" not in strip


def test_a_very_large_count_in_open_requests_is_capped(run, sign_in, monkeypatch):
    monkeypatch.setattr("licensehub.ui.lists.counts.STOP", 4)
    request_reclaim(RemovalCandidate.objects.all(), actor=user_of(sign_in("License manager")))
    context = sign_in("Approver").get(reverse(INDEX)).context
    assert tiles(context)["Awaiting approval"].text == "request, 4+ seats"


def test_a_quarantined_download_waits_for_those_who_decide_on_it(run, sign_in):
    """Its page offers no acceptance if it cannot be accepted."""
    values = {"state": "quarantined", "acceptable": False, "problem": "The pages go round in a circle."}
    now = timezone.now()
    bad = DownloadRun.objects.create(
        profile=run.profile, started_by="schedule", started_at=now, lease_until=now, **values
    )
    operator, auditor = sign_in("Operator"), sign_in("Auditor")

    [waiting] = [line for line in operator.get(reverse(INDEX)).context["waiting"] if "quarantined" in line["title"]]
    assert (waiting["title"], waiting["text"]) == ("1 download is quarantined", values["problem"])
    shown = text_of(operator.get(waiting["link"]))
    assert "This download cannot be accepted" in shown and "It was not read to its end" in shown
    assert "two people can accept" not in shown and "Propose to accept" not in shown and "Discard" in shown
    assert not any("quarantined" in line["title"] for line in auditor.get(reverse(INDEX)).context["waiting"])

    DownloadRun.objects.filter(pk=bad.pk).update(acceptable=True)
    assert "Accept or discard" in text_of(operator.get(waiting["link"]))


def user_of(client) -> User:
    return User.objects.get(pk=client.session["_auth_user_id"])


def test_each_bar_links_to_as_many_subscriptions(run, sign_in):
    client = sign_in("Auditor")
    page = client.get(reverse(INDEX))
    links = re.findall(
        r'class="lh-bar-link" href="([^"]+)" aria-label="[^:]+: (\d+) seats?[^"]*"', page.content.decode()
    )
    assert len(links) == 14
    assert sum(int(count) for _, count in links) == 17
    for link, count in links:
        assert client.get(html.unescape(link)).context["cl"].result_count == int(count)


def test_license_lines_agree_with_their_list(run, sign_in):
    client = sign_in("Auditor")
    for line in client.get(reverse(INDEX)).context["licenses"]:
        assert client.get(line["link"]).context["cl"].result_count == line["count"]


def test_the_threshold_follows_the_rule(run, sign_in):
    ReclaimRule.objects.update(last_activity_threshold=100)
    evaluate_profile(run.profile)
    context = sign_in("Auditor").get(reverse(INDEX)).context
    assert tiles(context)["Inactive over 100 days"].number == "1"
    assert context["histogram"].threshold == 100


def test_an_empty_admin_shows_the_first_steps(sign_in):
    page = sign_in("Company admin").get(reverse(INDEX)).content.decode()
    assert "Connect Miro" in page
    assert "Create an integration profile" in page
    assert reverse("admin:integrations_integrationprofile_add") in page
    assert (
        reverse("admin:integrations_integrationprofile_add")
        not in sign_in("Auditor").get(reverse(INDEX)).content.decode()
    )


def test_a_person_without_permissions_gets_a_sentence(run, sign_in):
    page = sign_in("").get(reverse(INDEX)).content.decode()
    assert "Your account has no role here yet" in page
    assert "lh-tile-number" not in page


def test_an_operator_sees_the_health_and_no_numbers(run, sign_in):
    page = sign_in("Operator").get(reverse(INDEX)).content.decode()
    assert "lh-health" in page
    assert "lh-tile-number" not in page


@pytest.mark.parametrize(("role", "offered"), [("Operator", True), ("Company admin", True), ("Approver", False)])
def test_people_who_may_download_can_do_it_from_the_overview(run, sign_in, role, offered):
    IntegrationProfile.objects.filter(pk=run.profile_id).update(state="published")
    address = reverse("admin:integrations_integrationprofile_action", args=[run.profile_id, "download"])
    client = sign_in(role)
    assert (f'action="{address}"' in text_of(client.get("/admin/"))) is offered
    IntegrationProfile.objects.filter(pk=run.profile_id).update(state="paused")
    assert f'action="{address}"' not in text_of(client.get("/admin/"))


def test_profiles_can_be_switched(run, draft, sign_in):
    from subscriptions.profiles import lifecycle

    other = lifecycle.create_profile(name="Second", organization_id="43", kind="miro_enterprise", actor=None)
    client = sign_in("Auditor")
    assert client.get(reverse(INDEX)).context["profile"] == run.profile
    assert client.get(reverse(INDEX), {"profile": other.pk}).context["profile"] == other
    assert client.get(reverse(INDEX), {"profile": "nonsense"}).context["profile"] == run.profile


def test_a_very_tall_bar_is_cut_and_the_others_stay_visible():
    people = counts(("0", 2850), ("30", 309), ("60", 79))
    drawn = histogram_of(people, 60)
    assert [bar.cut for bar in drawn.bars[:3]] == [True, False, False]
    assert drawn.bars[1].height > 100
    stats = {"idle": {"0": 2850, "30": 309, "60": 79}, "never": 0}
    assert [bar.height for bar in histogram_of_download(stats, 60, beside={}).bars] == [
        bar.height for bar in drawn.bars
    ]


@pytest.mark.parametrize("threshold", [1, 45, 60, 3650])
def test_the_line_stays_inside_the_drawing(threshold):
    drawn = histogram_of(counts(), threshold)
    assert -6 <= drawn.line_x <= 640
    assert all(bar.height == 0 for bar in drawn.bars)


def counts(*bands: tuple[str, int], verdict: str = "active") -> PeopleCounts:
    return PeopleCounts(tuple(Group(verdict, "full", *band) for band in bands), timezone.now(), live=True)


@pytest.mark.parametrize(("active", "inactive"), [(185, 169), (169, 185), (0, 0), (1, 40), (200, 200), (0, 3)])
def test_the_two_numbers_of_a_trend_never_overlap(active, inactive):
    now = timezone.now()
    verdicts = {"active": active, "candidate": inactive}
    runs = [DownloadRun(started_at=now, finished_at=now, stats={"verdicts": verdicts}) for _ in range(2)]
    people = PeopleCounts(
        (Group("active", "full", "0", active), Group("candidate", "full", "90", inactive)), now, live=True
    )
    drawn = trend(runs, people)
    lines = (drawn.active, drawn.inactive)
    assert abs(lines[0].label_y - lines[1].label_y) >= LABEL_HEIGHT
    assert all(TOP <= line.label_y <= BOTTOM for line in lines)
    assert (lines[0].label_y > lines[1].label_y) == (active < inactive)


def test_a_trend_needs_two_runs(run):
    people = current_counts(run.profile)
    run.stats["verdicts"] = {"active": 9, "candidate": 3}
    assert trend([run], people) is None
    assert trend([run, DownloadRun(stats={}, finished_at=timezone.now())], people) is None, "without verdicts"
    drawn = trend([run, run], people)
    assert [label.rpartition(" ")[2] for _, _, label in drawn.inactive.dots] == ["3", "3", "5"], "the last one is now"
    assert (drawn.active.last, drawn.inactive.last) == (7, 5)


def test_the_colors_of_a_chart_are_not_translated_while_they_are_counted(monkeypatch):
    labels, asked = {str(shade.label) for shade in SHADES}, []
    groups = tuple(Group(verdict, "full", "30", 1) for verdict in Verdict if verdict != Verdict.GONE)
    with monkeypatch.context() as during:
        during.setattr("django.utils.translation._trans.gettext", lambda text: asked.append(text) or text)
        drawn = histogram_of(PeopleCounts(groups, timezone.now(), live=True), 60)
    assert len(drawn.legend) > 3 and labels.isdisjoint(asked)
