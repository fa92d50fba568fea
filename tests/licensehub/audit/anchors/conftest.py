"""A bucket that takes anchors, on the loopback."""

from __future__ import annotations

import pytest

from tests.support.servers.object_store import ObjectStore


@pytest.fixture
def bucket(settings, monkeypatch, allow_http):
    store = ObjectStore()
    allow_http(store.server.url)
    settings.ANCHOR_S3_BUCKET, settings.ANCHOR_S3_ENDPOINT = "anchors", store.server.url
    settings.ANCHOR_S3_REGION, settings.ANCHOR_S3_DAYS = "eu-central-1", 400
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "tests")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield store
    store.server.stop()
