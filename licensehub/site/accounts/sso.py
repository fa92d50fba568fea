"""What follows in LicenseHub when single sign-on makes an account."""

from __future__ import annotations

from django.contrib.auth.models import User

from licensehub.sign_in.sso.sso import SocialAdapter
from subscriptions.accounts import persons, rights_changes

# Stored with the right, in English.
BY_SIGN_ON = "By a group of the company's sign-on."


class SiteSocialAdapter(SocialAdapter):
    def account_made(self, user: User) -> None:
        """Their own seats are known from the first moment, so nobody decides on them."""
        persons.find_everywhere(user)

    def roles_taken(self, user: User) -> None:
        """Who maps a group to a deciding role runs the provider, so its right does not wait for a second admin."""
        rights_changes.follow(actor=None, accounts=User.objects.filter(pk=user.pk), at_once=BY_SIGN_ON)
