"""The card *Bought and used* of the contract page: each license type with its seat floor, and their export."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.models import IntegrationProfile
from licensehub.ui.formatting import EMPTY, number
from subscriptions.admin.widgets.inputs import INPUT
from subscriptions.money.licenses import MAX_FLOOR, LicenseUse, licenses_of

COLUMNS = (
    (gettext_lazy("License type"), lambda use: use.label),
    (gettext_lazy("Bought"), lambda use: "" if use.bought is None else use.bought),
    (gettext_lazy("Used"), lambda use: use.used),
    (gettext_lazy("Free"), lambda use: "" if use.free is None else use.free),
    (gettext_lazy("Candidates"), lambda use: use.candidates),
    (gettext_lazy("Seat floor"), lambda use: "" if use.floor is None else use.floor),
)


class FloorForm(forms.Form):
    """One field for each license type: its seat floor. An empty field means no floor."""

    def __init__(self, profile: IntegrationProfile, data: Any = None) -> None:
        self.uses = licenses_of(profile)
        super().__init__(data, initial={use.license: use.floor for use in self.uses}, prefix="floor")
        for use in self.uses:
            label = _("Seat floor of {license}").format(license=use.label)
            attrs = {**INPUT, "inputmode": "numeric", "aria-label": label}
            self.fields[use.license] = forms.IntegerField(
                required=False,
                # So that only what the person has changed is saved, and a colleague's floor of meanwhile stays.
                show_hidden_initial=True,
                min_value=1,
                max_value=MAX_FLOOR,
                widget=forms.TextInput(attrs=attrs),
                error_messages={"invalid": _("Enter a number, or leave it empty.")},
            )

    @property
    def changed(self) -> dict[str, int | None]:
        return {name: self.cleaned_data[name] for name in self.changed_data}

    def rows(self) -> list[dict[str, Any]]:
        return [{**_shown(use), "field": self[use.license]} for use in self.uses]


def _shown(use: LicenseUse) -> dict[str, Any]:
    share = min(100, round(100 * use.used / use.bought)) if use.bought else 0
    idle = min(share, round(100 * use.candidates / use.bought)) if use.bought else 0
    return {
        "license": use.license,
        "label": use.label,
        "bought": number(use.bought) if use.bought is not None else _("not known"),
        "used": number(use.used),
        "free": EMPTY if use.free is None else number(use.free),
        "candidates": number(use.candidates),
        "is_short": use.is_short,
        "share": share,
        "idle_back": -idle,
        "idle": idle,
    }
