"""The scene of the demo: a protected person has another address at the vendor, and keeps the seat."""

from __future__ import annotations

import pytest

from licensehub.embedded.errors import CannotRunError
from licensehub.embedded.renamed_person import check_untouched, protect_and_rename
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.reclaims.engine import reclaim_due


def test_the_renamed_person_is_not_touched(world, alice, bob):
    world.first_download()
    [before] = world.candidates(1)

    person = protect_and_rename(world.profile, world.miro, world.download, manager=alice)

    assert person == before.subscription and person.email != before.evidence["email"]
    assert world.miro.member(person.external_id)["email"] == person.email
    assert person.verdict == "protected"
    assert protect_and_rename(world.profile, world.miro, world.download, manager=alice) == person
    decide.approve(request_reclaim(world.candidates(3), actor=alice), actor=bob)
    assert reclaim_due(world.profile).reclaimed == 3
    check_untouched(person, world.miro)
    world.miro.change(person.external_id, active=False)
    with pytest.raises(CannotRunError, match="lost the seat"):
        check_untouched(person, world.miro)


def test_without_a_candidate_there_is_nobody_to_protect(world, alice):
    with pytest.raises(CannotRunError, match="nobody to protect"):
        protect_and_rename(world.profile, world.miro, world.download, manager=alice)
