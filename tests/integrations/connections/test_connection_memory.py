"""The facts that calls found out about the vendor are kept with the connection, until its credentials are replaced."""

from __future__ import annotations

import pytest
from django.db import DatabaseError

from integrations.connections import connection_memory
from integrations.connections.connection_memory import StoredMemory
from integrations.connections.validation import validate_connections
from integrations.credentials import credential_store
from integrations.models import Connection
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.reclaims.engine import reclaim_due


def test_a_server_that_reads_only_text_reclaims_each_approved_person_once(world, alice, bob):
    """Before, each of them was refused, although the validation found no error."""
    world.miro.set_toggles(patch_value="string")
    world.download()
    validate_connections(world.profile, actor=None)
    decide.approve(request_reclaim(world.candidates(3), actor=alice), actor=bob)

    assert reclaim_due(world.profile).reclaimed == 3

    deactivated = world.deactivated_by_us()
    assert len(deactivated) == len(set(deactivated)) == 3
    assert sum(request["method"] == "PATCH" for request in world.miro.requests()) == 4
    connection = Connection.objects.get(profile=world.profile, slot="scim")
    assert connection.learned == {"active_form": "text"}
    [said] = [found for found in validate_connections(world.profile, actor=None) if found.title == "Deactivation"]
    assert "Not tested" in said.detail and "as text" in said.detail

    credential_store.set_credentials(world.profile, "scim", connection.secrets(), actor=None)
    assert StoredMemory(world.profile.pk).recall("scim", "active_form") == ""


def test_a_database_that_fails_loses_no_write(world, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise DatabaseError("no space left")

    memory = StoredMemory(world.profile.pk)
    monkeypatch.setattr(connection_memory.transaction, "atomic", fail)
    memory.keep("scim", "active_form", "text")
    assert "was found out and not kept" in caplog.text
    assert memory.recall("scim", "active_form") == ""


@pytest.mark.django_db
def test_a_connection_without_a_row_remembers_nothing():
    memory = StoredMemory(7)
    memory.keep("scim", "active_form", "text")
    assert memory.recall("scim", "active_form") == ""
