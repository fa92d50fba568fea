"""Protections: who is never a candidate, the reason, and the end. A protection is never edited, only ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from licensehub.ui.admin import ReadOnlyAdmin, run_and_report, signed_in
from licensehub.ui.csv_file import Moment
from licensehub.ui.export import ExportMixin
from licensehub.ui.formatting import ago, badge, day, day_ago, day_and_time, name_of, two_lines
from licensehub.ui.lists.columns import ListColumn
from licensehub.ui.lists.folding import FoldedSearch
from licensehub.ui.lists.tabs import StateTab, StateTabs, TabbedChangeList
from licensehub.ui.names import name_fields
from subscriptions.admin.rules.lost import END, accept_loss_view, lost_context
from subscriptions.admin.rules.protections.end_protections import EndMixin, end_view
from subscriptions.admin.rules.protections.protect import ADD, effect_message, protect_view
from subscriptions.admin.rules.protections.protect_many import protect_many_view
from subscriptions.admin.rules.protections.protected_people import address_of_people, covered_people, now, title
from subscriptions.admin.rules.protections.protection_form import ProtectionForm, profiles
from subscriptions.admin.widgets.actions import REFUSALS
from subscriptions.admin.widgets.counts import people
from subscriptions.admin.widgets.signed_rows import SignedRowsMixin, marked
from subscriptions.evidence.rows.signed_fields import PROTECTIONS
from subscriptions.models import Protection, ProtectionKind
from subscriptions.models.protection import count_people
from subscriptions.rules.protections import create_protection

ICONS = {
    ProtectionKind.PERSON: "person",
    ProtectionKind.DOMAIN: "alternate_email",
    ProtectionKind.LICENSE: "badge",
    ProtectionKind.ROLE: "shield_person",
    ProtectionKind.ADMIN_ROLE: "admin_panel_settings",
}


class ProtectionList(TabbedChangeList):
    def get_results(self, request: HttpRequest) -> None:
        """Counts the people that each protection covers, for the whole page at once."""
        super().get_results(request)
        count_covered(self.result_list)


def count_covered(rows: Iterable[Any]) -> None:
    """Write `people_now`: how many people each protection covers."""
    counts = count_people(row for row in rows if row.is_in_force)
    for row in rows:
        row.people_now = counts.get(row.pk, 0)


def state_badge(row: Protection) -> SafeString:
    if row.is_in_force:
        if row.lost_at:
            return badge(_("Covers nobody"), tone="warning", icon="person_off")
        return badge(_("In force"), tone="ok", icon="verified_user")
    return badge(_("Ended"), tone="neutral", icon="event_busy")


def how_it_ended(row: Protection) -> str:
    """Empty while it is in force."""
    if row.is_in_force:
        return ""
    if row.ended_by:
        text = _("ended by {name} on {day}, {ago}")
        return text.format(name=name_of(row.ended_by), day=day(row.ended_at), ago=ago(row.ended_at))
    return _("ended by its end date on {day}, {ago}").format(day=day(row.ends_at), ago=ago(row.ends_at))


@admin.register(Protection)
class ProtectionAdmin(SignedRowsMixin, FoldedSearch, StateTabs, ExportMixin, EndMixin, ReadOnlyAdmin):
    signed_table = PROTECTIONS
    add_label = gettext_lazy("Protect people")
    list_display = ("what", "reason_shown", "owner_shown", "until", "by", "covers", "standing")
    list_display_links = ("what",)
    list_per_page = 50
    search_fields = ("value", "external_id", "reason", "owner", *name_fields("created_by"))
    search_help_text = gettext_lazy("E-mail, vendor ID, domain, reason, owner or who made it")
    list_before_template = "admin/subscriptions/protection/list_before.html"
    state_tabs = (
        StateTab(gettext_lazy("In force"), ("in_force", "ends_soon", "lost")),
        StateTab(gettext_lazy("End soon"), ("ends_soon",), hide_empty=True),
        StateTab(gettext_lazy("Cover nobody any more"), ("lost",), hide_empty=True),
        StateTab(gettext_lazy("Ended"), ("ended",)),
    )
    default_states = ("in_force", "ends_soon", "lost")
    columns = (
        ListColumn("of_profile", [(gettext_lazy("Profile"), lambda row: row.profile.name)]),
        ListColumn(
            "what",
            [
                (gettext_lazy("Protect by"), lambda row: row.get_kind_display()),
                (gettext_lazy("Value"), lambda row: row.value_label),
                (gettext_lazy("Vendor ID"), lambda row: row.external_id),
                (gettext_lazy("E-mail now"), lambda row: row.email_now),
            ],
        ),
        ListColumn("reason_shown", [(gettext_lazy("Reason"), lambda row: row.reason)]),
        ListColumn("owner_shown", [(gettext_lazy("Owner"), lambda row: row.owner)], ordering="owner"),
        ListColumn("until", [(gettext_lazy("Until"), Moment(lambda row: row.ends_at))]),
        ListColumn(
            "by",
            [
                (gettext_lazy("Made by"), lambda row: name_of(row.created_by)),
                (gettext_lazy("Made"), Moment(lambda row: row.created_at)),
            ],
        ),
        ListColumn("covers", [(gettext_lazy("Covers now"), lambda row: row.people_now)]),
        ListColumn(
            "standing",
            [
                (gettext_lazy("State"), lambda row: _("In force") if row.is_in_force else _("Ended")),
                (gettext_lazy("Ended"), Moment(lambda row: row.ended_at)),
                (gettext_lazy("Ended by"), lambda row: name_of(row.ended_by) if row.ended_by else ""),
            ],
        ),
    )

    def prepare_rows(self, rows: list[Any]) -> None:
        count_covered(rows)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[TabbedChangeList]:
        return ProtectionList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Protection]:
        rows = super().get_queryset(request).with_state().with_person()
        return rows.select_related("profile", "created_by", "ended_by")

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return ["kind", "profile"] if IntegrationProfile.objects.count() > 1 else ["kind"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(ADD)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """The tab of those that have ended has no checkboxes."""
        return {} if request.GET.get("state__exact") == "ended" else super().get_actions(request)

    @admin.display(description=gettext_lazy("Who"), ordering="value")
    def what(self, row: Protection) -> SafeString:
        return marked(row, two_lines(title(row), now(row) or row.get_kind_display()))

    @admin.display(description=gettext_lazy("Reason"))
    def reason_shown(self, row: Protection) -> SafeString:
        return format_html('<span class="lh-sentence">{}</span>', row.reason)

    @admin.display(description=gettext_lazy("Until"), ordering="ends_at")
    def until(self, row: Protection) -> SafeString:
        return day_ago(row.ends_at, never=_("No end"))

    @admin.display(description=gettext_lazy("Made by"), ordering="created_at")
    def by(self, row: Protection) -> SafeString:
        return two_lines(name_of(row.created_by), f"{day(row.created_at)}, {ago(row.created_at)}")

    @admin.display(description=gettext_lazy("Covers now"))
    def covers(self, row: Any) -> SafeString:
        if not row.is_in_force:
            return two_lines(_("Nobody"), how_it_ended(row))
        return format_html('<a class="lh-text-link" href="{}">{}</a>', address_of_people(row), people(row.people_now))

    @admin.display(description=gettext_lazy("State"))
    def standing(self, row: Protection) -> SafeString:
        return state_badge(row)

    # --- The pages ----------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("protect/", view(protect_view), name="subscriptions_protection_protect"),
            path("many/", view(protect_many_view), name="subscriptions_protection_protect_many"),
            path("lost/", view(accept_loss_view), name="subscriptions_protection_accept_loss"),
            path("<int:pk>/end/", view(end_view), name="subscriptions_protection_end"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        lost = list(Protection.objects.lost().select_related("profile"))
        shown = {"protect_many": reverse("admin:subscriptions_protection_protect_many"), **lost_context(request, lost)}
        return super().changelist_view(request, {**(extra_context or {}), **shown})

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """A form of its own: the action has its own transaction, and evaluates after its commit."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ProtectionForm(request.POST or None)
        if form.is_bound and form.is_valid() and self._make(request, form):
            return HttpResponseRedirect(reverse("admin:subscriptions_protection_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.model._meta,
            "title": _("Protect people"),
            "form": form,
            "possible": profiles().exists(),
        }
        return TemplateResponse(request, "admin/subscriptions/protection/add.html", context)

    def _make(self, request: HttpRequest, form: ProtectionForm) -> bool:
        data = form.cleaned_data

        def do() -> str:
            effect = create_protection(
                data["profile"], data["kind"], data["value"], form.details, actor=signed_in(request)
            )
            [made] = effect.made
            count = people(count_people([made])[made.pk])
            done = _("Protected: {made}, which covers {count} now.").format(made=made, count=count)
            return f"{done} {effect_message(effect)}"

        return run_and_report(request, do, refusals=REFUSALS)

    def page_context(self, request: HttpRequest, row: Protection) -> dict[str, Any]:
        count = count_people([row])[row.pk]
        mine = AuditEvent.objects.filter(target_type="subscriptions.protection", target_id=row.pk)
        return {
            "row": row,
            "badge": state_badge(row),
            "title": title(row),
            "now": now(row),
            "covered": covered_people(row),
            **lost_context(request, [row] if row.lost_at and row.is_in_force else []),
            "icon": ICONS[ProtectionKind(row.kind)],
            "ended": how_it_ended(row),
            "until": f"{day_and_time(row.ends_at)} ({ago(row.ends_at)})" if row.ends_at else _("No end"),
            "made": f"{day_and_time(row.created_at)} ({ago(row.created_at)})",
            "count": count,
            "people": people(count),
            "people_url": address_of_people(row),
            "events": mine.order_by("sequence"),
            "may_end": row.is_in_force and request.user.has_perm(END),
            "end_attrs": format_html('formaction="{}"', reverse("admin:subscriptions_protection_end", args=[row.pk])),
        }
