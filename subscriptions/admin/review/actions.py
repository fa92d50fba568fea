"""The actions on people who need review, for one row or for the selected rows of a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin import site
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import ngettext

from licensehub.ui.admin import sentence_of, signed_in
from licensehub.ui.lists.id_filter import is_id
from subscriptions import review
from subscriptions.admin.approvals.permissions import REQUEST
from subscriptions.admin.rules.protect import ADD
from subscriptions.admin.rules.protect import protect as protect_chosen
from subscriptions.admin.widgets.actions import REFUSALS
from subscriptions.admin.widgets.counts import people
from subscriptions.eligibility.clauses import explain
from subscriptions.eligibility.terms import terms_of
from subscriptions.models import Subscription
from subscriptions.review import MAX_PAUSE_DAYS, MIN_REASON_LENGTH, Decided

LIST = "admin:subscriptions_persontoreview_changelist"
DEFAULT_PAUSE_DAYS = 90


def chosen(request: HttpRequest) -> list[Subscription]:
    """The person of the row whose button was clicked, else the selected ones. Invalid ids choose nobody."""
    sent = request.POST.getlist("subscription") or request.POST.getlist("_selected_action")
    ids = [int(pk) for pk in sent if is_id(pk)]
    rows = Subscription.objects.filter(pk__in=ids).select_related("profile__rule", "evaluation")
    return list(rows.order_by("name", "email", "pk"))


def _act(
    request: HttpRequest, act: Callable[[list[Subscription]], HttpResponse], *, permission: str = REQUEST
) -> HttpResponse:
    """Check the permission and the selection. A GET, e.g. after a sign-in, only shows the list."""
    if not request.user.has_perm(permission):
        raise PermissionDenied
    if request.method != "POST":
        return HttpResponseRedirect(reverse(LIST))
    rows = chosen(request)
    if request.POST.get("select_across") == "1" or not rows:
        messages.error(request, "Select the people on one page of the list, then choose the action again.")
        return HttpResponseRedirect(reverse(LIST))
    return act(rows)


def keep(request: HttpRequest) -> HttpResponse:
    """Show the form. A POST with `decided` starts the pause."""
    return _act(request, lambda rows: _form(request, rows, "keep", _keep))


def make_candidates(request: HttpRequest) -> HttpResponse:
    return _act(request, lambda rows: _form(request, rows, "candidates", _make_candidates))


def protect(request: HttpRequest) -> HttpResponse:
    """Show the form that protects these people."""

    def choose(rows: list[Subscription]) -> HttpResponse:
        return protect_chosen(
            request, Subscription.objects.filter(pk__in=[row.pk for row in rows]).order_by("name", "pk")
        )

    return _act(request, choose, permission=ADD)


def look_up(request: HttpRequest) -> HttpResponse:
    def now(rows: list[Subscription]) -> HttpResponse:
        try:
            decided = review.look_up(rows, actor=signed_in(request))
        except REFUSALS as error:
            messages.error(request, sentence_of(error))
        else:
            done = ngettext("{} needs no review any more.", "{} need no review any more.", len(decided.done))
            _report(request, decided, done.format(people(len(decided.done))))
        return HttpResponseRedirect(reverse(LIST))

    return _act(request, now)


def _keep(request: HttpRequest, rows: list[Subscription]) -> None:
    sent = request.POST.get("days", "")
    days = int(sent) if sent.isdecimal() and len(sent) < 6 else 0
    decided = review.keep(rows, days=days, reason=request.POST.get("reason", ""), actor=signed_in(request))
    _report(request, decided, f"{people(len(decided.done))} kept: nobody asks again for {days} days.")


def _make_candidates(request: HttpRequest, rows: list[Subscription]) -> None:
    decided = review.make_candidates(rows, reason=request.POST.get("reason", ""), actor=signed_in(request))
    done = ngettext("{} is a candidate now.", "{} are candidates now.", len(decided.done))
    _report(request, decided, f"{done.format(people(len(decided.done)))} Your reason is shown to the approver.")


def _form(
    request: HttpRequest, rows: list[Subscription], name: str, do: Callable[[HttpRequest, list[Subscription]], None]
) -> HttpResponse:
    error = ""
    if "decided" in request.POST:
        try:
            do(request, rows)
        except REFUSALS as refusal:
            error = sentence_of(refusal)
        else:
            return HttpResponseRedirect(reverse(LIST))
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": f"Keep {people(len(rows))}" if name == "keep" else _candidates(len(rows)),
        "keeps": name == "keep",
        "error": error,
        "reason": request.POST.get("reason", ""),
        "days": request.POST.get("days", DEFAULT_PAUSE_DAYS),
        "max_days": MAX_PAUSE_DAYS,
        "min_length": MIN_REASON_LENGTH,
        "ids": [str(row.pk) for row in rows],
        "people": [
            {"person": row, "why": explain(row, terms_of(row.profile)).removeprefix("Needs review: ")} for row in rows
        ],
        "may_protect": request.user.has_perm(ADD),
        # The form's own address. A bulk action shows this form at the address of the list.
        "address": reverse(f"admin:subscriptions_persontoreview_{name}"),
        "back": reverse(LIST),
    }
    return TemplateResponse(request, "admin/subscriptions/persontoreview/decide.html", context)


def _candidates(count: int) -> str:
    return ngettext("Make {} a candidate", "Make {} candidates", count).format(people(count))


def _report(request: HttpRequest, decided: Decided, done: str) -> None:
    """Say what was done, and name each other person with the reason. A page of the list has at most some dozen."""
    if decided.done:
        messages.success(request, done)
    for row, reason in decided.refused:
        messages.warning(request, f"{row.display_name} {reason}")
