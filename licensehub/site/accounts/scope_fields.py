"""The fields of an account's forms that say for which integration profiles its roles hold."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminRadioSelectWidget

from integrations.models import IntegrationProfile
from integrations.scopes.account_scopes import stored_choice
from subscriptions.accounts import scope, scope_changes

EVERY, CHOSEN = "all", "chosen"
FIELDS = ("roles_hold_for", "profiles")


class ScopeFields(forms.Form):
    """The profiles of an account. A field that a form does not send stays as it is."""

    roles_hold_for = forms.ChoiceField(
        label=gettext_lazy("The roles hold for"),
        required=False,
        choices=[
            (EVERY, gettext_lazy("All integration profiles, and the company")),
            (CHOSEN, gettext_lazy("Chosen profiles only")),
        ],
        initial=EVERY,
        widget=UnfoldAdminRadioSelectWidget(),
    )
    profiles = forms.MultipleChoiceField(
        label=gettext_lazy("Chosen profiles"),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text=gettext_lazy(
            "This person can then see and do nothing in other profiles. The pages of accounts, the company, changes of "
            "rights and the audit log are closed, since they concern all profiles. If the account decides, added "
            "profiles take effect when a second admin confirms them, or after a day."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        instance = getattr(self, "instance", None)
        chosen = stored_choice(instance) if instance is not None and instance.pk else None
        known = IntegrationProfile.objects.order_by("name").values_list("pk", "name", "state")
        self.fields["profiles"].choices = [  # type: ignore[attr-defined]  # a field with choices
            (str(pk), name) for pk, name, state in known if state != "archived" or pk in (chosen or ())
        ]
        self.initial["roles_hold_for"] = EVERY if chosen is None else CHOSEN
        self.initial["profiles"] = [str(pk) for pk in sorted(chosen or ())]

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        data = self.cleaned_data if cleaned is None else cleaned
        if data.get("roles_hold_for") == CHOSEN and not data.get("profiles") and "profiles" not in self.errors:
            raise ValidationError({"profiles": _("Choose at least one profile, or let the roles hold for all.")})
        return cleaned


def are_shown() -> bool:
    """With one profile there is nothing to choose."""
    return IntegrationProfile.objects.in_use().count() > 1


def save(form: Any, user: User, *, actor: User) -> str:
    """Returns what to tell the admin; empty when nothing waits. Raises Refused or NotActionable."""
    given = form.cleaned_data.get("roles_hold_for")
    if not given:
        return ""
    wanted = None if given == EVERY else [int(pk) for pk in form.cleaned_data["profiles"]]
    if not scope_changes.choose(user, wanted, actor=actor):
        return ""
    return _("The added profiles take effect when a second admin confirms them, or after a day.")


def text_for(user: User) -> str:
    """The names of the chosen profiles; empty for an account whose roles hold for all. For lists."""
    row = getattr(user, "profile_scope", None)
    return "" if row is None or user.is_superuser else ", ".join(one.name for one in row.profiles.all()) or "–"


def names_of(user: User) -> str:
    """The same for one page."""
    return scope.names_in(stored_choice(user))
