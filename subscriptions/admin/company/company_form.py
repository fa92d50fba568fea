"""The form of the company: its name, contact and logo, and the texts of the notices in each language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from licensehub.translations.stored import translated
from subscriptions.admin.widgets.inputs import INPUT
from subscriptions.company.company import WORDS, CompanyInput
from subscriptions.company.logo import MAX_BYTES, MAX_SIDE, Logo, checked_logo
from subscriptions.company.texts import KINDS, LANGUAGES, MAX_LENGTH, check_text, default_of, keys
from subscriptions.errors import Refused
from subscriptions.models import Company

ADDRESS = gettext_lazy("Enter one e-mail address, for example it@example.com.")
PARTS = {"subject": gettext_lazy("Subject, and heading of the page"), "text": gettext_lazy("Text")}


def _words(label: Any, help_text: Any = "") -> forms.CharField:
    return forms.CharField(
        label=label, required=False, max_length=100, widget=forms.TextInput(attrs=INPUT), help_text=help_text
    )


def _email(label: Any, help_text: Any = "") -> forms.EmailField:
    return forms.EmailField(
        label=label,
        required=False,
        max_length=254,
        widget=forms.EmailInput(attrs=INPUT),
        help_text=help_text,
        error_messages={"invalid": ADDRESS},
    )


class TextField(forms.CharField):
    """A text with placeholders. Empty means the default text."""

    def __init__(self, key: str) -> None:
        part = key.rpartition("_")[2]
        widget = forms.TextInput if part == "subject" else forms.Textarea
        attrs = {**INPUT, "data-default": default_of(key), **({"rows": 7} if part == "text" else {})}
        super().__init__(label=PARTS[part], required=False, max_length=MAX_LENGTH[part], widget=widget(attrs=attrs))

    def validate(self, value: str) -> None:
        super().validate(value)
        try:
            check_text(value)
        except Refused as error:
            raise ValidationError(str(error)) from error


class LogoField(forms.FileField):
    def clean(self, data: Any, initial: Any = None) -> Logo | None:
        given = super().clean(data, initial)
        if not isinstance(given, UploadedFile):
            return None
        try:
            return checked_logo(given.read(MAX_BYTES + 1))
        except Refused as error:
            raise ValidationError(str(error)) from error


class CompanyForm(forms.Form):
    name = _words(
        gettext_lazy("Company name"),
        gettext_lazy(
            "People who are asked read it in the mail and on the page. Empty: the organization's name at the vendor."
        ),
    )
    logo = LogoField(
        label=gettext_lazy("Logo"),
        required=False,
        widget=forms.FileInput(attrs={**INPUT, "accept": "image/png,image/jpeg"}),
        error_messages={"empty": gettext_lazy("This file is empty. Choose another one.")},
    )
    remove_logo = forms.BooleanField(label=gettext_lazy("Remove the logo"), required=False)
    contact_name = _words(gettext_lazy("Contact"))
    contact_email = _email(gettext_lazy("E-mail of the contact"))
    reply_to = _email(
        gettext_lazy("Reply address"), gettext_lazy("Answers to the mails go there. Empty: the e-mail of the contact.")
    )
    seen = forms.IntegerField(min_value=0, widget=forms.HiddenInput())

    def __init__(self, row: Company, data: Any = None, files: Any = None) -> None:
        texts = {key: row.texts.get(key) or default_of(key) for key in keys()}
        words = {word: getattr(row, word) for word in WORDS}
        super().__init__(data, files, initial={**words, **texts, "seen": row.version})
        for key in texts:
            self.fields[key] = TextField(key)
        self.fields["logo"].help_text = _(
            "PNG or JPEG, at most {kilobytes} KB and {pixels} pixels on each side. "
            "It is shown on My license, on a white background."
        ).format(kilobytes=MAX_BYTES // 1000, pixels=MAX_SIDE)
        for word, value in (
            ("contact_name", translated(settings.CONTACT_NAME)),
            ("contact_email", settings.CONTACT_EMAIL),
        ):
            self.fields[word].widget.attrs["placeholder"] = value
            self.fields[word].help_text = _("Empty: {value}").format(value=value or _("none"))

    @property
    def general(self) -> list[forms.BoundField]:
        return [self[name] for name in ("name", "contact_name", "contact_email", "reply_to")]

    @property
    def notices(self) -> Iterator[dict[str, Any]]:
        """The fields of each notice. `own`: the company has changed a text of it. `wrong`: a text has an error."""
        for kind in KINDS:
            for language, label in LANGUAGES.items():
                names = [f"{kind.value}_{language}_{part}" for part in MAX_LENGTH]
                fields = [self[name] for name in names]
                yield {
                    "kind": kind.value,
                    "language": language,
                    "title": f"{kind.label}, {label}",
                    "fields": fields,
                    "own": any(field.value() not in ("", default_of(field.name)) for field in fields),
                    "wrong": any(field.errors for field in fields),
                }

    @property
    def texts(self) -> dict[str, str]:
        """The texts of the form. A text with an error is replaced by its default."""
        return {key: self.cleaned_data.get(key, "") for key in keys()}

    @property
    def company(self) -> CompanyInput:
        words = {word: self.cleaned_data[word] for word in WORDS}
        logo = self.cleaned_data["logo"] or ("" if self.cleaned_data["remove_logo"] else None)
        return CompanyInput(**words, texts=self.texts, logo=logo)
