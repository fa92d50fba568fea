"""The demo's company sign-on: an OIDC provider on this machine, with people of three groups."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from typing import Final

from licensehub.embedded.errors import CannotRunError
from licensehub.embedded.processes import LOOPBACK, Child

MODULE: Final = "oidc_provider_mock"
ROLES: Final = "it-approvers=Approver,it-managers=License manager,audit=Auditor"
PEOPLE: Final = (
    {
        "sub": "jana",
        "email": "jana@northfield.example",
        "given_name": "Jana",
        "family_name": "Novak",
        "groups": ["it-approvers"],
    },
    {
        "sub": "marcus",
        "email": "marcus@northfield.example",
        "given_name": "Marcus",
        "family_name": "Lindqvist",
        "groups": ["it-managers"],
    },
    {"sub": "ines", "email": "ines@northfield.example", "given_name": "Inês", "family_name": "Sá", "groups": ["audit"]},
    {"sub": "otto", "email": "otto@northfield.example", "given_name": "Otto", "family_name": "Gray", "groups": []},
)


def without_factor() -> None:
    """The accounts of the demo have no second factor. Children inherit the environment."""
    os.environ.setdefault("SECOND_FACTOR_ROLES", "none")


def point_to_provider(provider_port: int, web_port: int) -> None:
    """Set the variables of single sign-on. Raises CannotRunError where the provider is not installed."""
    if importlib.util.find_spec(MODULE) is None:
        raise CannotRunError("The provider of the demo's sign-on is not installed; `make demo SSO=1` installs it.")
    os.environ.update(
        {
            "SSO_NAME": "Northfield sign-on",
            "SSO_OIDC_URL": f"http://{LOOPBACK}:{provider_port}",
            "SSO_OIDC_CLIENT_ID": "licensehub",
            "SSO_OIDC_SECRET": "demo",
            "SSO_ROLES": ROLES,
            "PUBLIC_URL": f"http://{LOOPBACK}:{web_port}",
        }
    )


def provider_process(port: int) -> Child:
    people = [argument for person in PEOPLE for argument in ("--user-claims", json.dumps(person))]
    return Child("sign-on", [sys.executable, "-m", MODULE, "--port", str(port), *people])


def invitation() -> str:
    people = ", ".join(f"{person['given_name']} ({', '.join(person['groups']) or 'no group'})" for person in PEOPLE)
    return f"“Continue with Northfield sign-on” offers {people}. Who has no group has no role, and stays outside."
