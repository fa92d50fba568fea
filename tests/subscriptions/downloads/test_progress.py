"""The pages of the run and of its profile tell how far a download is, and how many calls and how much time it took."""

from __future__ import annotations

from django.urls import reverse
from django.utils import timezone

from integrations.models import IntegrationProfile
from subscriptions.models import DownloadRun, Subscription
from subscriptions.profiles import lifecycle
from tests.support.fixtures import MEMBERS
from tests.support.web.pages import text_of


def page(run: DownloadRun) -> str:
    return reverse("admin:subscriptions_downloadrun_change", args=[run.pk])


def test_requests_and_credits_are_those_that_miro_counted(world):
    before = world.miro.requests()[-1]["n"] if world.miro.requests() else 0
    world.miro.fault("error_before", match={"path": "/members"})  # one that is tried again
    found = world.download()
    found.refresh_from_db()
    asked = world.miro.requests(before)
    rest = [entry for entry in asked if entry["api"] == "rest"]
    assert found.requests == len(asked)
    assert found.credits == sum(credits_of(entry["path"]) for entry in rest)


def credits_of(path: str) -> int:
    """https://developers.miro.com/reference/rate-limiting: level 1 for teams, 2 for their members, 3 for the rest."""
    return 50 if path.endswith("/teams") else 100 if "/teams/" in path else 500


def test_progress_is_told_while_it_runs(world, client, carol):
    world.download()
    found = DownloadRun.objects.get()
    DownloadRun.objects.update(state="running", read=60, pages=1)
    client.force_login(carol)
    address = reverse("admin:subscriptions_downloadrun_progress", args=[found.pk])
    text = text_of(client.get(page(found)))
    assert f'hx-get="{address}"' in text
    piece = client.get(address)
    assert f"60 of about {MEMBERS} members" in text_of(piece)
    assert "HX-Refresh" not in piece
    DownloadRun.objects.update(state="complete")
    assert client.get(address)["HX-Refresh"] == "true"


def test_progress_is_not_for_everybody(world, client, dave):
    world.first_download()
    client.force_login(dave)
    address = reverse("admin:subscriptions_downloadrun_progress", args=[DownloadRun.objects.get().pk])
    assert client.get(address).status_code == 403


def test_the_first_download_is_measured_by_nothing(world, client, carol):
    world.download()
    Subscription.objects.update(gone_at=timezone.now())
    DownloadRun.objects.update(state="running", read=60, pages=1)
    client.force_login(carol)
    text = text_of(client.get(page(DownloadRun.objects.get())))
    assert "60 members, 1 page" in text
    assert "of about" not in text


def test_the_profile_follows_a_run_from_the_click_to_its_end(world, client, olivia):
    world.first_download()
    client.force_login(olivia)
    profile = reverse("admin:integrations_integrationprofile_change", args=[world.profile.pk])
    due = reverse("admin:integrations_integrationprofile_due", args=[world.profile.pk])
    assert f'hx-get="{due}"' not in text_of(client.get(profile))
    lifecycle.make_download_due(world.profile, actor=olivia)
    assert f'hx-get="{due}"' in text_of(client.get(profile))
    waits = client.get(due)
    assert (waits.status_code, "HX-Refresh" in waits) == (204, False)
    IntegrationProfile.objects.update(download_due_at=None)
    DownloadRun.objects.update(state="running", read=60, pages=1)
    assert client.get(due)["HX-Refresh"] == "true"
    assert f"60 of about {MEMBERS} members" in text_of(client.get(profile))


def test_a_stranger_does_not_follow_it(world, client, dave):
    client.force_login(dave)
    due = reverse("admin:integrations_integrationprofile_due", args=[world.profile.pk])
    assert client.get(due).status_code == 403
