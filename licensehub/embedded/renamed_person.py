"""A scene of the demo: somebody is protected, gets another address at the vendor, and keeps the seat."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import User

from integrations.connectors.registry import SandboxControl
from integrations.models import IntegrationProfile
from licensehub.embedded.errors import CannotRunError
from subscriptions.models import CandidateState, Protection, ProtectionKind, RemovalCandidate, Subscription
from subscriptions.rules.protections import ProtectionInput, create_protection

DETAILS = ProtectionInput("On parental leave until the summer", "Petra Meyer, HR")


def protect_and_rename(
    profile: IntegrationProfile, control: SandboxControl, download: Callable[[], object], *, manager: User
) -> Subscription:
    """Protect the longest inactive person by address, change the address at the vendor, and download again.

    A second call does nothing. Returns the person. Raises CannotRunError when there is nobody to protect.
    """
    former = Protection.objects.of(profile.pk).filter(kind=ProtectionKind.PERSON, created_by=manager).first()
    if former:
        return Subscription.objects.get(profile=profile, external_id=former.external_id)
    ready = RemovalCandidate.objects.filter(profile=profile, state=CandidateState.READY)
    candidate = ready.order_by("subscription__idle_since", "pk").select_related("subscription").first()
    if candidate is None:
        raise CannotRunError("Nobody is a candidate, so the demo has nobody to protect.")
    person = candidate.subscription
    create_protection(profile, ProtectionKind.PERSON, person.email, DETAILS, actor=manager)
    name, _, domain = person.email.partition("@")
    control.rename(person.external_id, email=f"{name}.married@{domain}")
    download()
    person.refresh_from_db()
    return person


def check_untouched(person: Subscription, control: SandboxControl) -> None:
    """Raises CannotRunError if the vendor shows that this person lost the seat."""
    if person.external_id in control.truth()["inactive"]:
        raise CannotRunError(f"{person} is protected, and lost the seat after the change of the address.")
