"""The form of a profile: its name, and once its vendor and organization."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from unfold.widgets import UnfoldAdminSelectWidget

from integrations.connectors.registry import connector_class
from integrations.models import IntegrationProfile


def kinds() -> list[tuple[str, str]]:
    return [(kind, connector_class(kind).label) for kind in settings.CONNECTORS]


class ProfileForm(forms.ModelForm):
    """A new profile's name and organization; later its name alone."""

    class Meta:
        model = IntegrationProfile
        fields = ("name", "kind", "organization_id")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "kind" in self.fields:
            self.fields["organization_id"].help_text = "Leave empty: connecting fills it in."
            label = "Vendor"
            self.fields["kind"] = forms.ChoiceField(label=label, choices=kinds(), widget=UnfoldAdminSelectWidget())
