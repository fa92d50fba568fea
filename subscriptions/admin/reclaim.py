"""History: every reclaim with its request, its approver, the evidence and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RangeDateFilter
from unfold.sections import TemplateSection

from integrations.pages import LongList, RecordsOnly
from integrations.presentation import ago, day, two_lines
from licensehub.audit.models import AuditEvent
from subscriptions.admin.chips import outcome_sentence, reclaim_chip
from subscriptions.admin.csv_export import CsvExport
from subscriptions.admin.evidence import facts, license_label
from subscriptions.admin.story import name_of, story
from subscriptions.models import Direction, Reclaim, ReclaimRequest, SearchText


class ApproverFilter(DropdownFilter):
    title = "approver"
    parameter_name = "approver"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        deciding = User.objects.filter(Exists(ReclaimRequest.objects.filter(decided_by=OuterRef("pk"))))
        return [(str(user.pk), name_of(user)) for user in deciding.order_by("username")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value or not value.isdecimal():
            return queryset
        decided = ReclaimRequest.objects.filter(decided_by=int(value))
        return queryset.filter(removal__request__in=decided.values("pk"))


def _named(term: str) -> QuerySet[Any]:
    return SearchText.objects.filter(text__icontains=term.strip()).values("pk")


class StorySection(TemplateSection):
    """What a row of the list opens into."""

    template_name = "admin/subscriptions/reclaim/section.html"

    def get_context_data(self, request: HttpRequest, instance: Reclaim) -> dict[str, Any]:
        return {"steps": story(instance), "item": instance}


@admin.register(Reclaim)
class ReclaimAdmin(LongList, RecordsOnly, CsvExport, ModelAdmin):
    list_display = ("person", "what", "when", "approval", "why", "outcome_of")
    list_display_links = ("person",)
    list_filter = (("state", ChoicesDropdownFilter), ApproverFilter, ("queued_at", RangeDateFilter))
    list_filter_submit = True
    list_sections = (StorySection,)
    list_per_page = 50
    list_select_related = (
        "profile",
        "subscription",
        "removal__candidate",
        "removal__request__requested_by",
        "removal__request__decided_by",
    )
    search_fields = ("subscription__search__text",)
    search_help_text = "Name, e-mail or request"
    ordering = ("-queued_at", "-pk")
    actions = None
    csv_columns = (
        ("Name", lambda row: row.subscription.name),
        ("E-mail", lambda row: row.subscription.email),
        ("Miro ID", lambda row: row.removal.evidence["external_id"]),
        ("What", lambda row: row.get_direction_display()),
        ("Request", lambda row: row.removal.request.number),
        ("Requested by", lambda row: name_of(row.removal.request.requested_by)),
        ("Approved by", lambda row: name_of(row.removal.request.decided_by)),
        ("Approved", lambda row: row.removal.request.decided_at),
        ("License", lambda row: license_label(row.profile, row.removal.evidence["license"])),
        ("Last activity", lambda row: row.removal.evidence["last_activity_at"]),
        ("Why", lambda row: row.removal.evidence["why"]),
        ("Queued", lambda row: row.queued_at),
        ("Sent", lambda row: row.sending_at),
        ("Finished", lambda row: row.finished_at),
        ("State", lambda row: row.get_state_display()),
        ("HTTP status", lambda row: row.http_status),
        ("Read back", lambda row: row.read_back),
        ("Outcome", outcome_sentence),
    )

    def person(self, row: Reclaim) -> SafeString:
        return two_lines(row.subscription.display_name, row.subscription.email if row.subscription.name else "")

    def what(self, row: Reclaim) -> SafeString:
        icon = "event_seat" if row.direction == Direction.DEACTIVATE else "undo"
        return format_html(
            '<span class="lh-what"><span class="material-symbols-outlined" aria-hidden="true">{}</span>{}</span>',
            icon,
            row.get_direction_display(),
        )

    @admin.display(ordering="queued_at")
    def when(self, row: Reclaim) -> SafeString:
        moment = row.finished_at or row.sending_at or row.queued_at
        return two_lines(day(moment), ago(moment))

    @admin.display(description="Request")
    def approval(self, row: Reclaim) -> SafeString:
        request = row.removal.request
        return format_html(
            '<span class="lh-two"><a class="lh-text-link" href="{}">{}</a>'
            "<small>asked by {}</small><small>approved by {}</small></span>",
            reverse("admin:subscriptions_reclaimrequest_change", args=[request.pk]),
            request.number,
            name_of(request.requested_by),
            name_of(request.decided_by),
        )

    @admin.display(description="Evidence")
    def why(self, row: Reclaim) -> str:
        return str(row.removal.evidence["why"])

    @admin.display(description="Outcome")
    def outcome_of(self, row: Reclaim) -> SafeString:
        return format_html(
            '<span class="lh-outcome">{}<small>{}</small></span>', reclaim_chip(row), outcome_sentence(row)
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Reclaim], search_term: str
    ) -> tuple[QuerySet[Reclaim], bool]:
        """R-0139 is found by its number as well."""
        found, duplicates = super().get_search_results(request, queryset, search_term)
        number = search_term.strip().upper().removeprefix("R-")
        if number.isdecimal() and len(number) < 10:
            found = queryset.filter(Q(removal__request=int(number)) | Q(subscription__in=_named(search_term)))
        return found, duplicates

    def get_queryset(self, request: HttpRequest) -> QuerySet[Reclaim]:
        return super().get_queryset(request).select_related("subscription__profile", *self.list_select_related)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        row: Reclaim = kwargs["obj"]
        context |= {
            "title": str(row),
            "item": row,
            "chip": reclaim_chip(row),
            "sentence": outcome_sentence(row),
            "steps": story(row),
            "facts": facts(row.profile, row.removal.evidence),
            "events": AuditEvent.objects.filter(target_type="subscriptions.reclaim", target_id=row.pk).order_by(
                "sequence"
            ),
        }
        return super().render_change_form(request, context, *args, **kwargs)
