"""Subscriptions: who holds which seat, and the sentence why it is a candidate or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.db.models import Prefetch, QuerySet
from django.db.models.expressions import OrderBy
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.connectors.contract import NEUTRAL
from integrations.models import IntegrationProfile
from licensehub.ui.admin import ReadOnlyAdmin, refuse_unless_post, signed_in
from licensehub.ui.csv_file import Moment
from licensehub.ui.export import ExportMixin
from licensehub.ui.formatting import day, day_ago, two_lines
from licensehub.ui.lists.changelist import PagedChangeList
from licensehub.ui.lists.columns import ListColumn
from licensehub.ui.lists.counts import Count, estimated
from licensehub.ui.lists.id_filter import search_count
from licensehub.ui.lists.paging import keyset
from licensehub.ui.lists.search_results import Matches, fetch_matches
from subscriptions.activity.person_rows import rows_of_person
from subscriptions.admin.approvals.permissions import REQUEST
from subscriptions.admin.candidates.filters import ProfileFilter
from subscriptions.admin.evidence import packs
from subscriptions.admin.privacy import person_data
from subscriptions.admin.rules.protections.protect import ADD, protect
from subscriptions.admin.subscriptions.filters import (
    AdminRoleFilter,
    IdleFilter,
    LicenseFilter,
    RoleFilter,
    RunFilter,
    SeatFilter,
    VerdictFilter,
    is_one_verdict,
)
from subscriptions.admin.subscriptions.subscription_page import context_of, verdict_badge
from subscriptions.admin.widgets.actions import ValidateSelectionMixin, run_action
from subscriptions.admin.widgets.departments import (
    ORDERS_OF_PEOPLE,
    CostCenterFilter,
    DepartmentFilter,
    OrderByPersonMixin,
    department_of,
)
from subscriptions.admin.widgets.evidence import confirmed_columns
from subscriptions.admin.widgets.selection import is_across
from subscriptions.approvals.request import request_reclaim
from subscriptions.downloads.rows_of_run import RowsOfRun
from subscriptions.eligibility.clauses import explain
from subscriptions.eligibility.sentences import vendor_says_now
from subscriptions.eligibility.terms import terms_of
from subscriptions.evidence.scope import scope_of_person
from subscriptions.models import DownloadRun, Subscription
from subscriptions.search import matching


def sentence(row: Subscription) -> str:
    return explain(row, terms_of(row.profile))


def last_activity(row: Subscription) -> SafeString:
    """The date that counts. Below it the vendor's date of now, if that is older, empty, or cannot be right."""
    if row.dates_went_back:
        return two_lines(day(row.last_activity_at), vendor_says_now(row))
    if row.implausible_dates:
        return day_ago(row.last_activity_at, never=_("Unknown"), hint=row.implausible_dates)
    return day_ago(row.last_activity_at, hint=_("no activity seen"))


COST_CENTER = (gettext_lazy("Cost center"), lambda row: row.cost_center)
Person = TypeVar("Person", bound=Subscription)


# Of the run that changed a row, only this is read.
READ = ("id", "state", "evaluated_at")
UNREAD = [f"changed_run__{field.name}" for field in DownloadRun._meta.concrete_fields if field.name not in READ]


def with_rules(rows: QuerySet[Person]) -> QuerySet[Person]:
    """The rows with their rules, since the sentence of each row needs the terms of its profile."""
    # All rows of a page share few profiles. A join would make each of them again for each row.
    profiles = IntegrationProfile.objects.select_related("rule").prefetch_related("rule__license_thresholds")
    related = rows.select_related("evaluation", "changed_run").defer(*UNREAD)
    return related.prefetch_related(Prefetch("profile", profiles))


class SubscriptionChangeList(PagedChangeList):
    """Rows of one verdict come in the order of the verdict's index, and very many rows of a download in that of ids."""

    search_count: Count | None
    of_run: RowsOfRun | None

    def matches(self) -> Matches | None:
        """None for a search without filters: its count is known, and reading in the order of the list is fast."""
        if self.of_run and not self.of_run.are_many:
            self.search_count = None
            return fetch_matches(self.queryset, self.order)
        self.search_count = search_count(self.queryset) if self.query else None
        return super().matches() if self.search_count is None else None

    def count(self) -> Count:
        return super().count() if self.search_count is None else self.search_count

    def count_filtered(self) -> Count:
        """An estimate, since this list has no action for all rows. The rows of a download are counted already."""
        if self.of_run and not self.query and [*self.get_filters_params()] == [RunFilter.parameter_name]:
            return Count(self.of_run.number)
        return estimated(self.queryset)

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[OrderBy]:
        terms = super().get_ordering(request, queryset)
        self.of_run = next((spec.rows for spec in self.filter_specs if isinstance(spec, RunFilter)), None)
        if self.of_run and self.of_run.are_many:
            self.order, self.sorted_by = keyset.Order(self.model, "pk"), ("", False)
            return self.order.terms()
        if self.order.column == "idle_since" and is_one_verdict(request.GET.get(VerdictFilter.parameter_name, "")):
            self.order = replace(self.order, column="evaluation__idle_since", key="evaluation__subscription_id")
            return self.order.terms()
        return terms


@admin.register(Subscription)
class SubscriptionAdmin(ValidateSelectionMixin, OrderByPersonMixin, ExportMixin, ReadOnlyAdmin):
    """Facts come from the downloads only: nobody adds, edits or deletes one."""

    list_display = ("person", "department_shown", "license_shown", "activity", "assigned", "verdict_shown")
    # Shows the search field. get_search_results() does the search.
    search_fields = ("search__text",)
    search_help_text = gettext_lazy("Name, e-mail or the vendor's ID")
    list_before_template = "admin/subscriptions/subscription/list_before.html"
    # The longest idle first. People without any date come last.
    ordering = ("idle_since", "pk")
    list_filter_submit = True
    list_per_page = 50
    actions = ("protect",)
    related_orders = ORDERS_OF_PEOPLE
    columns = (
        ListColumn("of_profile", [(gettext_lazy("Profile"), lambda row: row.profile.name)]),
        ListColumn("vendor_id", [(gettext_lazy(NEUTRAL.member_id), lambda row: row.external_id)]),
        ListColumn(
            "person", [(gettext_lazy("Name"), lambda row: row.name), (gettext_lazy("E-mail"), lambda row: row.email)]
        ),
        ListColumn("department_shown", [(gettext_lazy("Department"), lambda row: row.department), COST_CENTER]),
        ListColumn("cost_center_shown", [COST_CENTER], ordering="search__cost_center"),
        ListColumn("division_shown", [(gettext_lazy("Division"), lambda row: row.division)]),
        ListColumn("employee_number_shown", [(gettext_lazy("Employee number"), lambda row: row.employee_number)]),
        ListColumn("manager_shown", [(gettext_lazy("Manager"), lambda row: row.manager or row.manager_id)]),
        ListColumn(
            "license_shown",
            [
                (gettext_lazy("License"), lambda row: row.license_label),
                (gettext_lazy("Role"), lambda row: row.role_label),
                (gettext_lazy("Admin roles"), lambda row: row.admin_roles_label),
            ],
        ),
        ListColumn(
            "seat", [(gettext_lazy("Active"), lambda row: _("yes") if row.active and not row.gone_at else _("no"))]
        ),
        ListColumn(
            "activity",
            [
                (gettext_lazy("Last activity"), Moment(lambda row: row.last_activity_at)),
                (gettext_lazy("The vendor now says"), vendor_says_now),
                (gettext_lazy("Dates that cannot be right"), lambda row: row.implausible_dates),
            ],
        ),
        ListColumn("assigned", [(gettext_lazy("Assigned since"), Moment(lambda row: row.license_assigned_at))]),
        ListColumn(
            "verdict_shown", [(gettext_lazy("Verdict"), lambda row: row.verdict.label), (gettext_lazy("Why"), sentence)]
        ),
        ListColumn("confirmed", lambda: confirmed_columns(lambda row: row), label=gettext_lazy("Confirmed")),
    )

    def has_protect_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(ADD)

    @admin.action(description=gettext_lazy("Protect"), permissions=["protect"])
    def protect(self, request: HttpRequest, chosen: QuerySet[Subscription]) -> HttpResponse | None:
        """Show the form that protects the ticked people. This list does not count its rows, so it offers no others."""
        if is_across(request):
            messages.error(request, _("Select the people on one page of the list, then choose Protect again."))
            return None
        back = request.get_full_path() if chosen.count() > 1 else ""
        return protect(request, chosen.order_by("name", "email", "pk"), back=back)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        return with_rules(super().get_queryset(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Subscription], search_term: str
    ) -> tuple[QuerySet[Subscription], bool]:
        return (queryset.filter(matching("pk", search_term)) if search_term else queryset), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[SubscriptionChangeList]:
        return SubscriptionChangeList

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [
            *(VerdictFilter, LicenseFilter, DepartmentFilter, CostCenterFilter),
            *(RoleFilter, AdminRoleFilter, IdleFilter, SeatFilter, ProfileFilter, RunFilter),
        ]

    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view, "subscriptions_subscription_"
        return [
            path("<int:pk>/request/", view(self.request_one), name=f"{name}request"),
            path("<int:pk>/evidence-pack/", view(self.evidence_pack), name=f"{name}evidence_pack"),
            *person_data.urls(view),
            *super().get_urls(),
        ]

    def evidence_pack(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        scope = scope_of_person(get_object_or_404(Subscription.objects.select_related("profile"), pk=pk))
        return packs.pack_response(request, scope, back=reverse("admin:subscriptions_subscription_change", args=[pk]))

    def request_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Request the reclaim of this one seat. Another person still has to approve it."""
        if refusal := refuse_unless_post(request, REQUEST):
            return refusal
        row = Subscription.objects.filter(pk=pk).first()
        if row is None:
            raise Http404

        def ask() -> str:
            made = request_reclaim(row.candidates.all(), actor=signed_in(request), reason="")
            return _("{made} asks for 1 seat. Another person has to approve it now.").format(made=made)

        return run_action(request, reverse("admin:subscriptions_subscription_change", args=[pk]), ask)

    def page_context(self, request: HttpRequest, row: Subscription) -> dict[str, Any]:
        pack = packs.card(request, reverse("admin:subscriptions_subscription_evidence_pack", args=[row.pk]))
        rows = rows_of_person(row)
        return {**context_of(row, rows, request), **pack, **person_data.card(row, rows, request)}

    @admin.display(description=gettext_lazy("Person"), ordering="search__text")
    def person(self, row: Subscription) -> SafeString:
        return two_lines(row.display_name, row.email if row.name else _("not in the directory"))

    @admin.display(description=gettext_lazy("Department"), ordering="search__department")
    def department_shown(self, row: Subscription) -> SafeString | str:
        return department_of(row)

    @admin.display(description=gettext_lazy("License"))
    def license_shown(self, row: Subscription) -> SafeString:
        return two_lines(row.license_label, row.all_roles_label)

    @admin.display(description=gettext_lazy("Last activity"), ordering="idle_since")
    def activity(self, row: Subscription) -> SafeString:
        return last_activity(row)

    @admin.display(description=gettext_lazy("Assigned since"))
    def assigned(self, row: Subscription) -> SafeString:
        return day_ago(
            row.license_assigned_at,
            never=_("Unknown"),
            hint=_("{vendor} does not say").format(vendor=row.profile.vendor),
        )

    @admin.display(description=gettext_lazy("Verdict"))
    def verdict_shown(self, row: Subscription) -> SafeString:
        return format_html('{}<small class="lh-reason-below">{}</small>', verdict_badge(row.verdict), sentence(row))
