"""The form that sends again what happened on some days."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from licensehub.ui.time_zones import company_day
from subscriptions.admin.widgets.inputs import DayField


class ReplayForm(forms.Form):
    first = DayField(label=gettext_lazy("First day"))
    last = DayField(label=gettext_lazy("Last day"))
    only_missed = forms.BooleanField(label=gettext_lazy("Only what did not arrive"), required=False, initial=True)

    def __init__(self, data: Any = None) -> None:
        today = company_day()
        super().__init__(data, initial={"first": today, "last": today}, label_suffix="")
