"""The form of a reclaim rule. Every wrong value has an error sentence at its field."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
)

from subscriptions.models import LicenseThreshold, ProtectionKind, ReclaimRule
from subscriptions.models.rules.rule import THRESHOLD
from subscriptions.rules.rules import FIELDS
from subscriptions.rules.words import words_of

A_NUMBER = gettext_lazy("Enter the threshold in days, at least 1. Usual values are 30, 60 and 90.")
CHANGED_MEANWHILE = gettext_lazy(
    "Somebody else saved this rule while you were editing. It is now version {version}, with a threshold of {days} "
    "days. Save again to replace their values with yours, or reload the page to see their values."
)


def license_choices(rule: ReclaimRule) -> list[tuple[str, str]]:
    """The license types of the connector, those seen of its people, and types of the rule that are neither."""
    known = words_of(rule.profile, ProtectionKind.LICENSE)
    return [*known.items(), *((word, word) for word in rule.licenses if word not in known)]


def threshold_field() -> forms.IntegerField:
    return forms.IntegerField(
        label=gettext_lazy("Last activity threshold, days"),
        validators=list(THRESHOLD),
        error_messages={"invalid": A_NUMBER, "required": A_NUMBER},
        widget=UnfoldAdminIntegerFieldWidget,
    )


class ReclaimRuleForm(forms.ModelForm):
    last_activity_threshold = threshold_field()
    licenses = forms.MultipleChoiceField(
        label=gettext_lazy("License types"),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        error_messages={
            "required": gettext_lazy("Choose at least one license type. Without one, nobody can be a candidate.")
        },
    )
    # The version that the reader saw: see clean().
    seen_version = forms.IntegerField(widget=forms.HiddenInput)

    class Meta:
        model = ReclaimRule
        fields = FIELDS
        labels = {
            "new_joiner_grace": gettext_lazy("New-joiner grace, days"),
            "admin_roles": gettext_lazy("People with an admin role"),
            "days_to_answer": gettext_lazy("Days to answer"),
            "file_requests": gettext_lazy("Requests are filed"),
            "batch_cap_people": gettext_lazy("People per request"),
            "batch_cap_percent": gettext_lazy("Percent of active licenses per request"),
            "rolling_cap_percent": gettext_lazy("Percent of active licenses in 24 hours"),
            "stale_feed_days": gettext_lazy("Days without any activity"),
            "surge_factor": gettext_lazy("Times as many inactive people"),
            "surge_percent": gettext_lazy("And more than this percent of active licenses"),
        }
        help_texts = {
            "keep_means": gettext_lazy(
                "A Keep that arrives after the approval, but before the deactivation, always saves the seat."
            ),
            "file_requests": gettext_lazy(
                "A request is filed after a download, never by saving the rule. There is one request at a "
                "time. The next one is filed when it is decided."
            ),
        }
        error_messages = {
            "new_joiner_grace": {"invalid": gettext_lazy("Enter the grace in days. 0 means no grace.")},
            "days_to_answer": {"invalid": gettext_lazy("Enter a number of days from 1 to 90.")},
            "batch_cap_people": {
                "invalid": gettext_lazy("Enter a number of people, at least 1. The usual value is 50.")
            },
            "batch_cap_percent": {"invalid": gettext_lazy("Enter a percentage from 1 to 100. The usual value is 5.")},
            "rolling_cap_percent": {
                "invalid": gettext_lazy("Enter a percentage from 1 to 100. The usual value is 10.")
            },
            "stale_feed_days": {"invalid": gettext_lazy("Enter a number of days from 1 to 90. The usual value is 3.")},
            "surge_factor": {
                "invalid": gettext_lazy("Enter a whole number from 2 to 100. The usual value is 2: doubled.")
            },
            "surge_percent": {"invalid": gettext_lazy("Enter a percentage from 1 to 100. The usual value is 10.")},
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["seen_version"].initial = self.instance.version
        self.fields["last_activity_threshold"].help_text = ReclaimRule._meta.get_field(
            "last_activity_threshold"
        ).help_text
        cast(forms.MultipleChoiceField, self.fields["licenses"]).choices = license_choices(self.instance)

    def clean(self) -> dict[str, Any]:
        """Nobody overwrites a colleague unnoticed: the second person sees an error first, and the entries stay."""
        cleaned = super().clean() or {}
        now = ReclaimRule.objects.get(pk=self.instance.pk)
        if cleaned.get("seen_version") != now.version:
            entries = cast(QueryDict, self.data).copy()
            entries[self.add_prefix("seen_version")] = str(now.version)
            self.data = entries
            raise ValidationError(str(CHANGED_MEANWHILE).format(version=now.version, days=now.last_activity_threshold))
        return cleaned


class LicenseThresholdForm(forms.ModelForm):
    license = forms.ChoiceField(label=gettext_lazy("License type"), widget=UnfoldAdminSelectWidget)
    last_activity_threshold = threshold_field()

    class Meta:
        model = LicenseThreshold
        fields = ("license", "last_activity_threshold")


class LicenseThresholdFormSet(BaseInlineFormSet):
    def add_fields(self, form: forms.ModelForm, index: int | None) -> None:
        super().add_fields(form, index)
        choices = [("", _("Choose a license type")), *license_choices(self.instance)]
        cast(forms.ChoiceField, form.fields["license"]).choices = choices

    def validate_unique(self) -> None:
        """clean() reports duplicates in our own words."""

    def clean(self) -> None:
        seen = set()
        for license in self.kept():
            if license in seen:
                label = self.instance.profile.connector.licenses.get(license, license)
                raise ValidationError(
                    _("{label} appears twice. Enter one threshold for each license type.").format(label=label)
                )
            seen.add(license)

    def kept(self) -> list[str]:
        """The license types that are filled in and not marked for removal."""
        return [license for license, _ in self.pairs()]

    def pairs(self) -> list[tuple[str, int]]:
        rows = (form.cleaned_data for form in self.forms if hasattr(form, "cleaned_data"))
        return [
            (row["license"], row["last_activity_threshold"])
            for row in rows
            if row.get("license") and row.get("last_activity_threshold") and not row.get("DELETE")
        ]
