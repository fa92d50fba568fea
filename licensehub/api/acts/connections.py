"""Test the connections of a profile, with real calls that change nothing at the vendor."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Schema

from integrations.models import IntegrationProfile
from licensehub.api.access.caller import caller_of
from licensehub.api.acts import once
from licensehub.api.reading.rows import Id, one_for
from licensehub.api.router import router
from licensehub.ui.admin import WarningMessage
from subscriptions.admin.profiles.actions import validate as validate_profile


class FindingOut(Schema):
    """The outcome of one check. `level` is ok, warning, error or later; `next_step` is empty when all is well."""

    level: str
    title: str
    detail: str
    next_step: str


class Validated(Schema):
    """`fit`: nothing is wrong, and no check was left out."""

    detail: str
    fit: bool
    findings: list[FindingOut]


@router.post("/profiles/{pk}/validate", tags=["Connections"], response=Validated, summary="Test the connections")
def validate(request: HttpRequest, pk: Id) -> Any:
    """It calls the vendor, so it takes some seconds. It takes no Idempotency-Key: it may happen twice."""
    caller, profile = caller_of(request), one_for(request, IntegrationProfile, pk)
    caller.refuse_without("integrations.operate_integrationprofile")

    def act() -> Validated:
        said = validate_profile(profile, caller.user)
        profile.refresh_from_db()
        names = FindingOut.model_fields
        found = [FindingOut(**{name: str(one.get(name, "")) for name in names}) for one in profile.findings]
        return Validated(detail=str(said), fit=not isinstance(said, WarningMessage), findings=found)

    return once.do_without_key(request, act)
