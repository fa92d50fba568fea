"""Protect many people: paste lines or upload a CSV file, look at the preview of each line, then confirm."""

from __future__ import annotations

import hashlib
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import site
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from licensehub.ui.admin import run_and_report, signed_in
from subscriptions.admin.rules.protections.protect import ADD, LIST, effect_message, protected
from subscriptions.admin.rules.protections.protection_form import DetailsForm, ProfileField, profiles
from subscriptions.admin.widgets.actions import REFUSALS
from subscriptions.admin.widgets.counts import people
from subscriptions.admin.widgets.inputs import INPUT
from subscriptions.errors import Refused
from subscriptions.rules.protect_many import Outcome, Plan, plan, protect_many
from subscriptions.rules.protection_lines import Lines, decode, read_lines

TEMPLATE = "admin/subscriptions/protection/protect_many.html"
# The page shows at most this many lines of an outcome, and counts the others. It shows more unreadable lines.
NAMED = 10
NAMED_UNREADABLE = 200
HEADINGS = {
    Outcome.UNREADABLE: ("error", "error", gettext_lazy("cannot be read and would be left out")),
    Outcome.NEW: ("verified_user", "ok", gettext_lazy("new")),
    Outcome.UNKNOWN: (
        "help",
        "warning",
        gettext_lazy("not known at {vendor}: kept by address until the person is known"),
    ),
    Outcome.ALREADY: ("check", "neutral", gettext_lazy("protected already: nothing changes")),
}


class ManyForm(DetailsForm):
    profile = ProfileField()
    text = forms.CharField(
        label=gettext_lazy("People"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={**INPUT, "rows": 10, "spellcheck": "false"}),
        help_text=gettext_lazy(
            "One person a line: an e-mail address or an ID. After it, if you like: reason, owner and last day, "
            "separated by tab, semicolon or comma."
        ),
    )
    file = forms.FileField(
        label=gettext_lazy("Or a CSV file"),
        required=False,
        widget=forms.FileInput(attrs={**INPUT, "accept": ".csv,.txt,text/csv,text/plain"}),
        help_text=gettext_lazy("Its lines take the place of those above."),
    )
    field_order = ("profile", "text", "file", "reason", "owner", "ends_at")
    details_required = False
    lines: Lines

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].help_text = _("For all lines without a reason of their own.")
        self.fields["owner"].help_text = _("For all lines without an owner of their own.")

    def clean(self) -> dict[str, Any]:
        """Read the lines first, so that those of a file are kept when another field is wrong."""
        self._read()
        data = super().clean()
        for name in ("reason", "owner"):
            lacking = [line for line in self.lines.lines if not line.problem and not getattr(line, name)]
            if lacking and name not in self.errors and not data[name].strip():
                text = (
                    _("Line {line} has no reason of its own, so enter one here.")
                    if name == "reason"
                    else _("Line {line} has no owner of its own, so enter one here.")
                )
                self.add_error(name, text.format(line=lacking[0].number))
        return data

    def _read(self) -> None:
        self.lines, file = Lines(), self.cleaned_data.get("file")
        try:
            if file:
                self.cleaned_data["text"] = decode(file.read())
            self.lines = read_lines(self.cleaned_data.get("text", ""))
        except Refused as error:
            self.add_error("file" if file else "text", str(error))
        else:
            if not self.lines.lines:
                self.add_error("text", _("Enter at least one line, or choose a file."))

    def show_text(self, text: str) -> None:
        """Show this text in the field instead of the text that was sent."""
        self.data = {**dict(self.data.items()), "text": text}


def protect_many_view(request: HttpRequest) -> HttpResponse:
    """A GET shows the form, a POST the preview. A POST of the same lines with `confirmed` makes the protections."""
    if not request.user.has_perm(ADD):
        raise PermissionDenied
    form = ManyForm(request.POST or None, request.FILES or None)
    if not form.is_bound:
        return _page(request, form)
    valid = form.is_valid()
    form.show_text(form.cleaned_data.get("text") or request.POST.get("text", ""))
    if not valid:
        return _page(request, form)
    planned, fingerprint = plan(form.cleaned_data["profile"], form.lines, form.details), _fingerprint(form)
    if planned.wanted and request.POST.get("confirmed") == fingerprint:
        return _protect(request, form, planned)
    return _page(request, form, planned=planned, fingerprint=fingerprint)


def _protect(request: HttpRequest, form: ManyForm, planned: Plan) -> HttpResponse:
    def do() -> str:
        effect = protect_many(form.cleaned_data["profile"], planned, actor=signed_in(request))
        return f"{protected(len(effect.made))} {effect_message(effect)}"

    done = run_and_report(request, do, refusals=REFUSALS)
    left = [row.line.text for row in planned.of(Outcome.UNREADABLE)]
    if done and not left:
        return HttpResponseRedirect(reverse(LIST))
    if done:
        messages.warning(
            request,
            _("Not protected: {left} of the lines. They are left below, so correct them.").format(left=len(left)),
        )
        form.show_text("\n".join([form.lines.headings, *left] if form.lines.headings else left))
    return _page(request, form)


def _fingerprint(form: ManyForm) -> str:
    """A hash of the previewed values. Only these are made."""
    data, details = form.cleaned_data, form.details
    shown = (data["profile"].pk, data["text"].split(), details.reason, details.owner, details.ends_at)
    return hashlib.sha256(repr(shown).encode()).hexdigest()


def _page(request: HttpRequest, form: ManyForm, planned: Plan | None = None, fingerprint: str = "") -> HttpResponse:
    context = {
        **site.each_context(request),
        "title": _("Protect many people"),
        "form": form,
        "possible": profiles().exists(),
        "fingerprint": fingerprint,
        "groups": _groups(planned, form.cleaned_data["profile"].vendor) if planned else [],
        "repeated": planned.repeated if planned else 0,
        "count": people(len(planned.wanted)) if planned and planned.wanted else "",
    }
    return TemplateResponse(request, TEMPLATE, context)


def _groups(planned: Plan, vendor: str) -> list[dict[str, Any]]:
    groups = []
    for outcome, (icon, tone, heading) in HEADINGS.items():
        rows = planned.of(outcome)
        named = rows[: NAMED_UNREADABLE if outcome == Outcome.UNREADABLE else NAMED]
        look = {"icon": icon, "tone": tone, "heading": heading.format(vendor=vendor)}
        if rows:
            groups.append({**look, "count": len(rows), "rows": named, "more": len(rows) - len(named)})
    return groups
