"""Write-only forms for credentials: they take a secret and never show one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from integrations.connectors.contract import Field, Slot


def input_name(slot: Slot, field: Field) -> str:
    return f"{slot.name}__{field.name}"


def credential_inputs(slot: Slot) -> dict[str, forms.CharField]:
    """One input for each value that the slot needs."""
    return {input_name(slot, field): _input(field) for field in slot.fields}


def _input(field: Field) -> forms.CharField:
    attributes = {"autocomplete": "new-password" if field.secret else "off", "spellcheck": "false"}
    widget = UnfoldAdminPasswordWidget if field.secret else UnfoldAdminTextInputWidget
    keywords: dict[str, Any] = {"render_value": False} if field.secret else {}
    return forms.CharField(
        label=field.label,
        required=False,
        max_length=4000,
        widget=widget(attrs=attributes, **keywords),
    )


def given_credentials(slot: Slot, cleaned: Mapping[str, Any]) -> dict[str, str]:
    """The slot's values as typed; empty when none was. Raises ValidationError when only some were."""
    typed = {field.name: cleaned.get(input_name(slot, field)) or "" for field in slot.fields}
    if not any(typed.values()):
        return {}
    missing = [field.label for field in slot.fields if field.required and not typed[field.name]]
    if missing:
        raise forms.ValidationError(
            f"{slot.label}: fill in {' and '.join(missing)} as well. The values of a connection are stored together."
        )
    return {name: value for name, value in typed.items() if value}


class CredentialsForm(forms.Form):
    """New credentials for one connection, in place of the former ones."""

    def __init__(self, slot: Slot, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.slot = slot
        self.fields.update(credential_inputs(slot))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self.secrets = given_credentials(self.slot, cleaned)
        if not self.secrets:
            raise forms.ValidationError("Nothing was filled in, so the former credentials stay.")
        return cleaned
