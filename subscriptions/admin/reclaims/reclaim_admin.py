"""History: every reclaim and restore with its request, its approver, the evidence and the outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.sections import TemplateSection

from integrations.connectors.contract import NEUTRAL
from licensehub.audit.models import AuditEvent
from licensehub.translations.stored import translated
from licensehub.ui.admin import LargeTableMixin, ReadOnlyPermissionsMixin
from licensehub.ui.csv_file import Column, Moment
from licensehub.ui.export import ExportMixin
from licensehub.ui.formatting import ago, day, name_of, two_lines
from licensehub.ui.lists.columns import ListColumn
from licensehub.ui.lists.filters import DayRangeFilter
from licensehub.ui.lists.id_filter import is_id
from subscriptions.activity.person_rows import times_reclaimed
from subscriptions.admin.reclaims.history_list import HistoryList, seat_of
from subscriptions.admin.reclaims.restore import RESTORE, RestoreMixin
from subscriptions.admin.reclaims.steps import requester_of, steps_of
from subscriptions.admin.reclaims.verified import verified_context
from subscriptions.admin.reconciliation.person_events import vendor_log
from subscriptions.admin.widgets import live
from subscriptions.admin.widgets.badges import direction_badge, outcome_sentence, reclaim_badge
from subscriptions.admin.widgets.departments import (
    ORDERS_BY_PERSON,
    CostCenterFilter,
    DepartmentFilter,
    OrderByPersonMixin,
)
from subscriptions.admin.widgets.evidence import facts, license_label, moment
from subscriptions.admin.widgets.signed_rows import SignedRowsMixin, marked
from subscriptions.evidence.rows.signed_fields import RECLAIMS
from subscriptions.models import Direction, Reclaim, ReclaimRequest, ReclaimState, RequestedRemoval
from subscriptions.models.reclaims.reclaim import UNFINISHED
from subscriptions.money.beside import cost_columns
from subscriptions.reclaims.restores import notes, why_not
from subscriptions.search import ID_DIGITS, matching

NOBODY = "nobody"


COST_CENTER = (gettext_lazy("Cost center"), lambda row: row.subscription.cost_center)


def _taken_back(row: Reclaim) -> str:
    return row.removal.restores.removal.request.number if row.removal.restores else ""


def what_and_cost() -> Sequence[Column]:
    return ((_("What"), lambda row: row.get_direction_display()), *cost_columns(seat_of))


class ApproverFilter(DropdownFilter):
    title = gettext_lazy("approver")
    parameter_name = "approver"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        deciding = User.objects.filter(Exists(ReclaimRequest.objects.filter(decided_by=OuterRef("pk"))))
        people = [(str(user.pk), name_of(user)) for user in deciding.order_by("username")]
        return [*people, (NOBODY, _("Nobody: one seat was restored"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value == NOBODY:
            return queryset.filter(removal__request__decided_by=None)
        if not value or not is_id(value):
            return queryset
        decided = ReclaimRequest.objects.filter(decided_by=int(value))
        return queryset.filter(removal__request__in=decided.values("pk"))


class OutcomeFilter(ChoicesDropdownFilter):
    """The filter by state, under the name of its column in the list."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("outcome")


class StepsSection(TemplateSection):
    """The timeline that a row of the list opens into."""

    template_name = "admin/subscriptions/reclaim/list_row.html"

    def get_context_data(self, request: HttpRequest, instance: Reclaim) -> dict[str, Any]:
        may_restore = request.user.has_perm(RESTORE) and not instance.why_not  # type: ignore[attr-defined]  # annotated
        return {"steps": steps_of(instance), "item": instance, "may_restore": may_restore}


@admin.register(Reclaim)
class ReclaimAdmin(
    SignedRowsMixin,
    OrderByPersonMixin,
    LargeTableMixin,
    ReadOnlyPermissionsMixin,
    ExportMixin,
    RestoreMixin,
    ModelAdmin,
):
    signed_table = RECLAIMS
    list_display = ("person", "what", "when", "approval", "why", "outcome_of")
    list_display_links = ("person",)
    list_filter = (
        ("direction", ChoicesDropdownFilter),
        ("state", OutcomeFilter),
        ApproverFilter,
        DepartmentFilter,
        CostCenterFilter,
        ("queued_at", DayRangeFilter),
        ("finished_at", DayRangeFilter),
    )
    list_filter_submit = True
    list_before_template = "admin/subscriptions/reclaim/list_before.html"
    list_sections = (StepsSection,)
    # Few rows, because each is drawn with its timeline.
    list_per_page = 25
    rows_name = gettext_lazy("reclaims and restores")
    search_fields = ("subscription__search__text",)
    search_help_text = gettext_lazy("Name, e-mail or request")
    ordering = ("-queued_at", "-pk")
    related_orders = ORDERS_BY_PERSON
    columns = (
        ListColumn(
            "person",
            [
                (gettext_lazy("Name"), lambda row: row.subscription.name),
                (gettext_lazy("E-mail"), lambda row: row.subscription.email),
            ],
        ),
        ListColumn("vendor_id", [(gettext_lazy(NEUTRAL.member_id), lambda row: row.removal.evidence["external_id"])]),
        ListColumn(
            "department",
            [(gettext_lazy("Department"), lambda row: row.subscription.department), COST_CENTER],
            label=gettext_lazy("Department"),
            ordering="subscription__search__department",
        ),
        ListColumn("cost_center", [COST_CENTER], ordering="subscription__search__cost_center"),
        ListColumn("what", what_and_cost, label=gettext_lazy("What")),
        ListColumn(
            "approval",
            [
                (gettext_lazy("Request"), lambda row: row.removal.request.number),
                (gettext_lazy("Requested by"), lambda row: requester_of(row.removal.request)),
                (gettext_lazy("Approved by"), lambda row: name_of(row.removal.request.decided_by)),
                (gettext_lazy("Approved"), Moment(lambda row: row.removal.request.decided_at)),
                (gettext_lazy("Reason"), lambda row: row.removal.request.reason),
            ],
        ),
        ListColumn(
            "license_shown",
            [(gettext_lazy("License"), lambda row: license_label(row.profile, row.removal.evidence["license"]))],
        ),
        ListColumn(
            "last_active",
            [(gettext_lazy("Last activity"), Moment(lambda row: moment(row.removal.evidence, "last_activity_at")))],
        ),
        ListColumn("why", [(gettext_lazy("Why"), lambda row: row.removal.evidence["why"])]),
        ListColumn("takes_back", [(gettext_lazy("Takes back"), _taken_back)]),
        ListColumn(
            "when",
            [
                (gettext_lazy("Queued"), Moment(lambda row: row.queued_at)),
                (gettext_lazy("Sent"), Moment(lambda row: row.sending_at)),
                (gettext_lazy("Finished"), Moment(lambda row: row.finished_at)),
            ],
        ),
        ListColumn(
            "outcome_of",
            [
                (gettext_lazy("State"), lambda row: row.get_state_display()),
                (gettext_lazy("HTTP status"), lambda row: row.http_status),
                (gettext_lazy("Read back"), lambda row: row.read_back),
                (gettext_lazy("Outcome"), outcome_sentence),
            ],
        ),
    )

    @admin.display(description=gettext_lazy("Person"), ordering="subscription__search__text")
    def person(self, row: Reclaim) -> SafeString:
        name, email = row.subscription.display_name, row.subscription.email
        return marked(row, two_lines(name, email if row.subscription.name else ""))

    @admin.display(description=gettext_lazy("What"))
    def what(self, row: Any) -> SafeString:
        """The badge, and below it what the seat that was taken costs."""
        return format_html('<span class="lh-with-cost">{}<small>{}</small></span>', direction_badge(row), row.cost)

    @admin.display(description=gettext_lazy("When"), ordering="queued_at")
    def when(self, row: Reclaim) -> SafeString:
        moment = row.finished_at or row.sending_at or row.queued_at
        return two_lines(day(moment), f"{date_format(timezone.localtime(moment), 'TIME_FORMAT')}, {ago(moment)}")

    @admin.display(description=gettext_lazy("Request, approver"))
    def approval(self, row: Reclaim) -> SafeString:
        """The timeline of the row also has the requester."""
        request = row.removal.request
        approver = name_of(request.decided_by)
        if request.direction == Direction.REACTIVATE and request.decided_by is None:
            approver = _("no approval needed")
        return format_html(
            '<span class="lh-two-lines"><a class="lh-text-link" href="{}">{}</a><small>{}</small></span>',
            reverse("admin:subscriptions_reclaimrequest_change", args=[request.pk]),
            request.number,
            approver,
        )

    @admin.display(description=gettext_lazy("Evidence"))
    def why(self, row: Reclaim) -> str:
        if row.direction == Direction.REACTIVATE:
            return _("Asked for it back: “{reason}”").format(reason=row.removal.request.reason)
        return translated(str(row.removal.evidence["why"]))

    @admin.display(description=gettext_lazy("Outcome"))
    def outcome_of(self, row: Reclaim) -> SafeString:
        return format_html(
            '<span class="lh-outcome">{}<small>{}</small></span>', reclaim_badge(row), outcome_sentence(row)
        )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), **verified_context(request)})

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[HistoryList]:
        return HistoryList

    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view, "subscriptions_reclaim_{}".format
        return [
            path("<int:pk>/vendor-log/", view(vendor_log), name=name("vendor_log")),
            path("<int:pk>/live/", view(self.live), name=name("live")),
            *super().get_urls(),
        ]

    def live(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The answer to the page of a reclaim or restore that is under way."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return live.reload_if_changed(request, live_state(get_object_or_404(Reclaim, pk=pk)))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Reclaim], search_term: str
    ) -> tuple[QuerySet[Reclaim], bool]:
        """Finds people, and a request by its number, e.g. R-0139. Each has its own index, which an OR would not use."""
        if not search_term:
            return queryset, False
        number = search_term.strip().upper().removeprefix("R-")
        if number.isdecimal() and len(number) < ID_DIGITS:
            people = Reclaim.objects.filter(matching("subscription", search_term)).order_by().values("pk")
            asked = Reclaim.objects.filter(removal__request=int(number)).order_by().values("pk")
            return queryset.filter(pk__in=people.union(asked)), False
        return queryset.filter(matching("subscription", search_term)), False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Reclaim]:
        rows: QuerySet[Reclaim] = super().get_queryset(request)
        rows = rows.select_related(
            "profile",
            "subscription",
            "removal__candidate",
            "removal__request__requested_by",
            "removal__request__decided_by",
            "removal__restores__removal__request",
        )
        restores = RequestedRemoval.objects.select_related("request__requested_by", "reclaim")
        return rows.annotate(why_not=why_not()).prefetch_related(Prefetch("restores", queryset=restores))

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        row: Reclaim = kwargs["obj"]
        context |= {
            "title": row.get_direction_display(),
            "item": row,
            "badge": reclaim_badge(row),
            "sentence": outcome_sentence(row),
            "live_url": _live_url(row),
            "times": times_reclaimed(row) if row.direction == Direction.DEACTIVATE else 1,
            "steps": steps_of(row),
            "is_restore": row.direction == Direction.REACTIVATE,
            **_restore_card(row, request),
            "facts": facts(row.profile, row.removal.evidence),
            "events": AuditEvent.objects.filter(target_type="subscriptions.reclaim", target_id=row.pk).order_by(
                "sequence"
            ),
        }
        return super().render_change_form(request, context, *args, **kwargs)


def live_state(row: Reclaim) -> str:
    """A word that changes with each step that the page shows."""
    return f"{row.state} {row.hold_reason} {row.read_back}".strip()


def _live_url(row: Reclaim) -> str:
    """Empty while nothing changes."""
    unread = row.state == ReclaimState.IN_DOUBT and not row.read_back
    if row.state not in UNFINISHED and not unread:
        return ""
    return live.address(reverse("admin:subscriptions_reclaim_live", args=[row.pk]), live_state(row))


def _restore_card(row: Reclaim, request: HttpRequest) -> dict[str, Any]:
    """Whether *Restore* is offered, or why not, and what it can give back."""
    may = request.user.has_perm(RESTORE)
    why_not: str = row.why_not  # type: ignore[attr-defined]  # annotated
    taken = row.direction == Direction.DEACTIVATE and row.state == ReclaimState.DONE
    return {
        "may_restore": may and not why_not,
        "why_not_restore": why_not if may and taken else "",
        **notes(row.profile),
    }
