"""The form of a webhook, for a new one and for a change. The address and the authorization are never shown."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget

from integrations.models import IntegrationProfile, Webhook, WebhookFormat
from integrations.scopes.visibility import visible
from licensehub.ui.languages import default_language
from subscriptions.admin.widgets.inputs import INPUT
from subscriptions.webhooks.events import CHOICES, Event
from subscriptions.webhooks.setup import MAX_SECRET, WebhookInput
from subscriptions.webhooks.templates import TEMPLATES

ALL, CHOSEN = "all", "chosen"
# A new webhook begins with these: the events after which somebody has to act.
SUGGESTED: Final = (
    *(Event.REQUEST_WAITS, Event.REQUEST_ENDS_SOON, Event.DOWNLOAD_QUARANTINED, Event.CONNECTION_FAILED),
    *(Event.RECLAIM_IN_DOUBT, Event.CAP_REACHED),
)


class WebhookForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=80, widget=forms.TextInput(attrs=INPUT))
    url = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=2000,
        widget=forms.PasswordInput(attrs={**INPUT, "autocomplete": "off", "spellcheck": "false"}),
    )
    authorization = forms.CharField(
        label=gettext_lazy("Header Authorization"),
        required=False,
        max_length=MAX_SECRET,
        widget=forms.PasswordInput(attrs={**INPUT, "autocomplete": "new-password"}),
    )
    events = forms.MultipleChoiceField(
        label=gettext_lazy("Which events"),
        choices=CHOICES,
        widget=forms.CheckboxSelectMultiple,
        initial=list(SUGGESTED),
    )
    scope = forms.ChoiceField(
        label=gettext_lazy("Profiles"),
        choices=[(ALL, gettext_lazy("All profiles, also later ones")), (CHOSEN, gettext_lazy("Chosen profiles only"))],
        widget=forms.RadioSelect,
        initial=ALL,
    )
    profiles = forms.ModelMultipleChoiceField(
        queryset=IntegrationProfile.objects.none(),
        label=gettext_lazy("Chosen profiles"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    with_names = forms.BooleanField(label=gettext_lazy("With names"), required=False)
    language = forms.ChoiceField(
        label=gettext_lazy("Language of the sentences"), choices=settings.LANGUAGES, widget=UnfoldAdminSelectWidget
    )
    template = forms.CharField(
        label=gettext_lazy("Body of the ticket"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"class": "lh-input lh-code", "rows": 14, "spellcheck": "false"}),
    )
    seen = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, format: WebhookFormat, data: Any = None, *, row: Webhook | None = None) -> None:
        self.format, self.row = format, row
        super().__init__(data, initial=_initial_of(row, format), label_suffix="")
        fields: Any = self.fields
        fields["profiles"].queryset = IntegrationProfile.objects.in_use()
        fields["profiles"].label_from_instance = str
        if row:
            fields["url"].required = False
        if format not in TEMPLATES:
            del fields["template"], fields["authorization"]
        if format == WebhookFormat.EVENT:
            # Its body has no sentences. A program may want a header of its own.
            fields["language"].required = False
            fields["authorization"] = self.base_fields["authorization"]
        if visible() is not None:
            # The roles of this account hold for some profiles.
            fields["scope"].choices = fields["scope"].choices[1:]
            fields["scope"].initial = CHOSEN

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("scope") == CHOSEN and not cleaned.get("profiles"):
            raise ValidationError({"profiles": _("Choose at least one profile, or all profiles.")})
        return cleaned

    def entries(self) -> WebhookInput:
        data = self.cleaned_data
        chosen = frozenset(profile.pk for profile in data["profiles"]) if data["scope"] == CHOSEN else None
        template = data.get("template", "").strip().replace("\r\n", "\n")
        return WebhookInput(
            name=data["name"],
            format=self.format,
            events=tuple(data["events"]),
            profiles=chosen,
            with_names=data["with_names"],
            language=data["language"] or default_language(),
            template="" if template == TEMPLATES.get(self.format, "") else template,
        )


def _initial_of(row: Webhook | None, format: WebhookFormat) -> dict[str, Any]:
    template = TEMPLATES.get(format, "")
    if row is None:
        return {"language": default_language(), "template": template}
    return {
        "name": row.name,
        "events": row.events,
        "scope": ALL if row.all_profiles else CHOSEN,
        "profiles": row.profiles.all(),
        "with_names": row.with_names,
        "language": row.language,
        "template": row.template or template,
        "seen": row.version,
    }
