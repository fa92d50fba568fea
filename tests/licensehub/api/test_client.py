"""The client that is made from the document does the whole job: one token asks, another decides, a person returns."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client as Browser

from licensehub.api.client import ApiError, Client
from licensehub.api.client.transport import Caller
from licensehub.api.management.commands.openapi import files
from licensehub.audit.models import AuditEvent
from subscriptions.reclaims.engine import reclaim_due
from tests.support.people.api import Program


def over_django(method: str, address: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
    """In place of the network."""
    parts, kind = urlsplit(address), headers.get("Content-Type", "application/octet-stream")
    browser = Browser(raise_request_exception=False)
    response = browser.generic(method, parts.path, body or b"", kind, QUERY_STRING=parts.query, headers=dict(headers))
    return response.status_code, response.content


def client_of(sent: Program) -> Client:
    return Client("http://testserver/", sent.text, send=over_django)


def test_the_document_and_the_client_are_current():
    """`manage.py openapi` writes them."""
    stale = [str(file) for file, text in files().items() if (settings.BASE_DIR / file).read_text() != text]
    assert stale == []


def test_two_programs_do_the_whole_job(world, program, alice, bob):
    """Whom they deactivate and bring back is what the vendor itself recorded."""
    world.first_download()
    tokens = program(alice), program(bob)
    asks, decides = map(client_of, tokens)
    june = asks.subscriptions(idle_before="2100-01-01", verdict="candidate", limit=200)["items"]
    assert {one["verdict"]["code"] for one in june} == {"candidate"} and all(one["verdict"]["reason"] for one in june)
    wanted = {row.subscription.external_id for row in world.candidates(2).select_related("subscription")}
    ready = [one["id"] for one in asks.candidates(state="ready", limit=200)["items"] if one["external_id"] in wanted]
    made = asks.make_request({"candidates": ready, "reason": "True-up"}, idempotency_key="one")
    assert asks.make_request({"candidates": ready, "reason": "True-up"}, idempotency_key="one") == made
    seen = decides.request_page(made["request"])
    assert seen["may_decide"] and seen["people"] == 2 and world.deactivated_by_us() == []
    with pytest.raises(ApiError, match="does not have the right") as refused:
        asks.approve(made["request"], {"revision": seen["revision"], "digest": seen["digest"]})
    assert (refused.value.status, refused.value.code) == (403, "forbidden")
    done = decides.approve(made["request"], {"revision": seen["revision"], "digest": seen["digest"], "comment": "Read"})
    assert done == {**made, "state": "approved"}
    reclaim_due(world.profile)
    assert set(world.deactivated_by_us()) == wanted
    history = asks.history(request_id=made["request"])["items"]
    assert {row["state"]["code"] for row in history} == {"done"}
    asks.restore(history[0]["id"], {"reason": "Needed after all"})
    reclaim_due(world.profile)
    assert world.inactive() & wanted == {history[1]["external_id"]}
    events = AuditEvent.objects.filter(action__in=["request.opened", "request.approved"]).order_by("sequence")
    found = [(event.actor_name, event.data["token"]) for event in events]
    assert found == [("alice", tokens[0].token.pk), ("bob", tokens[1].token.pk)]


def test_the_client_calls_over_the_network_and_nowhere_else(real_transactions, program, alice, live_server, allow_http):
    allow_http(live_server.url)
    client = Client(live_server.url, program(alice).text)
    assert client.me()["account"] == "alice" and client.subscriptions(holds_seat=True, limit=3)["items"] == []
    with pytest.raises(ApiError, match="not known") as refused:
        Client(live_server.url, "lh_wrong").me()
    assert refused.value.code == "wrong_token"
    with pytest.raises(ValueError, match="https"):
        Caller("file:///etc", "x").call("GET", "/passwd")
