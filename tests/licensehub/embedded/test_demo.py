"""The scenes of the demo: each shows one fault after the usual download."""

from __future__ import annotations

from threading import Event

from licensehub.embedded import demo
from subscriptions.downloads.run import download_subscriptions
from subscriptions.models import DownloadRun, RunState
from subscriptions.models.download import StartedBy
from tests.support.web.pages import text_of


def test_the_scene_of_a_frozen_feed_ends_with_a_quarantined_download(world, monkeypatch, admin_client):
    driver = demo.Driver(world.miro, Event(), print)

    def download(self: demo.Driver, *, expected: RunState = RunState.COMPLETE) -> DownloadRun:
        """Download in this process. The demo starts a process for it."""
        run = download_subscriptions(world.profile, actor=None, started_by=StartedBy.COMMAND)
        assert run.state == expected
        return run

    monkeypatch.setattr(demo.Driver, "download", download)
    driver.end_scenes()
    driver.download()

    said = demo.SCENES["frozen-feed"](driver, "http://127.0.0.1:8000/")

    assert "is quarantined. Miro shows no activity within the last 3 days" in said
    path = said.rpartition("http://127.0.0.1:8000")[2]
    assert "Why this download was not used" in text_of(admin_client.get(path))
    # The next demo on the same data begins as usual.
    driver.end_scenes()
    driver.download()
