"""*Request reclaim* and *Dry run* in the list of candidates, and the page that confirms a request."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.db.models.fields.json import KT
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin

from licensehub.ui.admin import run_and_report, signed_in
from subscriptions.admin.approvals import dry_run as dry_run_page
from subscriptions.admin.approvals.permissions import REQUEST
from subscriptions.admin.rules.lost import lost_in, lost_list
from subscriptions.admin.widgets.actions import REFUSALS, ValidateSelectionMixin
from subscriptions.admin.widgets.counts import seats
from subscriptions.admin.widgets.left_out import Selection, select, ticked
from subscriptions.approvals import dry_run
from subscriptions.approvals.request import one_profile, request_reclaim
from subscriptions.candidates import caps
from subscriptions.models import CandidateState, ReclaimRequest, ReclaimRule, RemovalCandidate
from subscriptions.reclaims.switches import Operation
from subscriptions.schedules.working_days import window_text

# People named on the page that confirms a request; the others are counted.
NAMED = 12


class RequestMixin(ValidateSelectionMixin, ModelAdmin):
    """Put before ModelAdmin of RemovalCandidate."""

    actions = ("request_reclaim", "dry_run")

    def has_request_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(REQUEST)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Only Ready candidates can be requested, so the other tabs have no checkboxes."""
        chosen = {value for name, value in request.GET.items() if name.startswith("state_")}
        return super().get_actions(request) if chosen <= {CandidateState.READY.value} else {}

    @admin.action(description="Request reclaim", permissions=["request"])
    def request_reclaim(self, request: HttpRequest, chosen: QuerySet[RemovalCandidate]) -> HttpResponse | None:
        """Show the people first. A POST from that page has `confirmed`, and makes the request.

        People who cannot be requested are left out, and named with the reason. Each profile gets a request of its own.
        """
        selection = selection_of(ticked(request, chosen), actor=signed_in(request))
        count = selection.count
        if count and request.POST.get("confirmed") == str(count):
            return self._request(request, selection)
        if request.POST.get("confirmed"):
            messages.warning(request, f"The list has changed: {count} of these people are Ready now.")
        if count:
            return self._confirm(request, selection, count)
        for sentence in selection.left_out:
            messages.error(request, sentence)
        return None

    @admin.action(description="Dry run", permissions=["request"])
    def dry_run(self, request: HttpRequest, chosen: QuerySet[RemovalCandidate]) -> HttpResponse:
        """A dry run as if these people were requested and approved now."""
        count = chosen.filter(state=CandidateState.READY).count()
        return dry_run_page.show(
            request,
            lambda: dry_run.try_candidates(chosen, limit=dry_run_page.LIMIT),
            subject=seats(count),
            back=request.get_full_path(),
            warning=warnings_before_request(chosen, count)["over_cap"],
        )

    def _request(self, request: HttpRequest, selection: Selection) -> HttpResponse | None:
        reason = request.POST.get("reason", "").strip()[:500]
        made: list[ReclaimRequest] = []

        def ask(rows: QuerySet[RemovalCandidate]) -> str:
            made.append(request_reclaim(rows, actor=signed_in(request), reason=reason))
            return f"{made[-1]} asks for {seats(made[-1].removals.count())}. Another person has to approve it."

        for rows in selection.able.values():
            run_and_report(request, partial(ask, rows), refusals=REFUSALS)
        for sentence in selection.left_out:
            messages.warning(request, sentence)
        if not made:
            return None
        if len(made) > 1:
            return HttpResponseRedirect(reverse("admin:subscriptions_reclaimrequest_changelist"))
        return HttpResponseRedirect(reverse("admin:subscriptions_reclaimrequest_change", args=[made[0].pk]))

    def _confirm(self, request: HttpRequest, selection: Selection, count: int) -> HttpResponse:
        across = request.POST.get("select_across") == "1"
        people = [
            person
            for rows in selection.able.values()
            for person in rows.select_related("subscription__profile")[:NAMED]
        ][:NAMED]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.model._meta,
            "title": f"Request reclaim of {seats(count)}",
            "count": count,
            "requests": len(selection.able),
            "people": people,
            "more": max(0, count - NAMED),
            "left_out": selection.left_out,
            "selected": request.POST.getlist("_selected_action")[: 1 if across else None],
            "across": across,
            "reason": request.POST.get("reason", ""),
            "warnings": [warnings_before_request(rows, rows.count()) for rows in selection.able.values()],
            "window": window_text(),
        }
        return TemplateResponse(request, "admin/subscriptions/removalcandidate/confirm_request.html", context)


def selection_of(chosen: QuerySet[RemovalCandidate], *, actor: User) -> Selection:
    ready = chosen.filter(state=CandidateState.READY)
    selection = select(ready, Operation.REQUEST, email=KT("evidence__email"), actor=actor)
    selection.leave_out(chosen.exclude(state=CandidateState.READY), "Not Ready any more.")
    return selection


def warnings_before_request(ready: QuerySet[RemovalCandidate], count: int) -> dict[str, Any]:
    """Warnings, and how many days its people have to answer by mail."""
    try:
        rule = ReclaimRule.objects.select_related("profile").get(profile=one_profile(ready))
    except REFUSALS:
        return {"over_cap": "", "days_to_answer": 0, "lost": ""}  # the request itself is refused
    cap = caps.batch_of(rule.profile)
    over = (
        f"{count:,} people are more than the cap of {cap:,}. Another person has to raise the cap, and a third person "
        "has to decide."
    )
    return {
        "over_cap": over if count > cap else "",
        "days_to_answer": rule.days_to_answer if rule.notify_user else 0,
        "lost": lost_in(rule.profile),
        "lost_list": lost_list(),
    }
