"""The actions on people who need review, for one row or for the selected rows of a page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin import site
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from licensehub.ui.admin import sentence_of, signed_in
from licensehub.ui.formatting import number
from licensehub.ui.lists.id_filter import IdIn, IdList, is_id
from subscriptions import review
from subscriptions.admin.approvals.permissions import REQUEST
from subscriptions.admin.rules.protections.protect import ADD
from subscriptions.admin.rules.protections.protect import protect as protect_chosen
from subscriptions.admin.widgets.actions import REFUSALS
from subscriptions.admin.widgets.counts import people
from subscriptions.admin.widgets.selection import (
    NAMED,
    NAMED_LEFT_OUT,
    form_again,
    has_changed,
    is_across,
    ticked,
)
from subscriptions.approvals import asking
from subscriptions.approvals.asking import why_not_ask
from subscriptions.eligibility.clauses import explain_review
from subscriptions.eligibility.terms import terms_of
from subscriptions.models import PersonToReview, Subscription
from subscriptions.review import MAX_PAUSE_DAYS, MIN_REASON_LENGTH, Decided

LIST = "admin:subscriptions_persontoreview_changelist"
DEFAULT_PAUSE_DAYS = 90
# How long a page works on very many people. The page then says how many are left.
SECONDS = 20.0


def chosen(request: HttpRequest, listed: QuerySet[PersonToReview] | None) -> list[Subscription]:
    """The person of the row whose button was clicked, else the selected ones. Invalid ids choose nobody.

    `listed`: the rows of the list that the action is for, by their ticks or by the filters of the list.
    """
    one = request.POST.getlist("subscription")
    if listed is not None and not one:
        rows = Subscription.objects.filter(pk__in=ticked(request, listed).values("pk"))
    else:
        sent = one or request.POST.getlist("_selected_action")
        rows = Subscription.objects.filter(pk__in=[int(pk) for pk in sent if is_id(pk)])
    return list(rows.select_related("profile__rule", "evaluation").order_by("name", "email", "pk"))


Listed = QuerySet[PersonToReview]


def _act(
    request: HttpRequest,
    act: Callable[[list[Subscription]], HttpResponse],
    listed: Listed | None,
    *,
    permission: str = REQUEST,
) -> HttpResponse:
    """Check the permission and the selection. A GET, e.g. after a sign-in, only shows the list."""
    if not request.user.has_perm(permission):
        raise PermissionDenied
    if request.method != "POST":
        return HttpResponseRedirect(reverse(LIST))
    rows = chosen(request, listed)
    # All people of a list are chosen only by an action of this list, which knows its filters.
    unknown = is_across(request) and listed is None and not request.POST.get("subscription")
    if unknown or not rows:
        messages.error(request, _("Select the people on one page of the list, then choose the action again."))
        return HttpResponseRedirect(reverse(LIST))
    return act(rows)


def keep(request: HttpRequest, listed: Listed | None = None) -> HttpResponse:
    """Show the form. A POST with `decided` starts the pause."""
    return _act(request, lambda rows: _form(request, rows, "keep", _keep), listed)


def make_candidates(request: HttpRequest, listed: Listed | None = None) -> HttpResponse:
    return _act(request, lambda rows: _form(request, rows, "candidates", _make_candidates), listed)


def ask(request: HttpRequest, listed: Listed | None = None) -> HttpResponse:
    """Show the form. A POST with `decided` makes the request that asks these people."""

    def choose(rows: list[Subscription]) -> HttpResponse:
        for profile in {row.profile for row in rows}:
            if sentence := why_not_ask(profile):
                rule = reverse("admin:subscriptions_reclaimrule_change", args=[profile.rule.pk])
                messages.error(request, format_html('{} <a href="{}">{}</a>', sentence, rule, _("Open the rule")))
                return HttpResponseRedirect(reverse(LIST))
        return _form(request, rows, "ask", _ask)

    return _act(request, choose, listed)


def protect(request: HttpRequest, listed: Listed | None = None) -> HttpResponse:
    """Show the form that protects these people."""

    def choose(rows: list[Subscription]) -> HttpResponse:
        ids = IdList.of(row.pk for row in rows)
        found = Subscription.objects.filter(IdIn("pk", ids)).select_related("profile", "evaluation")
        across = is_across(request) and listed is not None
        back = reverse(LIST) if len(rows) > 1 else ""
        return protect_chosen(request, found.order_by("name", "pk"), back=back, across=across)

    return _act(request, choose, listed, permission=ADD)


def look_up(request: HttpRequest, listed: Listed | None = None) -> HttpResponse:
    def now(rows: list[Subscription]) -> HttpResponse:
        try:
            decided = review.look_up(rows, actor=signed_in(request))
        except REFUSALS as error:
            messages.error(request, sentence_of(error))
        else:
            done = ngettext("{} needs no review any more.", "{} need no review any more.", len(decided.done))
            _report(request, decided, done.format(people(len(decided.done))))
            _report_still_in_review(request, decided.still_in_review)
        return HttpResponseRedirect(reverse(LIST))

    return _act(request, now, listed)


def _keep(request: HttpRequest, rows: list[Subscription]) -> None:
    sent = request.POST.get("days", "")
    days = int(sent) if sent.isdecimal() and len(sent) < 6 else 0
    reason, actor = request.POST.get("reason", ""), signed_in(request)
    decided = review.keep(rows, days=days, reason=reason, actor=actor, seconds=SECONDS)
    _report(
        request,
        decided,
        _("{people} kept: nobody asks again for {days} days.").format(people=people(len(decided.done)), days=days),
    )


def _make_candidates(request: HttpRequest, rows: list[Subscription]) -> None:
    reason, actor = request.POST.get("reason", ""), signed_in(request)
    decided = review.make_candidates(rows, reason=reason, actor=actor, seconds=SECONDS)
    done = ngettext("{} is a candidate now.", "{} are candidates now.", len(decided.done))
    shown = _("Your reason is shown to the approver.")
    _report(request, decided, f"{done.format(people(len(decided.done)))} {shown}")


def _ask(request: HttpRequest, rows: list[Subscription]) -> None:
    reason, actor = request.POST.get("reason", ""), signed_in(request)
    decided, made = asking.ask(rows, reason=reason, actor=actor, seconds=SECONDS)
    done = ngettext(
        "{people} gets a mail, in {requests}. After the answers another person decides.",
        "{people} get a mail, in {requests}. After the answers another person decides.",
        len(decided.done),
    )
    links = [(reverse("admin:subscriptions_reclaimrequest_change", args=[row.pk]), str(row)) for row in made]
    requests = format_html_join(", ", '<a href="{}">{}</a>', links)
    _report(request, decided, format_html(done, people=people(len(decided.done)), requests=requests))


def _form(
    request: HttpRequest, rows: list[Subscription], name: str, do: Callable[[HttpRequest, list[Subscription]], None]
) -> HttpResponse:
    error, across = "", is_across(request) and not request.POST.get("subscription")
    changed = across and has_changed(request, len(rows))
    if "decided" in request.POST and not changed:
        try:
            do(request, rows)
        except REFUSALS as refusal:
            error = sentence_of(refusal)
        else:
            return HttpResponseRedirect(reverse(LIST))
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": TITLES[name](len(rows)),
        "keeps": name == "keep",
        "asks": name == "ask",
        "error": error,
        "reason": request.POST.get("reason", ""),
        "days": request.POST.get("days", DEFAULT_PAUSE_DAYS),
        "max_days": MAX_PAUSE_DAYS,
        "min_length": MIN_REASON_LENGTH,
        "count": len(rows),
        "across": across,
        "again": form_again(request, name, "protect") if across else [("subscription", str(row.pk)) for row in rows],
        "people": [
            {"person": row, "why": explain_review(row, terms_of(row.profile))}
            for row in (rows[:NAMED] if across else rows)
        ],
        "more": max(0, len(rows) - NAMED) if across else 0,
        "may_protect": request.user.has_perm(ADD),
        # The form's own address. A bulk action shows this form at the address of the list.
        "address": request.get_full_path() if across else reverse(f"admin:subscriptions_persontoreview_{name}"),
        "back": reverse(LIST),
    }
    return TemplateResponse(request, "admin/subscriptions/persontoreview/decide.html", context)


TITLES: dict[str, Callable[[int], str]] = {
    "keep": lambda count: _("Keep {people}").format(people=people(count)),
    "candidates": lambda count: ngettext("Make {} a candidate", "Make {} candidates", count).format(people(count)),
    "ask": lambda count: _("Ask {people}").format(people=people(count)),
}


def _report_still_in_review(request: HttpRequest, rows: list[Subscription]) -> None:
    """One sentence for all of them: the list says why each is there."""
    if len(rows) == 1:
        why = explain_review(rows[0], terms_of(rows[0].profile))
        messages.warning(request, _("{person} still needs review: {why}").format(person=rows[0].display_name, why=why))
    elif rows:
        text = _("{people} still need review by the current facts. The list says why each is there.")
        messages.warning(request, text.format(people=people(len(rows))))


def _report(request: HttpRequest, decided: Decided, done: str) -> None:
    """Say what was done, and name the other people with the reason, all of one reason in one sentence."""
    if decided.done:
        messages.success(request, done)
    by_reason: dict[str, list[str]] = defaultdict(list)
    for row, reason in decided.refused:
        by_reason[reason].append(row.display_name)
    for reason, names in by_reason.items():
        named = ", ".join(names[:NAMED_LEFT_OUT])
        if len(names) > NAMED_LEFT_OUT:
            named = _("{names}, and {count} more").format(names=named, count=number(len(names) - NAMED_LEFT_OUT))
        who = names[0] if len(names) == 1 else f"{people(len(names))} ({named}):"
        messages.warning(request, f"{who} {reason}")
    if decided.not_reached:
        left = people(decided.not_reached)
        messages.warning(
            request,
            _("There was not enough time for {left}. Nothing has changed for them: do it once more.").format(left=left),
        )
