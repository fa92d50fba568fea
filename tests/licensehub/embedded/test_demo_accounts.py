"""The accounts of the demo: one for each role, with the name and the address of somebody who works every day."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from licensehub.embedded.demo_accounts import ACCOUNTS, account, employ_accounts, ensure_accounts
from licensehub.embedded.errors import CannotRunError
from subscriptions.accounts.own_seat import identity_of
from subscriptions.models import AccountPerson, Subscription, Verdict


def test_each_account_is_that_of_a_person_who_was_active_lately(world, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    passwords = ensure_accounts()
    assert set(passwords) == set(ACCOUNTS) and account("approver").check_password(passwords["approver"])
    with pytest.raises(CannotRunError, match="Too few people"):
        employ_accounts(world.profile)
    world.first_download()

    employ_accounts(world.profile)

    people = [Subscription.objects.get(email=account(username).email) for username in ACCOUNTS]
    assert len(set(people)) == len(ACCOUNTS) and {person.verdict for person in people} == {Verdict.ACTIVE}
    assert [person.name for person in people] == [account(username).get_full_name() for username in ACCOUNTS]
    # Nobody has to be told that an account matches nobody: its owner is known by the vendor's id.
    for username, person in zip(ACCOUNTS, people, strict=True):
        assert identity_of(account(username), world.profile).ids == {person.external_id}
    # The next start changes nobody.
    before = list(User.objects.order_by("pk").values_list("email", "first_name", "last_name"))
    assert ensure_accounts() == passwords
    employ_accounts(world.profile)
    assert list(User.objects.order_by("pk").values_list("email", "first_name", "last_name")) == before
    assert AccountPerson.objects.count() == len(ACCOUNTS)
