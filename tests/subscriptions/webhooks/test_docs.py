"""docs/webhooks.md has each event with its data, and the receiver that it shows works."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

from django.conf import settings as installed

from subscriptions.webhooks.events import Event
from subscriptions.webhooks.signing import signed_headers
from tests.subscriptions.webhooks.test_bodies import DATA

PAGE = (Path(installed.BASE_DIR) / "docs/webhooks.md").read_text()


def test_the_catalog_has_each_event():
    rows = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", PAGE, re.MULTILINE)
    assert rows == [event.value for event in Event]


def test_the_catalog_has_the_fields_of_each_event():
    # The others have the fields of a request, or those that test_events names.
    for event in (
        *(Event.REQUEST_WAITS, Event.DOWNLOAD_QUARANTINED, Event.DOWNLOAD_MISSING, Event.CONNECTION_FAILED),
        *(Event.RECLAIM_IN_DOUBT, Event.CAP_REACHED, Event.TEST),
    ):
        (line,) = re.findall(rf"^\| `{re.escape(event.value)}` .*$", PAGE, re.MULTILINE)
        assert re.findall(r"`([a-z_]+)`", line.rsplit("|", 2)[1]) == list(DATA[event])


def test_the_receiver_of_the_page_verifies():
    (code,) = re.findall(r"(    import base64, hashlib, hmac, time\n.*?)\n\n(?=Answer)", PAGE, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(textwrap.dedent(code), scope)  # noqa: S102 - our own page
    now = int(scope["time"].time())
    secret = "whsec_" + "QUJD" * 8
    headers = signed_headers(["whsec_AAAA", secret], b"{}", event_id="1", seconds=now)
    assert scope["verify"](headers, b"{}", secret)
    assert not scope["verify"](headers, b"{ }", secret)
    assert not scope["verify"](headers, b"{}", "whsec_BBBB")
    old = signed_headers([secret], b"{}", event_id="1", seconds=now - 400)
    assert not scope["verify"](old, b"{}", secret)
