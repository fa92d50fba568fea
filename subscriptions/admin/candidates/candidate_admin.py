"""Removal candidates: who may lose an unused seat, where each stands, and the request for their reclaim."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from licensehub.ui.admin import ReadOnlyPermissionsMixin, sentence_of, signed_in
from licensehub.ui.export import CsvExport
from licensehub.ui.formatting import EMPTY, two_lines
from licensehub.ui.lists.counts import Count, capped_each
from licensehub.ui.lists.tabs import StateTab, StateTabs
from subscriptions.admin.approvals import dry_run
from subscriptions.admin.candidates.filters import IdleFilter, LicenseFilter, ProfileFilter
from subscriptions.admin.widgets.actions import REFUSALS, ValidateSelectionMixin, run_action
from subscriptions.admin.widgets.badges import WHAT_NEXT, candidate_badge
from subscriptions.admin.widgets.counts import seats
from subscriptions.admin.widgets.evidence import change_since, facts, last_activity, license_label
from subscriptions.approvals.dry_run import try_candidates
from subscriptions.approvals.request import one_profile, request_reclaim, send_again
from subscriptions.candidates import caps
from subscriptions.candidates.actions import leave_alone, resume, send_in_doubt
from subscriptions.models import CandidateState, Evaluation, ReclaimRule, RemovalCandidate
from subscriptions.models.candidate import CLOSED
from subscriptions.models.subscription import LEFT_OUT, NEEDS_REVIEW
from subscriptions.search import matching

ASK = "subscriptions.request_removalcandidate"
READY = CandidateState.READY
# People named on the page that confirms a request; the others are counted.
NAMED = 12


@admin.register(RemovalCandidate)
class RemovalCandidateAdmin(ReadOnlyPermissionsMixin, StateTabs, CsvExport, ValidateSelectionMixin, ModelAdmin):
    list_display = ("person", "department", "last_active", "why", "license_shown", "standing")
    list_display_links = ("person",)
    list_filter = (LicenseFilter, IdleFilter, ProfileFilter)
    list_select_related = ("subscription", "profile")
    list_per_page = 50
    search_fields = ("subscription__search__text",)
    search_help_text = "Name or e-mail"
    ordering = ("idle_since", "pk")
    actions = ("request_reclaim", "dry_run")
    list_before_template = "admin/subscriptions/removalcandidate/verdict_tabs.html"
    state_tabs = (
        StateTab("Attention Required", (CandidateState.ATTENTION_REQUIRED,)),
        StateTab("Ready", (READY,)),
        StateTab("Awaiting User", (CandidateState.AWAITING_USER,)),
        StateTab("Awaiting Approval", (CandidateState.AWAITING_APPROVAL,)),
        StateTab("Awaiting Revocation", (CandidateState.AWAITING_REVOCATION,)),
        StateTab("Closed", CLOSED),
    )
    default_states = (READY,)
    csv_columns = (
        ("Name", lambda row: row.subscription.name),
        ("E-mail", lambda row: row.subscription.email),
        ("Department", lambda row: row.subscription.department),
        ("Profile", lambda row: row.profile.name),
        ("License", lambda row: license_label(row.profile, row.evidence["license"])),
        ("Last activity", lambda row: row.evidence["last_activity_at"]),
        ("License assigned", lambda row: row.evidence["license_assigned_at"]),
        ("Why", lambda row: row.evidence["why"]),
        ("State", lambda row: row.get_state_display()),
        ("Close reason", lambda row: row.get_close_reason_display()),
        ("Candidate since", lambda row: row.created_at),
    )

    def person(self, row: RemovalCandidate) -> SafeString:
        return two_lines(row.subscription.display_name, row.subscription.email if row.subscription.name else "")

    def department(self, row: RemovalCandidate) -> str:
        return row.subscription.department or EMPTY

    @admin.display(description="Last activity", ordering="idle_since")
    def last_active(self, row: RemovalCandidate) -> SafeString:
        return last_activity(row.evidence)

    @admin.display(description="Why")
    def why(self, row: RemovalCandidate) -> str:
        return row.attention or str(row.evidence["why"])

    @admin.display(description="License")
    def license_shown(self, row: RemovalCandidate) -> str:
        return license_label(row.profile, row.evidence["license"])

    @admin.display(description="State")
    def standing(self, row: RemovalCandidate) -> SafeString:
        return candidate_badge(row)

    # --- The list -----------------------------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        shown = {"verdict_tabs": verdict_tabs(), "cap": cap_of_list(request)}
        return super().changelist_view(request, {**(extra_context or {}), **shown})

    def has_request_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(ASK)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Only what is Ready can be requested, so the other tabs have no boxes to tick."""
        chosen = {value for name, value in request.GET.items() if name.startswith("state_")}
        return super().get_actions(request) if chosen <= {READY.value} else {}

    @admin.action(description="Request reclaim", permissions=["request"])
    def request_reclaim(self, request: HttpRequest, chosen: QuerySet[RemovalCandidate]) -> HttpResponse | None:
        """First the page that says for whom; with `confirmed` the action itself."""
        ready = chosen.filter(state=READY)
        count = ready.count()
        if count and request.POST.get("confirmed") == str(count):
            return self._request(request, ready)
        if request.POST.get("confirmed"):
            messages.warning(request, f"The list has changed: {count} of these people are Ready now.")
        return self._confirm(request, ready, count) if count else None

    @admin.action(description="Dry run", permissions=["request"])
    def dry_run(self, request: HttpRequest, chosen: QuerySet[RemovalCandidate]) -> HttpResponse:
        """What would happen to these people if they were requested and approved now."""
        count = chosen.filter(state=READY).count()
        return dry_run.show(
            request,
            lambda: try_candidates(chosen, limit=dry_run.LIMIT),
            what=seats(count),
            back=request.get_full_path(),
            warning=warnings_before_request(chosen, count)["over_cap"],
        )

    def _request(self, request: HttpRequest, ready: QuerySet[RemovalCandidate]) -> HttpResponse | None:
        reason = request.POST.get("reason", "").strip()[:500]
        try:
            made = request_reclaim(ready, actor=signed_in(request), reason=reason)
        except REFUSALS as error:
            messages.error(request, sentence_of(error))
            return None
        count = made.removals.count()
        messages.success(request, f"{made} asks for {seats(count)}. Another person has to approve it.")
        return HttpResponseRedirect(reverse("admin:subscriptions_reclaimrequest_change", args=[made.pk]))

    def _confirm(self, request: HttpRequest, ready: QuerySet[RemovalCandidate], count: int) -> HttpResponse:
        across = request.POST.get("select_across") == "1"
        context = {
            **self.admin_site.each_context(request),
            "opts": self.model._meta,
            "title": f"Request reclaim of {seats(count)}",
            "count": count,
            "people": ready.select_related("subscription__profile")[:NAMED],
            "more": max(0, count - NAMED),
            "selected": request.POST.getlist("_selected_action")[: 1 if across else None],
            "across": across,
            "reason": request.POST.get("reason", ""),
            **warnings_before_request(ready, count),
        }
        return TemplateResponse(request, "admin/subscriptions/removalcandidate/confirm_request.html", context)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[RemovalCandidate], search_term: str
    ) -> tuple[QuerySet[RemovalCandidate], bool]:
        return (queryset.filter(matching("subscription", search_term)) if search_term else queryset), False

    # --- The page -----------------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[RemovalCandidate]:
        rows: QuerySet[RemovalCandidate] = super().get_queryset(request)
        return rows.select_related("subscription__profile", "subscription__evaluation", "profile", "run")

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        row: RemovalCandidate = kwargs["obj"]
        context |= {
            "title": "Removal candidate",
            "badge": candidate_badge(row),
            "what_next": WHAT_NEXT[CandidateState(row.state)],
            "facts": facts(row.profile, row.evidence),
            "change": change_since(row, row.evidence),
            "removals": row.removals.select_related("request", "reclaim"),
            "events": audit_events_of(row),
            "resume_attrs": _formaction("resume", row.pk),
            "leave_attrs": _formaction("leave", row.pk),
            "may_decide": row.state == CandidateState.ATTENTION_REQUIRED and self.has_request_permission(request),
            "reclaim_in_doubt": send_in_doubt(row) if row.state == CandidateState.ATTENTION_REQUIRED else None,
            "send_again_attrs": _formaction("send_again", row.pk),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/resume/", view(self.resume), name="subscriptions_removalcandidate_resume"),
            path("<int:pk>/leave/", view(self.leave), name="subscriptions_removalcandidate_leave"),
            path("<int:pk>/again/", view(self.send_again), name="subscriptions_removalcandidate_send_again"),
            *super().get_urls(),
        ]

    def resume(self, request: HttpRequest, pk: int) -> HttpResponse:
        done = "{} is Ready again. The reclaim needs a new request and a new approval."
        return self._run(request, pk, resume, done)

    def leave(self, request: HttpRequest, pk: int) -> HttpResponse:
        done = "{} keeps the seat and is in cool-down: no new candidate for the number of days of the threshold."
        return self._run(request, pk, leave_alone, done)

    def send_again(self, request: HttpRequest, pk: int) -> HttpResponse:
        reason = request.POST.get("reason", "").strip()[:500]
        done = "A new request for {} was made. Another person has to approve it before anything is sent again."
        return self._run(request, pk, partial(send_again, reason=reason), done)

    def _run(self, request: HttpRequest, pk: int, do: Callable[..., object], done: str) -> HttpResponse:
        if not self.has_request_permission(request):
            raise PermissionDenied
        row = get_object_or_404(RemovalCandidate, pk=pk)

        def doing() -> str:
            do(row, actor=signed_in(request))
            return done.format(row)

        return run_action(request, reverse("admin:subscriptions_removalcandidate_change", args=[pk]), doing)


def _formaction(action: str, pk: int) -> SafeString:
    return format_html('formaction="{}"', reverse(f"admin:subscriptions_removalcandidate_{action}", args=[pk]))


def warnings_before_request(ready: QuerySet[RemovalCandidate], count: int) -> dict[str, Any]:
    """What whoever asks should know first: the cap of a request, and whether people are asked by mail."""
    try:
        rule = ReclaimRule.objects.select_related("profile").get(profile=one_profile(ready))
    except REFUSALS:
        return {"over_cap": "", "days_to_answer": 0}  # the action itself says so
    cap = caps.batch_of(rule.profile)
    over = (
        f"{count:,} people are more than the cap of {cap:,}. Another person has to raise the cap, and a third person "
        "has to approve."
    )
    return {"over_cap": over if count > cap else "", "days_to_answer": rule.days_to_answer if rule.notify_user else 0}


def cap_of_list(request: HttpRequest) -> int | None:
    """How many people one request may ask for; None where the list shows several profiles."""
    rules = ReclaimRule.objects.filter(profile__in=IntegrationProfile.objects.in_use()).select_related("profile")
    chosen = request.GET.get("profile", "")
    if chosen.isdecimal():
        rules = rules.filter(profile=int(chosen))
    found = list(rules[:2])
    return caps.batch_of(found[0].profile) if len(found) == 1 else None


def verdict_tabs() -> dict[str, Count | str]:
    """May I act on them? Ready candidates, and two views on the subscriptions' verdicts."""
    counts = capped_each(
        {
            "ready": RemovalCandidate.objects.filter(state=READY),
            "review": Evaluation.objects.filter(verdict__in=NEEDS_REVIEW),
            "protected": Evaluation.objects.filter(verdict__in=LEFT_OUT),
        }
    )
    verdicts = {"review_verdicts": ",".join(NEEDS_REVIEW), "protected_verdicts": ",".join(LEFT_OUT)}
    return {**counts, **verdicts}


def audit_events_of(row: RemovalCandidate) -> QuerySet[AuditEvent]:
    """What happened to the candidate, to the requests it was in, and to its reclaims."""
    removals = row.removals.values_list("request_id", "reclaim__pk")
    requests = {request for request, _ in removals}
    reclaims = {reclaim for _, reclaim in removals if reclaim}
    mine = Q(target_type="subscriptions.removalcandidate", target_id=row.pk)
    mine |= Q(target_type="subscriptions.reclaimrequest", target_id__in=requests)
    mine |= Q(target_type="subscriptions.reclaim", target_id__in=reclaims)
    return AuditEvent.objects.filter(mine).order_by("sequence")
