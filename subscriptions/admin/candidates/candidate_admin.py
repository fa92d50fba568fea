"""Removal candidates: the people who may lose an unused seat, and the state of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin

from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from licensehub.translations.stored import translated
from licensehub.ui.admin import ReadOnlyPermissionsMixin, signed_in
from licensehub.ui.csv_file import Column, Moment
from licensehub.ui.export import ExportMixin
from licensehub.ui.formatting import two_lines
from licensehub.ui.lists.columns import ListColumn
from licensehub.ui.lists.counts import Count, capped_each
from licensehub.ui.lists.id_filter import is_id
from licensehub.ui.lists.tabs import StateTab, StateTabs, TabbedChangeList
from licensehub.ui.time_zones import company_day
from subscriptions.activity.confirmation import confirmation_of, newest_runs
from subscriptions.activity.reactivation import let_back_in, times_let_back_in
from subscriptions.admin.candidates.filters import IdleFilter, LicenseFilter, ProfileFilter
from subscriptions.admin.candidates.request_form import RequestMixin
from subscriptions.admin.rules.protections.protect import ADD
from subscriptions.admin.subscriptions.subscription_page import may_protect, request_button
from subscriptions.admin.widgets.actions import run_action
from subscriptions.admin.widgets.badges import WHAT_NEXT, candidate_badge
from subscriptions.admin.widgets.departments import (
    CostCenterFilter,
    DepartmentFilter,
    department_of,
)
from subscriptions.admin.widgets.evidence import (
    change_since,
    confirmed_columns,
    facts,
    last_activity,
    license_label,
    moment,
    now_called,
    why_now,
)
from subscriptions.approvals.request import send_again
from subscriptions.candidates import caps
from subscriptions.candidates.actions import leave_alone, resume, send_in_doubt
from subscriptions.models import CandidateState, Evaluation, Price, ReclaimRule, RemovalCandidate
from subscriptions.models.reclaims.candidate import CLOSED
from subscriptions.models.subscription import LEFT_OUT, NEEDS_REVIEW, REVIEW_LABELS
from subscriptions.money.beside import cost_columns, cost_in_state, price_on, yearly
from subscriptions.notices.bounces import returned_mail
from subscriptions.search import matching

READY = CandidateState.READY


COST_CENTER = (gettext_lazy("Cost center"), lambda row: row.subscription.cost_center)


def costs() -> Sequence[Column]:
    today = company_day()
    return cost_columns(lambda row: (row.profile_id, row.license or "", today))


class CandidateList(TabbedChangeList):
    def get_results(self, request: HttpRequest) -> None:
        """Read how often each person was let back in, and what each seat costs, for the rows of the page."""
        rows: QuerySet[Any] = self.root_queryset  # type: ignore[has-type]  # of ChangeList
        self.root_queryset = rows.annotate(price=price_on(company_day(), license="license"))
        super().get_results(request)
        times = times_let_back_in(row.subscription_id for row in self.result_list)
        for row in self.result_list:
            row.let_back_in = let_back_in(times.get(row.subscription_id, 0))
            cost = yearly(row.price)
            row.cost = f"{cost[0]} {cost[1]}" if cost else ""


def acts_of(row: RemovalCandidate, request: HttpRequest) -> dict[str, Any]:
    """The buttons of the person's page, while the candidate waits for somebody to ask."""
    if row.state != CandidateState.READY:
        return {}
    # The profile is read already.
    row.subscription.profile = row.profile
    person = row.subscription
    return {"may_protect": may_protect(person, request), **request_button(person, row, request)}


@admin.register(RemovalCandidate)
class RemovalCandidateAdmin(ReadOnlyPermissionsMixin, StateTabs, ExportMixin, RequestMixin, ModelAdmin):
    list_display = ("person", "department", "last_active", "why", "license_shown", "standing")
    list_display_links = ("person",)
    list_filter = (LicenseFilter, IdleFilter, DepartmentFilter, CostCenterFilter, ProfileFilter)
    list_filter_submit = True
    list_per_page = 50
    search_fields = ("subscription__search__text",)
    search_help_text = gettext_lazy("Name or e-mail")
    ordering = ("idle_since", "pk")
    list_before_template = "admin/subscriptions/removalcandidate/verdict_tabs.html"
    state_tabs = (
        StateTab(gettext_lazy("Attention Required"), (CandidateState.ATTENTION_REQUIRED,)),
        StateTab(gettext_lazy("Ready"), (READY,)),
        StateTab(gettext_lazy("Awaiting User"), (CandidateState.AWAITING_USER,)),
        StateTab(gettext_lazy("Awaiting Approval"), (CandidateState.AWAITING_APPROVAL,)),
        StateTab(gettext_lazy("Awaiting Revocation"), (CandidateState.AWAITING_REVOCATION,)),
        StateTab(gettext_lazy("Closed"), CLOSED),
    )
    default_states = (READY,)
    columns = (
        ListColumn(
            "person",
            [
                (gettext_lazy("Name"), lambda row: row.subscription.name),
                (gettext_lazy("E-mail"), lambda row: row.subscription.email),
            ],
        ),
        ListColumn("department", [(gettext_lazy("Department"), lambda row: row.subscription.department), COST_CENTER]),
        ListColumn("cost_center", [COST_CENTER], ordering="person_cost_center"),
        ListColumn("of_profile", [(gettext_lazy("Profile"), lambda row: row.profile.name)]),
        ListColumn(
            "license_shown",
            [
                (gettext_lazy("License"), lambda row: license_label(row.profile, row.evidence["license"])),
                (gettext_lazy("Admin roles"), lambda row: row.subscription.admin_roles_label),
            ],
        ),
        ListColumn(
            "last_active",
            [(gettext_lazy("Last activity"), Moment(lambda row: moment(row.evidence, "last_activity_at")))],
        ),
        ListColumn(
            "assigned",
            [(gettext_lazy("License assigned"), Moment(lambda row: moment(row.evidence, "license_assigned_at")))],
        ),
        ListColumn("why", [(gettext_lazy("Why"), why_now)]),
        ListColumn(
            "standing",
            [
                (gettext_lazy("State"), lambda row: row.get_state_display()),
                (gettext_lazy("Close reason"), lambda row: row.get_close_reason_display()),
            ],
        ),
        ListColumn("since", [(gettext_lazy("Candidate since"), Moment(lambda row: row.created_at))]),
        ListColumn("cost", costs, label=gettext_lazy("Amount per year"), permission="subscriptions.view_price"),
        ListColumn(
            "confirmed", lambda: confirmed_columns(lambda row: row.subscription), label=gettext_lazy("Confirmed")
        ),
    )

    @admin.display(description=gettext_lazy("Person"), ordering="person_text")
    def person(self, row: RemovalCandidate) -> SafeString:
        return two_lines(row.subscription.display_name, row.subscription.email if row.subscription.name else "")

    @admin.display(description=gettext_lazy("Department"), ordering="person_department")
    def department(self, row: RemovalCandidate) -> SafeString | str:
        return department_of(row.subscription)

    @admin.display(description=gettext_lazy("Last activity"), ordering="idle_since")
    def last_active(self, row: RemovalCandidate) -> SafeString:
        return last_activity(row.evidence)

    @admin.display(description=gettext_lazy("Why"))
    def why(self, row: Any) -> SafeString:
        return two_lines(translated(row.attention) if row.attention else why_now(row), row.let_back_in)

    @admin.display(description=gettext_lazy("License"))
    def license_shown(self, row: Any) -> SafeString:
        """The script of the bulk bar adds up `data-cost` of the ticked rows."""
        shown = two_lines(license_label(row.profile, row.evidence["license"]), row.subscription.admin_roles_label)
        return format_html('<span data-cost="{}">{}</span>', row.cost, shown) if row.cost else shown

    @admin.display(description=gettext_lazy("State"))
    def standing(self, row: RemovalCandidate) -> SafeString:
        return candidate_badge(row)

    # --- The list -----------------------------------------------------------------------------------------------------

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[CandidateList]:
        return CandidateList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        shown = {
            "verdict_tabs": verdict_tabs(),
            "cap": cap_of_list(request),
            "may_protect": request.user.has_perm(ADD),
        }
        return super().changelist_view(request, {**(extra_context or {}), **shown})

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[RemovalCandidate], search_term: str
    ) -> tuple[QuerySet[RemovalCandidate], bool]:
        return (queryset.filter(matching("subscription", search_term)) if search_term else queryset), False

    # --- The page -----------------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[RemovalCandidate]:
        rows: QuerySet[RemovalCandidate] = super().get_queryset(request)
        return rows.select_related("subscription").prefetch_related("profile")

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        row: RemovalCandidate = kwargs["obj"]
        context |= {
            "title": _("Removal candidate"),
            "badge": candidate_badge(row),
            "what_next": WHAT_NEXT[CandidateState(row.state)],
            "facts": facts(row.profile, row.evidence),
            # Another name than “change”: Django sets that for its own form.
            "since": change_since(row, row.evidence),
            "now": now_called(row.evidence, row.subscription),
            "confirmed": confirmation_of(row.subscription, newest_runs().get(row.profile_id)).sentence,
            "removals": row.removals.select_related("request", "reclaim"),
            "events": audit_events_of(row),
            "resume_attrs": _formaction("resume", row.pk),
            "leave_attrs": _formaction("leave", row.pk),
            "may_decide": row.state == CandidateState.ATTENTION_REQUIRED and self.has_request_permission(request),
            **acts_of(row, request),
            "let_back_in": let_back_in(times_let_back_in([row.subscription_id]).get(row.subscription_id, 0)),
            "reclaim_in_doubt": send_in_doubt(row) if row.state == CandidateState.ATTENTION_REQUIRED else None,
            "send_again_attrs": _formaction("send_again", row.pk),
            "asked_by_mail": returned_mail.last_handed_over(row) if self.has_request_permission(request) else None,
            "came_back_attrs": _formaction("came_back", row.pk),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/resume/", view(self.resume), name="subscriptions_removalcandidate_resume"),
            path("<int:pk>/leave/", view(self.leave), name="subscriptions_removalcandidate_leave"),
            path("<int:pk>/came-back/", view(self.came_back), name="subscriptions_removalcandidate_came_back"),
            path("<int:pk>/again/", view(self.send_again), name="subscriptions_removalcandidate_send_again"),
            *super().get_urls(),
        ]

    def resume(self, request: HttpRequest, pk: int) -> HttpResponse:
        done = _("{} is Ready again. The reclaim needs a new request and a new approval.")
        return self._run(request, pk, resume, done)

    def leave(self, request: HttpRequest, pk: int) -> HttpResponse:
        done = _("{} keeps the seat and is in cool-down: no new candidate for the number of days of the threshold.")
        return self._run(request, pk, leave_alone, done)

    def came_back(self, request: HttpRequest, pk: int) -> HttpResponse:
        done = _("It is noted that the mail to {} came back, so silence is no answer.")
        reason = request.POST.get("reason", "").strip()[:300]
        return self._run(request, pk, partial(returned_mail.enter, reason=reason), done)

    def send_again(self, request: HttpRequest, pk: int) -> HttpResponse:
        reason = request.POST.get("reason", "").strip()[:500]
        done = _("A new request for {} was made. Another person has to approve it before anything is sent again.")
        return self._run(request, pk, partial(send_again, reason=reason), done)

    def _run(self, request: HttpRequest, pk: int, do: Callable[..., object], done: str) -> HttpResponse:
        if not self.has_request_permission(request):
            raise PermissionDenied
        row = get_object_or_404(RemovalCandidate, pk=pk)

        def run() -> str:
            do(row, actor=signed_in(request))
            return done.format(row)

        return run_action(request, reverse("admin:subscriptions_removalcandidate_change", args=[pk]), run)


def _formaction(action: str, pk: int) -> SafeString:
    return format_html('formaction="{}"', reverse(f"admin:subscriptions_removalcandidate_{action}", args=[pk]))


def cap_of_list(request: HttpRequest) -> int | None:
    """Return how many people one request may have; None when the list shows several profiles."""
    rules = ReclaimRule.objects.filter(profile__in=IntegrationProfile.objects.in_use()).select_related("profile")
    chosen = request.GET.get("profile", "")
    if is_id(chosen):
        rules = rules.filter(profile=int(chosen))
    found = list(rules[:2])
    return caps.batch_of(found[0].profile) if len(found) == 1 else None


def verdict_tabs() -> dict[str, Count | str]:
    """The counts of the tabs above the list: Ready candidates with their cost, and people by two groups of verdicts."""
    counts = capped_each(
        {
            "ready": RemovalCandidate.objects.filter(state=READY),
            "review": Evaluation.objects.filter(verdict__in=NEEDS_REVIEW),
            "protected": Evaluation.objects.filter(verdict__in=LEFT_OUT),
            "prices": Price.objects.valid(),
        }
    )
    return {
        **counts,
        "cost": cost_in_state(READY) if counts["prices"] else "",
        "protected_verdicts": ",".join(LEFT_OUT),
        "review_labels": str(REVIEW_LABELS),
    }


def audit_events_of(row: RemovalCandidate) -> QuerySet[AuditEvent]:
    """The audit events of the candidate, its requests and its reclaims."""
    removals = row.removals.values_list("request_id", "reclaim__pk")
    requests = {request for request, _ in removals}
    reclaims = {reclaim for _, reclaim in removals if reclaim}
    mine = Q(target_type="subscriptions.removalcandidate", target_id=row.pk)
    mine |= Q(target_type="subscriptions.reclaimrequest", target_id__in=requests)
    mine |= Q(target_type="subscriptions.reclaim", target_id__in=reclaims)
    return AuditEvent.objects.filter(mine).order_by("sequence")
