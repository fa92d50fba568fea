"""Fixtures of the anchors: a key, a file of its own, and events to anchor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from integrations import sending
from licensehub.audit.actions import Action
from licensehub.audit.anchors.anchor import Anchor
from licensehub.audit.anchors.anchor_file import AnchorFile
from licensehub.audit.anchors.keys import new_keys
from licensehub.audit.anchors.write import send_anchors, write_anchor
from licensehub.audit.log import record
from tests.support.servers.scripted_server import Reply, ScriptedServer


def act(times: int = 1, action: Action = Action.PROFILE_CHANGED) -> None:
    """One commit with so many events."""
    with transaction.atomic():
        for number in range(times):
            record(action, actor=None, target=sending.control(), data={"n": number})


@dataclass
class Anchoring:
    settings: Any
    file: Path

    def anchor(self) -> Anchor:
        """One more event, and an anchor that every destination is asked to take."""
        act()
        anchor = write_anchor()
        assert anchor is not None
        send_anchors()
        return anchor

    def in_file(self) -> list[Anchor]:
        return AnchorFile(self.file).read().anchors


@pytest.fixture
def anchoring(db, settings, tmp_path) -> Anchoring:
    """A new key, and a new file."""
    settings.ANCHOR_KEYS = ",".join(new_keys().words())
    settings.ANCHOR_FILE = tmp_path / "anchors.jsonl"
    return Anchoring(settings, settings.ANCHOR_FILE)


@pytest.fixture
def receiver(allow_http):
    """An HTTP server that takes everything."""
    server = ScriptedServer()
    server.replies = [Reply(200, {})]
    allow_http(server.url)
    yield server
    server.stop()
