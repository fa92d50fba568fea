"""The inputs of forms that we draw ourselves."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy

INPUT = {"class": "lh-input"}


class DayField(forms.DateField):
    """A day. Browsers show a calendar for it."""

    widget = forms.DateInput(attrs={**INPUT, "type": "date"}, format="%Y-%m-%d")
    default_error_messages = {
        "invalid": gettext_lazy("Enter the day as year-month-day, for example 2027-01-31."),
    }
