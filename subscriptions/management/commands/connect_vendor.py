"""Create a profile for an organization at a vendor, or give an existing one new tokens."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from integrations.connectors.contract import Connector
from integrations.connectors.registry import connector_class
from integrations.credentials.credential_store import set_credentials
from integrations.credentials.encryption import CredentialError
from integrations.models import IntegrationProfile, ProfileState
from subscriptions.errors import NotActionable, Refused
from subscriptions.profiles.lifecycle import create_profile, publish


class Command(BaseCommand):
    help = (
        "Create the integration profile NAME for an organization at a vendor and store its tokens, encrypted. The "
        "tokens are read from environment variables, so that they appear in no process list and no shell history. On "
        "an existing profile it replaces the tokens."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        kinds = list(settings.CONNECTORS)
        parser.add_argument("name", help="the name of the integration profile")
        parser.add_argument("--kind", required=True, choices=kinds, help="the connector")
        parser.add_argument("--organization", required=True, metavar="ID", help="the organization's ID at the vendor")
        parser.add_argument(
            "--token-env",
            action="append",
            default=[],
            metavar="CONNECTION=VAR",
            help="read the token of this connection from VAR; " + "; ".join(_variables(kind) for kind in kinds),
        )
        parser.add_argument("--publish", action="store_true", help="publish the profile: the first download is due")

    def handle(self, *args: Any, **options: Any) -> None:
        connector = connector_class(options["kind"])
        tokens = _tokens(connector, dict(pair.partition("=")[::2] for pair in options["token_env"]))
        try:
            with transaction.atomic():
                profile = _profile(options["name"], options["organization"], options["kind"])
                for slot, token in tokens.items():
                    set_credentials(profile, slot, token, actor=None)
                if options["publish"] and profile.state == ProfileState.DRAFT:
                    publish(profile, actor=None)
        except (Refused, NotActionable, CredentialError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"“{profile}” is connected and {profile.get_state_display().lower()}.")
        if profile.state == ProfileState.DRAFT:
            self.stdout.write(
                "Nothing is downloaded before it is published: add --publish, or publish it in the admin."
            )


def _variables(kind: str) -> str:
    declared = ", ".join(f"{slot.name}={slot.variable}" for slot in connector_class(kind).slots)
    return f"the default of {kind} is {declared}"


def _tokens(connector: type[Connector], given: dict[str, str]) -> dict[str, dict[str, str]]:
    """The token of each connection, from the variable that was given for it, else from its default variable."""
    unknown = sorted(given.keys() - {slot.name for slot in connector.slots})
    if unknown:
        known = ", ".join(slot.name for slot in connector.slots)
        raise CommandError(f"{connector.label} has no connection “{unknown[0]}”. Its connections: {known}.")
    found = {}
    for slot in connector.slots:
        variable = given.get(slot.name) or slot.variable
        value = os.environ.get(variable, "").strip()
        if not value:
            raise CommandError(f"The environment variable {variable} is not set or empty. Put the token into it.")
        found[slot.name] = {slot.token: value}
    return found


def _profile(name: str, organization: str, kind: str) -> IntegrationProfile:
    profile = IntegrationProfile.objects.filter(name=name).first()
    if profile is None:
        return create_profile(name=name, organization_id=organization, kind=kind, actor=None)
    if profile.kind != kind:
        raise CommandError(f"“{name}” is for {profile.kind}, not for {kind}. A profile never changes its connector.")
    if profile.organization_id != organization:
        raise CommandError(
            f"“{name}” belongs to organization {profile.organization_id}, not to {organization}. A profile never "
            "changes its organization: use another name for the other one."
        )
    return profile
