"""Create a profile for a Miro organization, or give an existing one new tokens."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from integrations.credential_store import set_credentials
from integrations.encryption import CredentialError
from integrations.models import IntegrationProfile, ProfileState
from subscriptions.errors import NotActionable, Refused
from subscriptions.profiles.lifecycle import create_profile, publish

KIND = "miro_enterprise"


class Command(BaseCommand):
    help = (
        "Create the integration profile NAME for a Miro organization and store its tokens, encrypted. The tokens are "
        "read from environment variables, so that they appear in no process list and no shell history. On an existing "
        "profile it replaces the tokens."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the name of the integration profile")
        parser.add_argument("--organization", required=True, metavar="ID", help="Miro's organization ID")
        parser.add_argument(
            "--access-token-env",
            required=True,
            metavar="VAR",
            help="variable that holds the REST access token",
        )
        parser.add_argument(
            "--scim-token-env", required=True, metavar="VAR", help="variable that holds the SCIM API token"
        )
        parser.add_argument("--publish", action="store_true", help="publish the profile: the first download is due")

    def handle(self, *args: Any, **options: Any) -> None:
        access_token = _from_environment(options["access_token_env"])
        scim_token = _from_environment(options["scim_token_env"])
        try:
            with transaction.atomic():
                profile = _profile(options["name"], options["organization"])
                set_credentials(profile, "rest", {"access_token": access_token}, actor=None)
                set_credentials(profile, "scim", {"token": scim_token}, actor=None)
                if options["publish"] and profile.state == ProfileState.DRAFT:
                    publish(profile, actor=None)
        except (Refused, NotActionable, CredentialError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"“{profile}” is connected and {profile.get_state_display().lower()}.")
        if profile.state == ProfileState.DRAFT:
            self.stdout.write(
                "Nothing is downloaded before it is published: add --publish, or publish it in the admin."
            )


def _from_environment(variable: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise CommandError(f"The environment variable {variable} is not set or empty. Put the token into it.")
    return value


def _profile(name: str, organization: str) -> IntegrationProfile:
    profile = IntegrationProfile.objects.filter(name=name).first()
    if profile is None:
        return create_profile(name=name, organization_id=organization, kind=KIND, actor=None)
    if profile.organization_id != organization:
        raise CommandError(
            f"“{name}” belongs to organization {profile.organization_id}, not to {organization}. A profile never "
            "changes its organization: use another name for the other one."
        )
    return profile
