"""Who may decide is asked of the database each time, although the query is built once."""

from __future__ import annotations

from django.contrib.auth.models import Group

from subscriptions.accounts.rights import DECIDING, able, holders_of


def test_a_role_that_is_taken_away_or_given_counts_at_once(bob):
    assert bob in able() and bob in holders_of(DECIDING)
    bob.groups.clear()
    assert bob not in able() and bob not in holders_of(DECIDING)
    bob.groups.add(Group.objects.get(name="Approver"))
    assert bob in able() and bob in holders_of(DECIDING)
