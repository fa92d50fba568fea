"""Credentials of connections, each by a reference. They are compared with the stored ones, and never dumped."""

from __future__ import annotations

from typing import Final

from django.contrib.auth.models import User

from integrations.credentials.credential_store import set_credentials
from integrations.credentials.encryption import CredentialError
from integrations.models import Connection, IntegrationProfile
from licensehub.configuration.changes import Kind, Plan
from licensehub.configuration.reading import Entry
from licensehub.configuration.references import secret_of

CHANGE: Final = "integrations.change_connection"


def plan(name: str, entry: Entry, profile: IntegrationProfile, plan: Plan) -> None:
    slots = {slot.name: slot for slot in profile.connector.slots}
    for slot, one in entry.only(*slots).items():
        plan.guarded(_plan, name, slot, one, profile, plan)


def _plan(name: str, slot: str, entry: Entry, profile: IntegrationProfile, plan: Plan) -> None:
    fields = [field.name for field in profile.slot(slot).fields]
    entry.only(*fields)
    secrets = {field: secret_of(entry.required(field)) for field in fields}
    row = Connection.objects.select_related("profile").get(profile=profile, slot=slot)
    try:
        stored = row.secrets() if row.ciphertext else {}
    except CredentialError as error:
        raise entry.wrong(str(error)) from error
    if all(stored.get(field) == secret for field, secret in secrets.items()):
        return

    def do(actor: User) -> None:
        set_credentials(profile, slot, secrets, actor=actor)

    text = "replace the credentials" if stored else "store the credentials"
    plan.add(Kind.CHANGE, f"{name}: connections: {slot}", text, entry, CHANGE, do)
