"""Each number of a download's page opens exactly the people behind it, or says that they are not kept."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from integrations.connectors.contract import Member
from subscriptions.activity.retention import thin_past_activity
from subscriptions.downloads import rows_of_run
from subscriptions.models import ActivitySnapshot, DownloadRun, Subscription
from tests.support.data import scenario
from tests.support.data.scenario import Scenario
from tests.support.people.organization import limited_to
from tests.support.web import exports
from tests.support.web.pages import text_of

LIST = reverse("admin:subscriptions_subscription_changelist")


@pytest.fixture
def runs(db) -> list[DownloadRun]:
    """Three downloads of one organization, with one of another organization in between.

    The second one finds two other licenses, and one person who left. In the third one that person is back, another one
    left, and there are three new people.
    """
    story, other = Scenario.begin(3), Scenario.begin(4)
    first, second, third, fourth = story.members.values()
    moved = [member._replace(license="advanced", role="another") for member in (second, third)]
    runs = [download(story, [first, second, third, fourth])]
    other.run()
    runs.append(download(story, [first, *moved]))
    story.members.clear()
    for _ in range(3):
        story._join()
    runs.append(download(story, [fourth, *moved, *story.members.values()]))
    return runs


def download(story: Scenario, members: list[Member]) -> DownloadRun:
    story.go_on(1)
    run = scenario.download(story.profile, members, at=story.now)
    run.refresh_from_db()
    return run


def numbers_of(run: DownloadRun) -> dict[str, int]:
    return {"new": run.new, "changed": run.changed, "gone": run.gone}


def address(run: DownloadRun, part: str) -> str:
    return f"{LIST}?run={part}-{run.pk}"


def people(client, url: str) -> set[str]:
    """The vendor's ids of the rows that the list exports."""
    found = exports.rows(client.get(url.replace(LIST, f"{LIST}export/")))
    return {line["Vendor ID"] for line in found}


def test_the_rows_behind_each_number_are_as_many(runs, carol, as_user):
    client = as_user(carol)
    assert [numbers_of(run) for run in runs] == [
        {"new": 4, "changed": 0, "gone": 0},
        {"new": 0, "changed": 2, "gone": 1},
        {"new": 3, "changed": 1, "gone": 1},
    ]
    for run in runs:
        page = text_of(client.get(reverse("admin:subscriptions_downloadrun_change", args=[run.pk])))
        for part, number in numbers_of(run).items():
            assert (f'href="{address(run, part)}"' in page) is bool(number)
            assert client.get(address(run, part)).context["cl"].result_count == number
            assert len(people(client, address(run, part))) == number


def test_the_rows_are_those_people(runs, carol, as_user):
    """Rows that another download wrote, or an organization beside this one, are not among them."""
    client = as_user(carol)
    shown = {(run.pk, part): people(client, address(run, part)) for run in runs for part in numbers_of(run)}
    first, second, third = runs
    everybody = set(Subscription.objects.filter(profile=first.profile).values_list("external_id", flat=True))
    assert shown[first.pk, "new"] | shown[third.pk, "new"] == everybody
    assert not shown[first.pk, "new"] & shown[third.pk, "new"]
    assert shown[second.pk, "gone"] == shown[third.pk, "changed"], "the person who came back"
    assert shown[third.pk, "gone"] < shown[first.pk, "new"] - shown[second.pk, "changed"]


def test_very_many_rows_are_read_in_the_order_of_their_ids(runs, carol, as_user, monkeypatch):
    expected = {(run.pk, part): people(as_user(carol), address(run, part)) for run in runs for part in numbers_of(run)}
    monkeypatch.setattr(rows_of_run, "MAX_SORTED", 0)
    client = as_user(carol)
    for run in runs:
        for part, number in numbers_of(run).items():
            found = client.get(f"{address(run, part)}&o=activity").context["cl"]
            assert found.result_count == number
            assert people(client, address(run, part)) == expected[run.pk, part]
            keys = [row.pk for row in found.result_list]
            assert keys == sorted(keys)


def test_a_thinned_download_says_that_its_rows_are_not_kept(runs, carol, as_user, settings):
    settings.SNAPSHOT_DAYS = 30
    assert thin_past_activity()
    client, run = as_user(carol), runs[1]
    page = text_of(client.get(reverse("admin:subscriptions_downloadrun_change", args=[run.pk])))
    assert "who changed or left with this download is not known" in page
    assert address(run, "changed") not in page and address(run, "gone") not in page
    # Not the rows of the whole month.
    assert ActivitySnapshot.objects.filter(run=runs[2]).count() > 1
    assert people(client, address(runs[2], "changed")) == set()
    assert address(runs[0], "new") in text_of(
        client.get(reverse("admin:subscriptions_downloadrun_change", args=[runs[0].pk]))
    )


@pytest.mark.parametrize("value", ["new", "new-", "new-999999", "gone-x", "other-1", f"new-{'9' * 40}", "new-²"])
def test_an_address_that_names_no_download_finds_nobody(runs, carol, as_user, value):
    found = as_user(carol).get(LIST, {"run": value}).context["cl"]
    assert (found.result_count, [chip.known for chip in found.chips]) == (0, [False])


def test_a_download_without_facts_has_no_rows(runs, carol, as_user):
    DownloadRun.objects.filter(pk=runs[1].pk).update(state="quarantined")
    client = as_user(carol)
    page = text_of(client.get(reverse("admin:subscriptions_downloadrun_change", args=[runs[1].pk])))
    assert "?run=" not in page and "A download stores only" not in page
    assert people(client, address(runs[1], "changed")) == set()


def test_who_may_not_see_people_gets_no_links(runs, sign_in):
    client = sign_in("Operator")
    page = text_of(client.get(reverse("admin:subscriptions_downloadrun_change", args=[runs[2].pk])))
    assert ">3<" in page and "?run=" not in page
    assert client.get(address(runs[2], "new")).status_code == 403


def test_no_query_for_each_person(runs, carol, as_user):
    client = as_user(carol)
    asked = {}
    for run, part in ((runs[2], "gone"), (runs[1], "changed"), (runs[0], "new")):
        client.get(address(run, part))
        with CaptureQueriesContext(connection) as found:
            client.get(address(run, part))
        asked[getattr(run, part)] = len(found)
    assert sorted(asked) == [1, 2, 4]
    # Who is new needs no look into the history.
    assert asked[1] == asked[2] == asked[4] + 1 <= 24


def test_an_account_of_another_profile_sees_nobody(runs, carol, as_user):
    other = DownloadRun.objects.exclude(profile=runs[0].profile).get()
    client = as_user(limited_to(carol, other.profile))
    assert people(client, address(runs[0], "new")) == set()
    assert len(people(client, address(other, "new"))) == other.new > 0
