"""The page on which a user chooses what follows for people who leave a request, before a rejection or a drop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import site
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from licensehub.ui.admin import sentence_of
from licensehub.ui.formatting import day
from licensehub.ui.time_zones import company_day, company_midnight
from subscriptions.admin.widgets.actions import REFUSALS
from subscriptions.admin.widgets.counts import people
from subscriptions.admin.widgets.inputs import DayField
from subscriptions.approvals.leaving import SEND_BACK, Keep
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import Direction, KeptAs, ReclaimRequest
from subscriptions.rules.protection_lines import end_of

TEMPLATE = "admin/subscriptions/reclaimrequest/keep.html"
ICONS = {KeptAs.SENT_BACK: "undo", KeptAs.PAUSED: "event_busy", KeptAs.PROTECTED: "shield_person"}
TITLES = {
    KeptAs.SENT_BACK: gettext_lazy("Send back"),
    KeptAs.PAUSED: gettext_lazy("Pause until a date"),
    KeptAs.PROTECTED: gettext_lazy("Protect"),
}


class KeepForm(forms.Form):
    """Valid with a possible choice. `keep` is the choice."""

    kept_as = forms.ChoiceField(
        choices=KeptAs.choices, error_messages={"invalid_choice": gettext_lazy("Choose what follows.")}
    )
    pause_until = DayField(required=False)
    protect_until = DayField(required=False)
    comment = forms.CharField(required=False, max_length=500)

    keep: Keep = SEND_BACK

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            self.keep = _keep(KeptAs(cleaned["kept_as"]), cleaned)
            try:
                self.keep.check()
            except Refused as refusal:
                self.add_error(None, str(refusal))
        return cleaned

    @property
    def why(self) -> str:
        return str(self.cleaned_data["comment"])

    @property
    def sentences(self) -> list[str]:
        return [str(sentence) for errors in self.errors.values() for sentence in errors]


def _keep(kept_as: KeptAs, cleaned: dict[str, Any]) -> Keep:
    """A pause ends when its day begins, a protection when its last day is over."""
    if kept_as == KeptAs.PAUSED and (first := cleaned["pause_until"]):
        return Keep(kept_as, company_midnight(first))
    if kept_as == KeptAs.PROTECTED and (last := cleaned["protect_until"]):
        return Keep(kept_as, end_of(last))
    return Keep(kept_as)


class Act(StrEnum):
    """The way in which people leave a request."""

    REJECT = "reject"
    DROP = "drop"

    @property
    def label(self) -> str:
        return _("Drop") if self == Act.DROP else _("Reject")

    def heading(self, who: str) -> str:
        return (_("Drop {who}") if self == Act.DROP else _("Reject {who}")).format(who=who)

    def button(self, kept_as: KeptAs, who: str) -> str:
        """The label of the button: `Reject and pause 3 people`."""
        texts = {
            (Act.REJECT, KeptAs.SENT_BACK): _("Reject and send back {people}"),
            (Act.REJECT, KeptAs.PAUSED): _("Reject and pause {people}"),
            (Act.REJECT, KeptAs.PROTECTED): _("Reject and protect {people}"),
            (Act.DROP, KeptAs.SENT_BACK): _("Drop and send back {people}"),
            (Act.DROP, KeptAs.PAUSED): _("Drop and pause {people}"),
            (Act.DROP, KeptAs.PROTECTED): _("Drop and protect {people}"),
        }
        return texts[self, kept_as].format(people=who)


@dataclass(frozen=True, slots=True)
class Option:
    """One choice, with the consequence beside it. `field` is the name of its date, and `label` the date's label."""

    value: KeptAs
    text: str
    ready: str
    button: str
    # The change of the potential savings; empty where no price is known.
    savings: str = ""
    field: str = ""
    label: str = ""
    value_of_field: str = ""

    @property
    def icon(self) -> str:
        return ICONS[self.value]

    @property
    def title(self) -> str:
        return str(TITLES[self.value])


@dataclass(frozen=True, slots=True)
class KeepPage:
    """The subject of the page: `who` is the object of the act: `R-0142`, or `Pat Miller`."""

    request: ReclaimRequest
    act: Act
    who: str
    count: int
    requester: str
    back: str
    # `$9,600 per year`: the cost of their seats; empty where no price is known.
    cost: str = ""


def form_of(request: HttpRequest) -> KeepForm:
    """Bound if something was chosen, otherwise with the comment that was written beside the button."""
    if "kept_as" in request.POST:
        return KeepForm(request.POST)
    return KeepForm(initial={"comment": request.POST.get("comment", "").strip()[:500]})


def choose(
    request: HttpRequest, leaving: KeepPage, do: Callable[[KeepForm], str], *, why_not: str = ""
) -> HttpResponse:
    """Show the choices, or do what was chosen. A GET only leads to the page of the request.

    `why_not`: why this user cannot act at all.
    """
    if request.method != "POST":
        return HttpResponseRedirect(leaving.back)
    form = form_of(request)
    if why_not:
        messages.error(request, why_not)
        return HttpResponseRedirect(leaving.back)
    if form.is_bound and form.is_valid():
        try:
            messages.success(request, do(form))
        except NotActionable as error:
            messages.error(request, sentence_of(error))
        except REFUSALS as error:
            form.add_error(None, sentence_of(error))
            return TemplateResponse(request, TEMPLATE, _context(request, leaving, form))
        return HttpResponseRedirect(leaving.back)
    return TemplateResponse(request, TEMPLATE, _context(request, leaving, form))


def _context(request: HttpRequest, leaving: KeepPage, form: KeepForm) -> dict[str, Any]:
    return {
        **site.each_context(request),
        "title": leaving.act.heading(leaving.who),
        "leaving": leaving,
        "options": _options(leaving, form) if leaving.request.direction == Direction.DEACTIVATE else [],
        "chosen": form["kept_as"].value() or KeptAs.SENT_BACK.value,
        "comment": form["comment"].value() or "",
        "errors": form.sentences,
        "tomorrow": company_day() + timedelta(days=1),
        "people": people(leaving.count),
        "action": request.path,
    }


def _options(leaving: KeepPage, form: KeepForm) -> list[Option]:
    who = people(leaving.count)
    return [
        Option(
            KeptAs.SENT_BACK,
            _again(leaving),
            _("at once"),
            leaving.act.button(KeptAs.SENT_BACK, who),
            _("as now") if leaving.cost else "",
        ),
        Option(
            KeptAs.PAUSED,
            ngettext(
                "No request can name this person before that day. Then the rule decides again.",
                "No request can name them before that day. Then the rule decides again.",
                leaving.count,
            ),
            _("on that day, if the rule still says so"),
            leaving.act.button(KeptAs.PAUSED, who),
            _("{amount} less until then").format(amount=leaving.cost) if leaving.cost else "",
            "pause_until",
            _("Until"),
            str(form["pause_until"].value() or ""),
        ),
        Option(
            KeptAs.PROTECTED,
            ngettext(
                "LicenseHub leaves this person alone. You are the owner, and your comment is the reason.",
                "LicenseHub leaves them alone. You are the owner, and your comment is the reason.",
                leaving.count,
            ),
            _("when somebody ends the protection"),
            leaving.act.button(KeptAs.PROTECTED, who),
            _("{amount} less").format(amount=leaving.cost) if leaving.cost else "",
            "protect_until",
            _("Last day, or empty for no end"),
            str(form["protect_until"].value() or ""),
        ),
    ]


def _again(leaving: KeepPage) -> str:
    """The sentence that says who can request the people again."""
    if leaving.request.requested_by_id is None:
        return ngettext(
            "LicenseHub requests this person again after the next download, as the rule says.",
            "LicenseHub requests them again after the next download, as the rule says.",
            leaving.count,
        )
    return ngettext(
        "{requester} can request this person again today.",
        "{requester} can request them again today.",
        leaving.count,
    ).format(requester=leaving.requester)


def kept_sentence(kept_as: str, until: datetime | None) -> str:
    """The consequence for people: `paused until Jan 15, 2027`."""
    if kept_as == KeptAs.SENT_BACK:
        return _("Ready again at once")
    if kept_as == KeptAs.PAUSED:
        return _("paused until {day}").format(day=day(until))
    if kept_as == KeptAs.PROTECTED:
        return _("protected until {day}").format(day=day(until)) if until else _("protected without an end")
    return _("the seat stays as it is")


def kept_people(kept_as: str, until: datetime | None, count: int) -> str:
    """The message after the act: `3 people are paused until Jan 15, 2027.`"""
    texts = {
        KeptAs.SENT_BACK: ngettext("{people} is Ready again at once.", "{people} are Ready again at once.", count),
        KeptAs.PAUSED: ngettext("{people} is paused until {day}.", "{people} are paused until {day}.", count),
        KeptAs.PROTECTED: ngettext("{people} is protected until {day}.", "{people} are protected until {day}.", count)
        if until
        else ngettext("{people} is protected without an end.", "{people} are protected without an end.", count),
    }
    return texts[KeptAs(kept_as)].format(people=people(count), day=day(until))
