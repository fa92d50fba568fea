"""The form of a new price."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget

from integrations.models import IntegrationProfile
from licensehub.ui.time_zones import company_day
from subscriptions.admin.widgets.inputs import INPUT, DayField
from subscriptions.models import Per, ProtectionKind
from subscriptions.models.money import MOST_DECIMALS
from subscriptions.money.currencies import currencies
from subscriptions.money.prices import PriceInput, too_many_decimals
from subscriptions.rules.words import words_of


class PriceForm(forms.Form):
    profile = forms.ModelChoiceField(
        label=gettext_lazy("Profile"),
        queryset=IntegrationProfile.objects.none(),
        widget=UnfoldAdminSelectWidget,
        empty_label=None,
    )
    license = forms.ChoiceField(label=gettext_lazy("License type"), widget=UnfoldAdminSelectWidget)
    amount = forms.DecimalField(
        label=gettext_lazy("Price of one seat"),
        max_digits=13,
        decimal_places=MOST_DECIMALS,
        min_value=0,
        widget=forms.NumberInput(attrs={**INPUT, "step": "0.001", "inputmode": "decimal"}),
        help_text=gettext_lazy("0 for a license type that costs nothing: its seats count as no savings."),
    )
    currency = forms.ChoiceField(label=gettext_lazy("Currency"), widget=UnfoldAdminSelectWidget)
    per = forms.ChoiceField(
        label=gettext_lazy("For"), choices=Per.choices, widget=UnfoldAdminSelectWidget, initial=Per.YEAR
    )
    valid_from = DayField(
        label=gettext_lazy("Valid from"),
        help_text=gettext_lazy("The first day of this price. What was reclaimed before keeps the price of its day."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        profiles = IntegrationProfile.objects.in_use()
        self.words = {profile.pk: words_of(profile, ProtectionKind.LICENSE) for profile in profiles}
        self._set_choices("license", {word: label for words in self.words.values() for word, label in words.items()})
        self._set_choices("currency", {code: f"{code}, {name}" for code, name in currencies().items()})
        choice: Any = self.fields["profile"]
        choice.queryset = profiles
        if len(self.words) == 1:
            choice.widget, choice.initial = forms.HiddenInput(), profiles[0]
        self.fields["currency"].initial = "USD"
        self.fields["valid_from"].initial = company_day()

    def _set_choices(self, name: str, choices: dict[str, str]) -> None:
        field: Any = self.fields[name]
        field.choices = list(choices.items())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        profile, license = cleaned.get("profile"), cleaned.get("license")
        if profile and license and license not in self.words[profile.pk]:
            raise ValidationError(
                _("“{profile}” has no license type “{license}”.").format(profile=profile, license=license)
            )
        if {"amount", "currency"} <= set(cleaned) and (
            sentence := too_many_decimals(cleaned["amount"], cleaned["currency"])
        ):
            self.add_error("amount", sentence)
        return cleaned

    def price(self) -> PriceInput:
        data = self.cleaned_data
        return PriceInput(data["license"], data["amount"], data["currency"], Per(data["per"]), data["valid_from"])
