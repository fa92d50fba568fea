"""Sessions and connectors for a scripted server."""

from __future__ import annotations

import math

from integrations.connectors.contract import ConnectorConfig, ConnectorError, PermanentError, RateBudget
from integrations.connectors.http import ApiSession, Limits, Rate
from integrations.connectors.miro.connector import MiroConnector
from integrations.connectors.response import Answer

TOKEN = "s3cr3t-t0ken-of-the-tests"
ORGANIZATION = "3074457345821140946"
RATE = Rate(bucket="test", cost=1, limit=1000, window=60.0)
# For tests of the deadline. It is longer than a busy machine stands still, else nothing may have been sent before it.
QUICK = Limits(connect=30, read=30, total=2, body=10_000, backoff=0.005, max_backoff=0.01)
# For tests that are not about time.
PATIENT = Limits(connect=10, read=10, total=20, body=10_000, backoff=0.005, max_backoff=0.01)


def explain(answer: Answer) -> ConnectorError:
    return PermanentError(f"refused {answer.status}", status=answer.status)


def new_session(
    url: str, budget: RateBudget, limits: Limits = PATIENT, token: str = TOKEN, longest_wait: float = math.inf
) -> ApiSession:
    return ApiSession(
        vendor="Miro",
        slot="rest",
        base=url,
        token=lambda rejected: token,
        budget=budget,
        explain=explain,
        limits=limits,
        longest_wait=longest_wait,
    )


def new_miro(api: str, scim: str, budget: RateBudget, *, organization: str = ORGANIZATION) -> MiroConnector:
    return MiroConnector(
        ConnectorConfig(
            organization_id=organization,
            secrets={"rest": {"access_token": TOKEN}, "scim": {"token": f"{TOKEN}-scim"}},
            addresses={"api": api, "authorize": api, "scim": scim},
            budget=budget,
        ),
        limits=PATIENT,
    )
