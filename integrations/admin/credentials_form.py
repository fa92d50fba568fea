"""The connection form: it takes the credentials of one connection, and never shows them.

What a vendor answers to the credentials is not said here, but by its connector: see
`integrations.connections.validation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from integrations.connectors.contract import Field, Slot
from licensehub.translations.stored import translated
from licensehub.ui.names import joined


class CredentialsForm(forms.Form):
    """New credentials for one connection, in place of the former ones. It has one input for each field of the slot."""

    def __init__(self, slot: Slot, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.slot = slot
        self.fields.update({input_name(slot, field): _input(field) for field in slot.fields})

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self.secrets = _given_credentials(self.slot, cleaned)
        if not self.secrets:
            names = joined([translated(field.label) for field in self.slot.fields if field.required])
            raise forms.ValidationError(_("Enter {names}. Nothing was changed.").format(names=names))
        return cleaned


def input_name(slot: Slot, field: Field) -> str:
    """The name of this field's input in the form."""
    return f"{slot.name}__{field.name}"


def _input(field: Field) -> forms.CharField:
    attributes = {"autocomplete": "new-password" if field.secret else "off", "spellcheck": "false"}
    widget = UnfoldAdminPasswordWidget if field.secret else UnfoldAdminTextInputWidget
    keywords: dict[str, Any] = {"render_value": False} if field.secret else {}
    return forms.CharField(
        label=translated(field.label),
        required=False,
        max_length=4000,
        widget=widget(attrs=attributes, **keywords),
    )


def _given_credentials(slot: Slot, cleaned: Mapping[str, Any]) -> dict[str, str]:
    """The values that were filled in; empty if none were. Raises ValidationError if a required one is missing."""
    filled_in = {field.name: cleaned.get(input_name(slot, field)) or "" for field in slot.fields}
    if not any(filled_in.values()):
        return {}
    missing = [translated(field.label) for field in slot.fields if field.required and not filled_in[field.name]]
    if missing:
        raise forms.ValidationError(
            _("{label}: fill in {missing} as well. The values of a connection are stored together.").format(
                label=translated(slot.label), missing=joined(missing)
            )
        )
    return {name: value for name, value in filled_in.items() if value}
