"""The forms that protect people: reason, owner and end, and the people themselves unless they are already chosen."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget

from integrations.models import IntegrationProfile, ProfileState
from subscriptions.admin.widgets.inputs import INPUT, DayField
from subscriptions.models import ProtectionKind, Subscription
from subscriptions.rules.protection_lines import end_of
from subscriptions.rules.protection_values import clean_value
from subscriptions.rules.protections import ProtectionInput, check_input
from subscriptions.rules.words import words_of


def profiles() -> QuerySet[IntegrationProfile]:
    """Profiles with a rule. The first publishing creates it, and nobody can be protected before."""
    return IntegrationProfile.objects.exclude(state=ProfileState.ARCHIVED).exclude(rule=None)


class ProfileField(forms.ModelChoiceField):
    """A choice that `DetailsForm` hides while there is only one profile."""

    def __init__(self) -> None:
        super().__init__(
            label=_("Profile"),
            queryset=IntegrationProfile.objects.none(),
            widget=UnfoldAdminSelectWidget,
            empty_label=None,
            error_messages={"required": _("Choose a published profile."), "invalid_choice": _("Choose a profile.")},
        )


class DetailsForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        required=False,
        widget=forms.Textarea(attrs={**INPUT, "rows": 2, "maxlength": 500}),
        help_text=gettext_lazy("For example: on parental leave. Everybody who looks at this person sees it."),
    )
    owner = forms.CharField(
        label=gettext_lazy("Owner"),
        required=False,
        widget=forms.TextInput(attrs={**INPUT, "maxlength": 150}),
        help_text=gettext_lazy("Contact for questions about this protection."),
    )
    ends_at = DayField(
        label=gettext_lazy("Until"),
        required=False,
        help_text=gettext_lazy("The last day of the protection. Leave it empty if it has no end."),
    )

    # Whether the form itself must give reason and owner.
    details_required = True
    details: ProtectionInput

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields.get("profile")
        if choice:
            choice.queryset = profiles()
            if choice.queryset.count() == 1:
                choice.widget, choice.initial = forms.HiddenInput(), choice.queryset.get()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "ends_at" in cleaned:
            last_day = cleaned["ends_at"]
            end = end_of(last_day) if last_day else None
            self.details = ProtectionInput(cleaned.get("reason", ""), cleaned.get("owner", ""), end)
            check_input(self.details, complete=self.details_required)
        return cleaned


class ProtectionForm(DetailsForm):
    profile = ProfileField()
    kind = forms.ChoiceField(
        label=gettext_lazy("Protect by"), choices=ProtectionKind.choices, widget=UnfoldAdminSelectWidget
    )
    value = forms.CharField(
        label=gettext_lazy("Value"),
        required=False,
        widget=forms.TextInput(attrs={**INPUT, "list": "lh-known", "autocomplete": "off", "maxlength": 254}),
        help_text=gettext_lazy(
            "An e-mail address or the vendor's ID of a person, a domain such as contractor.example (not those "
            "below it), or the name of a license type, role or admin role."
        ),
    )
    field_order = ("profile", "kind", "value", "reason", "owner", "ends_at")

    def known_values(self) -> list[str]:
        """License types, roles and admin roles, as suggestions of the browser."""
        kinds = (ProtectionKind.LICENSE, ProtectionKind.ROLE)
        words = {label for kind in kinds for found in profiles() for label in words_of(found, kind).values()}
        return sorted({*words, *Subscription.objects.filter(profile__in=profiles()).admin_roles_seen()})

    def clean(self) -> dict[str, Any]:
        """The value is checked first, so that a missing reason does not hide a wrong value."""
        data = self.cleaned_data
        if "profile" in data and "kind" in data and "value" in data:
            try:
                data["value"] = clean_value(data["profile"], data["kind"], data["value"])
            except ValidationError as error:
                self.add_error("value", error.message_dict["value"][0])
        return super().clean()
