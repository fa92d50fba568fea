"""Approvals: the requests to reclaim seats, and a second person's decision on each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import median
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin

from licensehub.ui.admin import ReadOnlyPermissionsMixin
from licensehub.ui.csv_file import Moment
from licensehub.ui.export import ExportMixin, export_response
from licensehub.ui.formatting import EMPTY, ago, badge, day, day_and_time, left, name_of, two_lines
from licensehub.ui.lists.columns import ListColumn
from licensehub.ui.lists.folding import contains_words, folded
from licensehub.ui.lists.id_filter import IdIn, IdList
from licensehub.ui.lists.tabs import StateTab, StateTabs, TabbedChangeList
from subscriptions.admin.approvals import actions, dry_run
from subscriptions.admin.approvals.pages.people import PEOPLE_COLUMNS, people_of
from subscriptions.admin.approvals.pages.progress import progress_view
from subscriptions.admin.approvals.pages.request_page import page_context
from subscriptions.admin.approvals.pages.restore_page import restore_page
from subscriptions.admin.approvals.permissions import is_overdue
from subscriptions.admin.candidates.filters import ProfileFilter
from subscriptions.admin.evidence import packs
from subscriptions.admin.reclaims.steps import requester_of
from subscriptions.admin.widgets.badges import request_badge
from subscriptions.admin.widgets.counts import seats
from subscriptions.admin.widgets.signed_rows import SignedRowsMixin, marked
from subscriptions.evidence.rows.signed_fields import REQUESTS
from subscriptions.evidence.scope import scope_of_request
from subscriptions.models import Direction, ReclaimRequest, RequestedRemoval, RequestState
from subscriptions.schedules.working_days import time_left
from subscriptions.search import matching_ids

# The idle days are read from each person of a request. The list does not show them for larger requests.
MAX_PEOPLE_READ = 1000
# A search reads at most this many people, and at most this many of their rows in requests, the newest first. For a word
# that more people have it takes any rows: the reader of such a list more likely looks for a requester.
MAX_PEOPLE_FOUND = 2000
MAX_ROWS_FOUND = 1000


class RequestChangeList(TabbedChangeList):
    """Reads with one query how long the people of the shown requests have been idle."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        add_idle_days(self.result_list)


def add_idle_days(rows: Iterable[Any]) -> None:
    """Write `idle`, the idle days of the people of each request; empty for a very large request."""
    idle = defaultdict(list)
    small = [row.pk for row in rows if row.people_standing <= MAX_PEOPLE_READ]
    standing = RequestedRemoval.objects.not_dropped().filter(request__in=small)
    for pk, days in standing.values_list("request_id", "evidence__idle_days"):
        idle[pk].append(days)
    for row in rows:
        row.idle = idle[row.pk]


def median_days(row: Any) -> int | str:
    return int(median(row.idle)) if row.idle else ""


def longest_days(row: Any) -> int | str:
    return max(row.idle) if row.idle else ""


@admin.register(ReclaimRequest)
class ReclaimRequestAdmin(SignedRowsMixin, ReadOnlyPermissionsMixin, StateTabs, ExportMixin, ModelAdmin):
    signed_table = REQUESTS
    list_display = ("request_number", "requested", "people", "longest", "standing", "until")
    list_display_links = ("request_number",)
    list_filter = (ProfileFilter,)
    list_filter_submit = True
    list_per_page = 25
    rows_name = gettext_lazy("requests")
    # Shows the search field. get_search_results() does the search.
    search_fields = ("requested_by__username",)
    search_help_text = gettext_lazy("Requester, or a person’s name or e-mail")
    ordering = ("-pk",)
    actions = None
    state_tabs = (
        StateTab(gettext_lazy("Waiting for people"), (RequestState.COLLECTING,), hide_empty=True),
        StateTab(gettext_lazy("Awaiting approval"), (RequestState.OPEN,)),
        StateTab(gettext_lazy("Approved"), (RequestState.APPROVED,)),
        StateTab(gettext_lazy("Rejected"), (RequestState.REJECTED,)),
        StateTab(gettext_lazy("Expired"), (RequestState.EXPIRED,)),
        StateTab(gettext_lazy("Withdrawn"), (RequestState.CANCELED,)),
        StateTab(gettext_lazy("Nobody left"), (RequestState.EMPTY,), hide_empty=True),
    )
    default_states = (RequestState.OPEN,)
    columns = (
        ListColumn(
            "request_number",
            [
                (gettext_lazy("Request"), lambda row: row.number),
                (gettext_lazy("What"), lambda row: row.get_direction_display()),
                (gettext_lazy("Profile"), lambda row: row.profile.name),
            ],
        ),
        ListColumn(
            "requested",
            [
                (gettext_lazy("Requested by"), lambda row: requester_of(row)),
                (gettext_lazy("Requested"), Moment(lambda row: row.requested_at)),
            ],
        ),
        ListColumn("people", [(gettext_lazy("People"), lambda row: row.people_standing)]),
        ListColumn("reason_shown", [(gettext_lazy("Why now"), lambda row: row.reason)]),
        ListColumn(
            "longest",
            [
                (gettext_lazy("Inactive days, median"), median_days),
                (gettext_lazy("Inactive days, longest"), longest_days),
            ],
        ),
        ListColumn("standing", [(gettext_lazy("State"), lambda row: row.get_state_display())]),
        ListColumn(
            "until",
            [
                (gettext_lazy("Expires"), Moment(lambda row: row.expires_at)),
                (gettext_lazy("Decided by"), lambda row: name_of(row.decided_by)),
                (gettext_lazy("Decided"), Moment(lambda row: row.decided_at)),
            ],
        ),
        ListColumn("comment_shown", [(gettext_lazy("Comment"), lambda row: row.comment)]),
    )

    def prepare_rows(self, rows: list[Any]) -> None:
        add_idle_days(rows)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[TabbedChangeList]:
        return RequestChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReclaimRequest]:
        """With the number of people. The subquery runs only for the rows of the page."""
        standing = RequestedRemoval.objects.not_dropped().filter(request=OuterRef("pk")).order_by()
        people = Subquery(standing.values("request").annotate(people=Count("pk")).values("people"))
        rows: QuerySet[ReclaimRequest] = super().get_queryset(request)
        rows = rows.select_related("profile", "requested_by", "decided_by", "cap_raised_by", "repeats__subscription")
        return rows.annotate(people_standing=Coalesce(people, 0))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ReclaimRequest], search_term: str
    ) -> tuple[QuerySet[ReclaimRequest], bool]:
        """First finds matching requesters and matching people, each by its own index."""
        if not search_term:
            return queryset, False
        words = folded(search_term).split()
        users = User.objects.values_list("pk", "username", "first_name", "last_name")
        asked = [pk for pk, *names in users if contains_words(words, *names)]
        people = matching_ids(search_term, most=MAX_PEOPLE_FOUND)
        concerned = RequestedRemoval.objects.filter(IdIn("candidate__subscription", people))
        requests = concerned.order_by().values_list("request", flat=True)[: MAX_ROWS_FOUND + 1]
        if len(requests) > MAX_ROWS_FOUND and people.number <= MAX_PEOPLE_FOUND:
            requests = concerned.order_by("-pk").values_list("request", flat=True)[:MAX_ROWS_FOUND]
        by = Q(requested_by__in=asked)
        return queryset.filter(by | Q(IdIn("pk", IdList.of(requests)))), False

    @admin.display(description=gettext_lazy("Request"), ordering="pk")
    def request_number(self, row: ReclaimRequest) -> SafeString:
        return marked(row, two_lines(row.number, f"{row.get_direction_display()} · {row.profile.name}"))

    @admin.display(description=gettext_lazy("Requested"), ordering="pk")
    def requested(self, row: ReclaimRequest) -> SafeString:
        return two_lines(requester_of(row), f"{day(row.requested_at)} · {ago(row.requested_at)}")

    @admin.display(description=gettext_lazy("People"))
    def people(self, row: Any) -> str:
        return seats(row.people_standing)

    @admin.display(description=gettext_lazy("Inactive"))
    def longest(self, row: Any) -> SafeString | str:
        if not row.idle:
            return EMPTY
        return two_lines(
            _("{median} days median").format(median=median_days(row)),
            _("up to {idle} days").format(idle=longest_days(row)),
        )

    @admin.display(description=gettext_lazy("State"))
    def standing(self, row: ReclaimRequest) -> SafeString:
        if is_overdue(row):
            return badge(_("Expired"), tone="neutral", icon="timer_off")
        return request_badge(row)

    @admin.display(description=gettext_lazy("Expires, or decided"))
    def until(self, row: ReclaimRequest) -> SafeString | str:
        if row.decided_at:
            return two_lines(name_of(row.decided_by), f"{day(row.decided_at)} · {ago(row.decided_at)}")
        if row.state == RequestState.COLLECTING:
            return two_lines(_("Answers until {day}").format(day=day(row.answers_until)), left(row.answers_until))
        if row.state == RequestState.EMPTY:
            return EMPTY
        return two_lines(day_and_time(row.expires_at), time_left(row.expires_at))

    # --- The page -----------------------------------------------------------------------------------------------------

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        row: ReclaimRequest = kwargs["obj"]
        changed = request.GET.get("people") == "changed"
        context |= {**page_context(row, request.user, changed=changed), "title": _("Reclaim request")}
        context |= packs.card(request, reverse("admin:subscriptions_reclaimrequest_evidence_pack", args=[row.pk]))
        if row.direction == Direction.REACTIVATE:
            return restore_page(row, super().render_change_form(request, context, *args, **kwargs))
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        name = "subscriptions_reclaimrequest_"
        return [
            path("<int:pk>/approve/", view(actions.approve_view), name=f"{name}approve"),
            path("<int:pk>/reject/", view(actions.reject_view), name=f"{name}reject"),
            path("<int:pk>/raise-cap/", view(actions.raise_cap_view), name=f"{name}raise_cap"),
            path("<int:pk>/withdraw/", view(actions.withdraw_view), name=f"{name}withdraw"),
            path("<int:pk>/drop/<int:removal>/", view(actions.drop_view), name=f"{name}drop"),
            path("<int:pk>/take-back/", view(actions.take_back_view), name=f"{name}take_back"),
            path("<int:pk>/take-back-in/<int:removal>/", view(actions.take_back_in_view), name=f"{name}take_back_in"),
            path("<int:pk>/progress/", view(progress_view), name=f"{name}progress"),
            path("<int:pk>/dry-run/", view(dry_run.request_view), name=f"{name}dry_run"),
            path("<int:pk>/evidence-pack/", view(self.evidence_pack), name=f"{name}evidence_pack"),
            path("<int:pk>/people/<slug:form>/", view(self.export_people), name=f"{name}people"),
            *super().get_urls(),
        ]

    def evidence_pack(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        scope = scope_of_request(get_object_or_404(ReclaimRequest, pk=pk))
        return packs.pack_response(request, scope, back=reverse("admin:subscriptions_reclaimrequest_change", args=[pk]))

    def export_people(self, request: HttpRequest, pk: int, form: str) -> HttpResponseBase:
        """All people of the request. The page itself shows only some hundreds of people without a change."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = get_object_or_404(ReclaimRequest.objects.select_related("profile"), pk=pk)
        people = people_of(row)
        name = f"{row.number}-people"
        return export_response(request, form, PEOPLE_COLUMNS, people, name=name, count=len(people))
