"""A profile whose OAuth connection is made by a real consent at the sandbox."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User

from integrations.connectors.miro.sandbox.control import SandboxControl
from integrations.credentials import credential_store
from integrations.models import Connection, IntegrationProfile
from subscriptions.profiles import lifecycle
from tests.support.vendor.oauth import BACK, install


@pytest.fixture
def miro(sandbox) -> SandboxControl:
    return SandboxControl(sandbox.control_url)


@pytest.fixture
def draft(db, miro, at_sandbox) -> IntegrationProfile:
    """With the app's client ID and secret, and no organization yet."""
    miro.set_toggles(redirect_uris=[BACK])
    profile = lifecycle.create_profile(name="Labs", organization_id="", kind="miro_enterprise", actor=None)
    app = {name: at_sandbox[name] for name in ("client_id", "client_secret")}
    credential_store.set_credentials(profile, "rest", app, actor=None)
    credential_store.set_credentials(profile, "scim", {"token": at_sandbox["scim_token"]}, actor=None)
    return profile


@pytest.fixture
def rest(draft) -> Connection:
    return Connection.objects.select_related("profile").get(profile=draft, slot="rest")


@pytest.fixture
def operator(db) -> User:
    user = User.objects.create_user("olivia", email="olivia@x.example", is_staff=True)
    user.groups.add(Group.objects.get(name="Operator"))
    return user


@pytest.fixture
def signed_in(client, operator):
    client.force_login(operator)
    return client


@pytest.fixture
def connected(rest, miro, operator) -> Connection:
    """Run the whole flow without the browser."""
    return install(rest, miro, operator)
