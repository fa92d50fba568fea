"""Steps of an OAuth consent, as a browser and the sandbox do them."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.urls import reverse

from integrations.connections import oauth_flow
from integrations.connectors.miro.sandbox.control import SandboxControl
from integrations.models import Connection

BACK = "http://localhost:8000/admin/integrations/connection/callback/"
BROWSER = "this browser"


def install(connection: Connection, miro: SandboxControl, operator: User, *, kind: str = "organization") -> Connection:
    """Consent on a team of this kind. Raises ConnectRefused."""
    url = oauth_flow.start(connection, redirect_uri=BACK, browser=BROWSER, actor=operator)
    state = url.rpartition("state=")[2]
    code = miro.install(BACK, team_id=miro.team(kind))
    return oauth_flow.finish(state=state, code=code, error="", browser=BROWSER, actor=operator)


def connect_page(connection: Connection) -> str:
    return reverse("admin:integrations_connection_connect", args=[connection.pk])


def callback() -> str:
    return reverse("admin:integrations_connection_callback")
