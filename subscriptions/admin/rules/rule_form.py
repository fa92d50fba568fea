"""The form of a reclaim rule: every wrong value gets a sentence beside its field."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet
from django.http import QueryDict
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
)

from subscriptions.eligibility.clauses import UNKNOWN_WORDS
from subscriptions.models import LicenseThreshold, ReclaimRule
from subscriptions.models.rule import THRESHOLD
from subscriptions.rules.rules import FIELDS

A_NUMBER = "The last activity threshold is a number of days, at least 1. Usual are 30, 60 or 90."
CHANGED_MEANWHILE = (
    "Somebody else saved this rule while you edited it; it is version {version} now, with a threshold of {days} days. "
    "Your entries still stand here. Save again to put them in place of theirs, or reload the page to see theirs."
)


def license_choices(rule: ReclaimRule) -> list[tuple[str, str]]:
    """The connector's license types, and those that the rule names and the connector no longer knows."""
    known = {word: label for word, label in rule.profile.connector.licenses.items() if word not in UNKNOWN_WORDS}
    return [*known.items(), *((word, word) for word in rule.licenses if word not in known)]


def threshold_field() -> forms.IntegerField:
    return forms.IntegerField(
        label="Last activity threshold, days",
        validators=list(THRESHOLD),
        error_messages={"invalid": A_NUMBER, "required": A_NUMBER},
        widget=UnfoldAdminIntegerFieldWidget,
    )


class ReclaimRuleForm(forms.ModelForm):
    last_activity_threshold = threshold_field()
    licenses = forms.MultipleChoiceField(
        label="License types",
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        error_messages={"required": "Choose at least one license type; with none, nobody would ever be a candidate."},
    )
    # The version that the reader saw: see clean().
    seen_version = forms.IntegerField(widget=forms.HiddenInput)

    class Meta:
        model = ReclaimRule
        fields = FIELDS
        labels = {
            "new_joiner_grace": "New-joiner grace, days",
            "days_to_answer": "Days to answer",
            "file_requests": "Requests are filed",
            "batch_cap_people": "People per request",
            "batch_cap_percent": "Percent of active licenses per request",
            "rolling_cap_percent": "Percent of active licenses in 24 hours",
        }
        help_texts = {
            "keep_means": "Keep pressed later than the approval, and before the send, always saves the seat.",
            "file_requests": "A change of this counts from the next download on. One request at a time; the next is "
            "filed when it is decided.",
        }
        error_messages = {
            "new_joiner_grace": {"invalid": "The grace is a number of days; 0 means none."},
            "days_to_answer": {"invalid": "The time to answer is a number of days, from 1 to 90."},
            "batch_cap_people": {"invalid": "The cap is a number of people, at least 1. Usual is 50."},
            "batch_cap_percent": {"invalid": "The cap is a number of percent, from 1 to 100. Usual is 5."},
            "rolling_cap_percent": {"invalid": "The cap is a number of percent, from 1 to 100. Usual is 10."},
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["seen_version"].initial = self.instance.version
        self.fields["last_activity_threshold"].help_text = ReclaimRule._meta.get_field(
            "last_activity_threshold"
        ).help_text
        cast(forms.MultipleChoiceField, self.fields["licenses"]).choices = license_choices(self.instance)

    def clean(self) -> dict[str, Any]:
        """Nobody overwrites a colleague unseen: the second to save is told first, and her entries stay."""
        cleaned = super().clean() or {}
        now = ReclaimRule.objects.get(pk=self.instance.pk)
        if cleaned.get("seen_version") != now.version:
            entries = cast(QueryDict, self.data).copy()
            entries[self.add_prefix("seen_version")] = str(now.version)
            self.data = entries
            raise ValidationError(CHANGED_MEANWHILE.format(version=now.version, days=now.last_activity_threshold))
        return cleaned


class LicenseThresholdForm(forms.ModelForm):
    license = forms.ChoiceField(label="License type", widget=UnfoldAdminSelectWidget)
    last_activity_threshold = threshold_field()

    class Meta:
        model = LicenseThreshold
        fields = ("license", "last_activity_threshold")


class LicenseThresholdFormSet(BaseInlineFormSet):
    def add_fields(self, form: forms.ModelForm, index: int | None) -> None:
        super().add_fields(form, index)
        choices = [("", "Choose a license type"), *license_choices(self.instance)]
        cast(forms.ChoiceField, form.fields["license"]).choices = choices

    def validate_unique(self) -> None:
        """Said in our words by clean()."""

    def clean(self) -> None:
        seen = set()
        for license in self.kept():
            if license in seen:
                label = self.instance.profile.connector.licenses.get(license, license)
                raise ValidationError(f"{label} stands here twice. Give each license type one threshold.")
            seen.add(license)

    def kept(self) -> list[str]:
        """The license types that are filled in and not ticked for removal."""
        return [license for license, _ in self.pairs()]

    def pairs(self) -> list[tuple[str, int]]:
        rows = (form.cleaned_data for form in self.forms if hasattr(form, "cleaned_data"))
        return [
            (row["license"], row["last_activity_threshold"])
            for row in rows
            if row.get("license") and row.get("last_activity_threshold") and not row.get("DELETE")
        ]
