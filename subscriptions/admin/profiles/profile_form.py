"""The form of a profile: its name, and for a new profile its organization."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _

from integrations.models import IntegrationProfile


class ProfileForm(forms.ModelForm):
    """Name and organization of a new profile; later only the name can change."""

    # The connector that was chosen in the catalog, for a new profile.
    kind = ""

    class Meta:
        model = IntegrationProfile
        fields = ("name", "organization_id")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None:
            self.instance.kind = self.kind
        if "organization_id" in self.fields:
            self.fields["organization_id"].help_text = _("Leave empty: connecting fills it in.")
