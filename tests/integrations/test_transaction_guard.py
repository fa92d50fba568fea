"""No vendor call is made inside a transaction: its locks would be held until the vendor answers."""

from __future__ import annotations

import pytest
from django.db import transaction

from integrations.credentials.credential_store import connector_for
from integrations.transaction_guard import CallInTransaction


def test_a_call_inside_a_transaction_is_refused_before_it_goes_out(world):
    connector = connector_for(world.profile)
    before = len(world.miro.requests())

    with pytest.raises(CallInTransaction), transaction.atomic():
        connector.allocation()

    assert len(world.miro.requests()) == before
    assert connector.allocation().organization_id == world.profile.organization_id
