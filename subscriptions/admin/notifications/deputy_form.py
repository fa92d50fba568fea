"""The form that names a deputy for days away."""

from __future__ import annotations

from django import forms
from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget

from licensehub.ui.names import account_of
from subscriptions.admin.widgets.inputs import DayField
from subscriptions.notifications.deputies import NOT_POSSIBLE, possible_deputies


class Colleague(forms.ModelChoiceField):
    def label_from_instance(self, obj: User) -> str:
        return account_of(obj)


class DeputyForm(forms.Form):
    deputy = Colleague(
        label=_("Deputy"),
        queryset=User.objects.none(),
        empty_label=_("Choose a colleague"),
        widget=UnfoldAdminSelectWidget(),
        error_messages={
            "required": _("Choose a colleague."),
            "invalid_choice": NOT_POSSIBLE,
        },
    )
    starts = DayField(
        label=_("First day away"),
        error_messages={"required": _("Enter the first day.")},
    )
    ends = DayField(
        label=_("Last day away"),
        error_messages={"required": _("Enter the last day.")},
    )

    def __init__(self, *args: object, user: User, **kwargs: object) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})  # type: ignore[arg-type]  # Django's own arguments
        self.fields["deputy"].queryset = possible_deputies(user)  # type: ignore[attr-defined]  # of a ModelChoiceField
