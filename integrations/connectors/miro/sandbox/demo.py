"""The interface for the demo: how to start this sandbox, and which credentials to store for it."""

from __future__ import annotations

from integrations.connectors.miro.sandbox.control import SandboxControl
from integrations.connectors.miro.sandbox.messages import CONTROL_ROOT

KIND = "miro_enterprise"
PROFILE = "Miro sandbox"
# The slot that a person connects by consent.
CONSENT_SLOT = "rest"


def command(*, port: int, members: int, seed: int, state: str) -> list[str]:
    """The arguments of `manage.py`."""
    return ["miro_sandbox", "--port", str(port), "--members", str(members), "--seed", str(seed), "--state", state]


def addresses(base: str) -> dict[str, str]:
    """The addresses of the connector, for a sandbox at `base`."""
    return {"api": base, "authorize": f"{base}/oauth/authorize", "scim": f"{base}/api/v1/scim"}


def control(base: str) -> SandboxControl:
    return SandboxControl(f"{base}{CONTROL_ROOT}/")


def credentials(sandbox: SandboxControl) -> dict[str, dict[str, str]]:
    """Slot -> its credentials, without the token that the consent brings."""
    found = sandbox.connection()
    return {
        "rest": {"client_id": found["client_id"], "client_secret": found["client_secret"]},
        "scim": {"token": found["scim_token"]},
    }
