"""The list *Needs review*: why each person is there, and the suggested action."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.db.models.expressions import OrderBy
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin

from licensehub.ui.admin import LargeTableMixin, ReadOnlyPermissionsMixin
from licensehub.ui.csv_file import Moment
from licensehub.ui.export import ExportMixin
from licensehub.ui.formatting import EMPTY, two_lines
from licensehub.ui.lists.changelist import PagedChangeList
from licensehub.ui.lists.columns import ListColumn
from licensehub.ui.lists.counts import Count, capped_each
from subscriptions.admin.approvals.permissions import REQUEST
from subscriptions.admin.candidates.candidate_admin import verdict_tabs
from subscriptions.admin.candidates.filters import LicenseFilter, ProfileFilter
from subscriptions.admin.review import actions
from subscriptions.admin.rules.protections.protect import ADD
from subscriptions.admin.subscriptions.subscription_admin import last_activity, with_rules
from subscriptions.admin.subscriptions.subscription_page import verdict_badge
from subscriptions.admin.widgets.actions import ValidateSelectionMixin
from subscriptions.admin.widgets.departments import (
    ORDERS_OF_PEOPLE,
    CostCenterFilter,
    DepartmentFilter,
    OrderByPersonMixin,
    department_of,
)
from subscriptions.eligibility.clauses import explain_review
from subscriptions.eligibility.terms import terms_of
from subscriptions.models import PersonToReview
from subscriptions.models.subscription import NEEDS_REVIEW, REVIEW_REASONS
from subscriptions.search import matching

REASON = "reason"
SUGGESTED = {reason.verdict: reason.suggested for reason in REVIEW_REASONS}


def why(row: PersonToReview) -> str:
    return capfirst(explain_review(row, terms_of(row.profile)))


COST_CENTER = (gettext_lazy("Cost center"), lambda row: row.cost_center)


class ReviewChangeList(PagedChangeList):
    """Adds a tab for each reason, with its count under the search and the filters."""

    counts: dict[str, Count]

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        found = super().get_filters_params(params)
        chosen = [value for values in found.pop(REASON, []) for value in [str(values)] if value in NEEDS_REVIEW]
        self.reason = chosen[-1] if chosen else ""
        return found

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        everybody = super().get_queryset(request, exclude_parameters).filter(evaluation__verdict__in=NEEDS_REVIEW)
        by_reason = {verdict: everybody.filter(evaluation__verdict=verdict) for verdict in NEEDS_REVIEW}
        self.counts = capped_each({verdict.value: rows for verdict, rows in by_reason.items()})
        return self.in_tab(everybody)

    def in_tab(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(evaluation__verdict__in=[self.reason] if self.reason else NEEDS_REVIEW)

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[OrderBy]:
        """Order the rows of one verdict by the verdict's index."""
        terms = super().get_ordering(request, queryset)
        if self.order.column == "idle_since" and self.reason:
            self.order = replace(self.order, column="evaluation__idle_since", key="evaluation__subscription_id")
            return self.order.terms()
        return terms

    @property
    def tabs(self) -> list[dict[str, Any]]:
        whole = {"label": _("All"), "count": sum(self.counts.values(), Count(0)), "selected": not self.reason}
        tabs = [{**whole, "url": self.get_query_string(remove=[REASON])}]
        for verdict in NEEDS_REVIEW:
            url = self.get_query_string({REASON: verdict.value})
            count, chosen = self.counts[verdict.value], self.reason == verdict.value
            tabs.append({"label": verdict.label, "count": count, "selected": chosen, "url": url})
        return tabs


@admin.register(PersonToReview)
class ReviewAdmin(
    ValidateSelectionMixin, OrderByPersonMixin, LargeTableMixin, ReadOnlyPermissionsMixin, ExportMixin, ModelAdmin
):
    list_display = ("person", "why_you_decide", "activity", "department_shown", "suggested")
    list_display_links = None
    list_filter = (LicenseFilter, DepartmentFilter, CostCenterFilter, ProfileFilter)
    list_filter_submit = True
    list_per_page = 50
    search_fields = ("search__text",)
    search_help_text = gettext_lazy("Name or e-mail")
    ordering = ("idle_since", "pk")
    actions = ("keep", "look_up", "candidates", "protect", "ask")
    list_before_template = "admin/subscriptions/persontoreview/list_before.html"
    related_orders = ORDERS_OF_PEOPLE
    columns = (
        ListColumn("of_profile", [(gettext_lazy("Profile"), lambda row: row.profile.name)]),
        ListColumn(
            "person", [(gettext_lazy("Name"), lambda row: row.name), (gettext_lazy("E-mail"), lambda row: row.email)]
        ),
        ListColumn("department_shown", [(gettext_lazy("Department"), lambda row: row.department), COST_CENTER]),
        ListColumn("cost_center_shown", [COST_CENTER], ordering="search__cost_center"),
        ListColumn("license_shown", [(gettext_lazy("License"), lambda row: row.license_label)]),
        ListColumn(
            "why_you_decide", [(gettext_lazy("Reason"), lambda row: row.verdict.label), (gettext_lazy("Why"), why)]
        ),
        ListColumn(
            "activity",
            [
                (gettext_lazy("Last activity"), Moment(lambda row: row.last_activity_at)),
                (
                    gettext_lazy("The vendor now says"),
                    Moment(lambda row: row.vendor_activity_at if row.dates_went_back else ""),
                ),
            ],
        ),
        ListColumn("assigned", [(gettext_lazy("Assigned since"), Moment(lambda row: row.license_assigned_at))]),
        ListColumn("suggested"),
    )

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("subscriptions.view_subscription")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_request_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(REQUEST)

    def has_protect_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(ADD)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PersonToReview]:
        return with_rules(super().get_queryset(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[PersonToReview], search_term: str
    ) -> tuple[QuerySet[PersonToReview], bool]:
        return (queryset.filter(matching("pk", search_term)) if search_term else queryset), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ReviewChangeList]:
        return ReviewChangeList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        self.may_decide, self.may_protect = self.has_request_permission(request), request.user.has_perm(ADD)
        shown = {
            "verdict_tabs": verdict_tabs(),
            "tab_card": "review",
            "tabs_name": _("By reason"),
            "may_protect": self.may_protect,
        }
        return super().changelist_view(request, {**(extra_context or {}), **shown})

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Redirect to the page of the subscription: a person has no page of their own here."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(reverse("admin:subscriptions_subscription_change", args=[object_id]))

    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view, "subscriptions_persontoreview_{}".format
        return [
            path("keep/", view(actions.keep), name=name("keep")),
            path("candidates/", view(actions.make_candidates), name=name("candidates")),
            path("ask/", view(actions.ask), name=name("ask")),
            path("protect/", view(actions.protect), name=name("protect")),
            path("look-up/", view(actions.look_up), name=name("look_up")),
            *super().get_urls(),
        ]

    @admin.action(description=gettext_lazy("Keep"), permissions=["request"])
    def keep(self, request: HttpRequest, chosen: QuerySet[PersonToReview]) -> HttpResponse:
        return actions.keep(request, chosen)

    @admin.action(description=gettext_lazy("Look up"), permissions=["request"])
    def look_up(self, request: HttpRequest, chosen: QuerySet[PersonToReview]) -> HttpResponse:
        return actions.look_up(request, chosen)

    @admin.action(description=gettext_lazy("Make candidates"), permissions=["request"])
    def candidates(self, request: HttpRequest, chosen: QuerySet[PersonToReview]) -> HttpResponse:
        return actions.make_candidates(request, chosen)

    @admin.action(description=gettext_lazy("Ask"), permissions=["request"])
    def ask(self, request: HttpRequest, chosen: QuerySet[PersonToReview]) -> HttpResponse:
        return actions.ask(request, chosen)

    @admin.action(description=gettext_lazy("Protect"), permissions=["protect"])
    def protect(self, request: HttpRequest, chosen: QuerySet[PersonToReview]) -> HttpResponse:
        return actions.protect(request, chosen)

    @admin.display(description=gettext_lazy("Person"), ordering="search__text")
    def person(self, row: PersonToReview) -> SafeString:
        link = reverse("admin:subscriptions_subscription_change", args=[row.pk])
        known_by = row.email if row.name else _("not in the directory")
        small = known_by if row.email else _("no e-mail address")
        return format_html('<a class="lh-person-link" href="{}">{}</a>', link, two_lines(row.display_name, small))

    @admin.display(description=gettext_lazy("Why you decide"))
    def why_you_decide(self, row: PersonToReview) -> SafeString:
        return format_html('{}<small class="lh-reason-below">{}</small>', verdict_badge(row.verdict), why(row))

    @admin.display(description=gettext_lazy("Last activity"), ordering="idle_since")
    def activity(self, row: PersonToReview) -> SafeString:
        return last_activity(row)

    @admin.display(description=gettext_lazy("Department"), ordering="search__department")
    def department_shown(self, row: PersonToReview) -> SafeString | str:
        return department_of(row)

    @admin.display(description=gettext_lazy("Suggested"))
    def suggested(self, row: PersonToReview) -> SafeString | str:
        """One action as a button, and the others in a menu. They are buttons of the list's own form."""
        if not self.may_decide:
            return EMPTY
        context = {"row": row, "suggested": SUGGESTED[row.verdict], "may_protect": self.may_protect}
        return render_to_string("admin/subscriptions/persontoreview/acts.html", context)
