"""The form that says who gets the monthly report."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy as _

from licensehub.ui.formatting import name_of
from subscriptions.accounts.rights import people_with
from subscriptions.admin.widgets.inputs import INPUT
from subscriptions.models import ReportSettings
from subscriptions.models.installation import LAST_DAY

SEES = "subscriptions.view_monthlyreport"


class People(forms.ModelMultipleChoiceField):
    def label_from_instance(self, user: User) -> str:
        return f"{name_of(user)}, {user.email}"


class ReportForm(forms.Form):
    enabled = forms.BooleanField(label=_("Send it by mail every month"), required=False)
    day = forms.IntegerField(
        label=_("Day of the month"),
        min_value=1,
        max_value=LAST_DAY,
        widget=forms.NumberInput(attrs=INPUT),
        help_text=_("The report covers the month before. Its figures are those of the end of that month."),
    )
    recipients = People(
        queryset=User.objects.none(),
        label=_("Who gets it"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_(
            "Accounts that may see reports. Somebody who is added after that day gets the current report at once."
        ),
    )
    seen = forms.IntegerField(min_value=0, widget=forms.HiddenInput())

    def __init__(self, row: ReportSettings, data: Any = None) -> None:
        initial = {"enabled": row.enabled, "day": row.day, "recipients": row.recipients, "seen": row.version}
        super().__init__(data, initial=initial)
        people = people_with(SEES).exclude(email="").order_by("username")
        self.fields["recipients"].queryset = people  # type: ignore[attr-defined]  # a ModelMultipleChoiceField
