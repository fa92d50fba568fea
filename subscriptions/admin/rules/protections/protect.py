"""Protect chosen people: one form for all of them, reached by POST from a subscription or from the candidates."""

from __future__ import annotations

from collections import defaultdict

from django.contrib import messages
from django.contrib.admin import site
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import IntegrationProfile
from licensehub.ui.admin import run_and_report, signed_in
from licensehub.ui.formatting import number
from licensehub.ui.lists.id_filter import is_id
from subscriptions.admin.rules.protections.protection_form import DetailsForm
from subscriptions.admin.widgets.actions import REFUSALS
from subscriptions.admin.widgets.counts import people
from subscriptions.admin.widgets.selection import NAMED, form_again, has_changed, is_across
from subscriptions.models import Subscription
from subscriptions.rules.protections import ProtectionEffect, ProtectionInput, protect_people

ADD = "subscriptions.add_protection"
LIST = "admin:subscriptions_protection_changelist"
TEMPLATE = "admin/subscriptions/protection/protect.html"


def protect_view(request: HttpRequest) -> HttpResponse:
    """A POST has ids as `subscription`, `candidate`, or `_selected_action` (from the list of candidates).

    With `confirmed` it runs the action, otherwise it shows the form. A GET redirects to the list of protections.
    """
    if not request.user.has_perm(ADD):
        raise PermissionDenied
    if request.method != "POST":
        return HttpResponseRedirect(reverse(LIST))
    rows = chosen(request.POST)
    if is_across(request) or not rows:
        messages.error(request, _("Select the people to protect on one page of the list, then choose Protect again."))
        return HttpResponseRedirect(reverse("admin:subscriptions_removalcandidate_changelist"))
    return protect(request, rows)


def chosen(sent: QueryDict) -> QuerySet[Subscription]:
    """Invalid ids choose nobody."""
    subscriptions = _ids(sent.getlist("subscription"))
    candidates = _ids([*sent.getlist("candidate"), *sent.getlist("_selected_action")])
    rows = Subscription.objects.filter(Q(pk__in=subscriptions) | Q(candidates__in=candidates)).distinct()
    return rows.select_related("profile").order_by("name", "email", "pk")


def _ids(sent: list[str]) -> list[int]:
    return [int(found) for found in sent if is_id(found)]


def protect(
    request: HttpRequest, rows: QuerySet[Subscription], *, back: str = "", across: bool = False
) -> HttpResponse:
    """Protect these people if the form is confirmed and valid; otherwise show the form.

    `across`: for all people who match the filters of a list. Then the form comes again if their number has changed.
    """
    form = DetailsForm(request.POST if "owner" in request.POST else None)
    count = rows.count()
    changed = across and has_changed(request, count)
    if form.is_bound and form.is_valid() and not changed:
        by_profile: dict[IntegrationProfile, list[Subscription]] = defaultdict(list)
        for row in rows:
            by_profile[row.profile].append(row)
        done = [_protect(request, profile, theirs, form.details) for profile, theirs in by_profile.items()]
        if any(done):
            return HttpResponseRedirect(back or _back(rows))
    again = form_again(request, "protect") if across else [("subscription", str(row.pk)) for row in rows]
    context = {
        **site.each_context(request),
        "title": _("Protect {people}").format(people=people(count)),
        "form": form,
        "count": count,
        "again": again,
        "address": request.get_full_path() if across else reverse("admin:subscriptions_protection_protect"),
        "across": across,
        "people": rows[:NAMED],
        "more": max(0, count - NAMED),
        "back": back or _back(rows),
    }
    return TemplateResponse(request, TEMPLATE, context)


def _protect(
    request: HttpRequest, profile: IntegrationProfile, rows: list[Subscription], details: ProtectionInput
) -> bool:
    def do() -> str:
        effect = protect_people(profile, rows, details, actor=signed_in(request))
        done = protected(len(effect.made))
        if effect.already:
            done += " " + _("{count} already had their own protection.").format(count=number(effect.already))
        return f"{done} {effect_message(effect)}"

    return run_and_report(request, do, refusals=REFUSALS)


def _back(rows: QuerySet[Subscription]) -> str:
    if len(rows) == 1:
        return reverse("admin:subscriptions_subscription_change", args=[rows[0].pk])
    return reverse("admin:subscriptions_removalcandidate_changelist")


def effect_message(effect: ProtectionEffect) -> str:
    """Return how many verdicts and candidates it changed."""
    changed = _("{people} changed verdict.").format(people=people(effect.changed))
    return f"{changed} {no_longer_candidates(effect.withdrawn)}".strip()


def protected(count: int) -> str:
    return _("Protected {people}.").format(people=people(count))


def no_longer_candidates(count: int) -> str:
    """Empty for nobody."""
    if not count:
        return ""
    return ngettext(
        "{} person is no longer a removal candidate.", "{} people are no longer removal candidates.", count
    ).format(number(count))
