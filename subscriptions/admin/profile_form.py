"""The form of a profile: its name, once its organization, and the write-only credentials of each slot."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from unfold.widgets import UnfoldAdminSelectWidget

from integrations.connectors.contract import Slot
from integrations.connectors.registry import connector_class
from integrations.forms import credential_inputs, given_credentials
from integrations.models import Connection, IntegrationProfile
from integrations.presentation import ago, day

NOT_SET = "Not set yet."
KEEP = "Leave empty to keep the stored value"


def kinds() -> list[tuple[str, str]]:
    return [(kind, connector_class(kind).label) for kind in settings.CONNECTORS]


def slots_of(profile: IntegrationProfile | None) -> tuple[Slot, ...]:
    """The slots of the profile's connector; of a new one, those of the first."""
    kind = profile.kind if profile else next(iter(settings.CONNECTORS))
    return connector_class(kind).slots


def stored(profile: IntegrationProfile | None) -> dict[str, str]:
    """slot -> what may be told about its credentials."""
    if profile is None:
        return {}
    rows = Connection.objects.filter(profile=profile).values_list("slot", "fingerprint", "credentials_set_at")
    return {slot: f"Fingerprint {mark}, set {day(at)} ({ago(at)})." for slot, mark, at in rows}


class ProfileForm(forms.ModelForm):
    """`secrets` holds, after validation, what was typed for each slot."""

    class Meta:
        model = IntegrationProfile
        fields = ("name", "kind", "organization_id")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.secrets: dict[str, dict[str, str]] = {}
        if "kind" in self.fields:
            label = "Vendor"
            self.fields["kind"] = forms.ChoiceField(label=label, choices=kinds(), widget=UnfoldAdminSelectWidget())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for slot in slots_of(self.instance if self.instance.pk else None):
            try:
                typed = given_credentials(slot, cleaned)
            except forms.ValidationError as error:
                self.add_error(None, error)
            else:
                self.secrets |= {slot.name: typed} if typed else {}
        return cleaned


def form_class(profile: IntegrationProfile | None) -> type[ProfileForm]:
    """ProfileForm with the inputs of the profile's slots."""
    inputs: dict[str, forms.Field] = {}
    known = stored(profile)
    for slot in slots_of(profile):
        inputs |= credential_inputs(slot, hint=KEEP if slot.name in known else "")
    return type("ProfileWithCredentialsForm", (ProfileForm,), inputs)
