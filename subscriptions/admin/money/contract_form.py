"""The form of a contract."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget

from integrations.models import IntegrationProfile
from licensehub.ui.formatting import name_of
from subscriptions.accounts.rights import people_with
from subscriptions.admin.widgets.inputs import INPUT, DayField
from subscriptions.errors import Refused
from subscriptions.models import Contract
from subscriptions.money.contracts import ContractInput, check_input, version_of
from subscriptions.money.licenses import bought_by_vendor


def _day(label: Any, help_text: Any = "") -> DayField:
    return DayField(
        label=label,
        help_text=help_text,
        error_messages={
            "required": gettext_lazy("Enter the day as year-month-day, for example 2027-03-01."),
        },
    )


class OwnerField(forms.ModelChoiceField):
    def label_from_instance(self, obj: User) -> str:
        return name_of(obj)


def _known(profile: IntegrationProfile) -> dict[str, Any]:
    """The license type of which most seats are bought, and their number, as far as the vendor says it."""
    bought = bought_by_vendor(profile)
    if not bought:
        return {}
    license = max(bought, key=lambda word: bought[word])
    return {"license": license, "seats": bought[license]}


class ContractForm(forms.Form):
    reference = forms.CharField(
        label=gettext_lazy("Order number"), required=False, max_length=60, widget=forms.TextInput(attrs=INPUT)
    )
    license = forms.ChoiceField(label=gettext_lazy("License type"), widget=UnfoldAdminSelectWidget)
    seats = forms.IntegerField(
        label=gettext_lazy("Seats bought"),
        min_value=1,
        max_value=10_000_000,
        widget=forms.TextInput(attrs={**INPUT, "inputmode": "numeric"}),
        error_messages={
            "required": gettext_lazy("Enter the number of seats."),
            "invalid": gettext_lazy("Enter a number without a point, for example 4000."),
            "min_value": gettext_lazy("Enter a number of seats, at least 1."),
            "max_value": gettext_lazy("This is more than a contract can have. Check the number."),
        },
    )
    starts = _day(gettext_lazy("First day of the term"))
    renews_on = _day(gettext_lazy("Renewal"), gettext_lazy("The first day of the next term."))
    notice_by = _day(
        gettext_lazy("Last day of notice"), gettext_lazy("Until this day you can say how many seats the next term has.")
    )
    true_up = forms.CharField(
        label=gettext_lazy("True-up rule"),
        required=False,
        max_length=500,
        widget=forms.Textarea(attrs={**INPUT, "rows": 2}),
        help_text=gettext_lazy("For example: each quarter, seats in use beyond those bought are added to the invoice."),
    )
    owner = OwnerField(
        label=gettext_lazy("Owner"),
        queryset=User.objects.none(),
        required=False,
        empty_label=gettext_lazy("Nobody yet"),
        widget=UnfoldAdminSelectWidget,
        help_text=gettext_lazy("Gets the reminders by mail, as company admins do."),
    )
    seen = forms.CharField(widget=forms.HiddenInput())

    def __init__(self, profile: IntegrationProfile, row: Contract | None, data: Any = None) -> None:
        names = ("reference", "license", "seats", "starts", "renews_on", "notice_by", "true_up", "owner")
        initial = {name: getattr(row, name) for name in names} if row else _known(profile)
        super().__init__(data, initial={**initial, "seen": version_of(row)})
        fields: dict[str, Any] = self.fields
        fields["license"].choices = [(word, profile.license_label(word)) for word in profile.connector.licenses]
        fields["owner"].queryset = people_with("subscriptions.view_contract", profile.pk).order_by("username")

    @property
    def contract(self) -> ContractInput:
        return ContractInput(**{name: value for name, value in self.cleaned_data.items() if name != "seen"})

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                check_input(self.contract)
            except Refused as error:
                raise ValidationError(str(error)) from error
        return cleaned
