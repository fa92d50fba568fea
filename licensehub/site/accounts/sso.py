"""The accounts that single sign-on makes: what LicenseHub does with them afterwards."""

from __future__ import annotations

from django.contrib.auth.models import User

from licensehub.sign_in.sso.sso import SocialAdapter
from subscriptions.accounts import persons, rights_changes


class SiteSocialAdapter(SocialAdapter):
    def account_made(self, user: User) -> None:
        """Their own seats are known from the first moment, so nobody decides on them."""
        persons.find_everywhere(user)

    def roles_taken(self, user: User, *, added: set[str]) -> None:
        rights_changes.follow_sign_on(user, added=added)
