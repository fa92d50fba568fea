"""Integration profiles. Their admin is in this app, because its actions need both apps."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Max, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin

from integrations.admin.findings import OPERATE, PROFILE_PAGE
from integrations.connectors.registry import connector_class
from integrations.models import ConnectionState, IntegrationProfile
from licensehub.ui.admin import NoShowAllChangeList, refuse_unless_post, sentence_of, signed_in
from licensehub.ui.csv_file import Moment
from licensehub.ui.export import ExportMixin
from licensehub.ui.formatting import day_ago, two_lines
from licensehub.ui.lists.columns import ListColumn
from subscriptions.admin.approvals.dry_run import profile_view
from subscriptions.admin.profiles.actions import BUTTONS, validate
from subscriptions.admin.profiles.archive import StateFilter, archive_view
from subscriptions.admin.profiles.catalog import catalog_page
from subscriptions.admin.profiles.profile_form import ProfileForm
from subscriptions.admin.profiles.profile_page import context_of, is_due, profile_badge
from subscriptions.admin.schedules.schedule_form import schedule_view
from subscriptions.admin.widgets.actions import REFUSALS, run_action
from subscriptions.admin.widgets.signed_rows import SignedRowsMixin, marked
from subscriptions.evidence.rows.signed_fields import PROFILES
from subscriptions.models.download import WITH_FACTS
from subscriptions.profiles import lifecycle

STOP = "integrations.stop_all_sending"
NEVER_CHANGES = ("organization_id",)
SHOWN_INSTEAD = ("vendor", "organization_id")


def reclaim_text(row: IntegrationProfile) -> str:
    if row.held_at:
        return _("Held")
    if row.sending_stopped:
        return _("Sending stopped")
    return _("On") if row.reclaim_enabled else _("Off")


@admin.register(IntegrationProfile)
class IntegrationProfileAdmin(SignedRowsMixin, ExportMixin, ModelAdmin):
    form = ProfileForm
    signed_table = PROFILES
    add_label = gettext_lazy("New integration profile")
    list_display = ("profile", "state_shown", "seats", "last_download", "organization")
    list_filter = (StateFilter,)
    columns = (
        ListColumn(
            "profile",
            [
                (gettext_lazy("Profile"), lambda row: row.name),
                (gettext_lazy("Vendor"), lambda row: row.connector.label),
            ],
        ),
        ListColumn("state_shown", [(gettext_lazy("State"), lambda row: row.get_state_display())]),
        ListColumn("seats", [(gettext_lazy("Reclaim"), reclaim_text)]),
        ListColumn("last_download", [(gettext_lazy("Last complete download"), Moment(lambda row: row.last_complete))]),
        ListColumn(
            "organization",
            [
                (gettext_lazy("Organization"), lambda row: row.organization_name),
                (gettext_lazy("Organization ID"), lambda row: row.organization_id),
            ],
        ),
    )
    show_full_result_count = False
    compressed_fields = False
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[IntegrationProfile]:
        rows: QuerySet[IntegrationProfile] = super().get_queryset(request)
        complete = Q(download_runs__state__in=WITH_FACTS)
        return rows.annotate(
            broken=Count("connections", filter=Q(connections__state=ConnectionState.ERROR), distinct=True),
            last_complete=Max("download_runs__finished_at", filter=complete),
        )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[NoShowAllChangeList]:
        return NoShowAllChangeList

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits an archived profile."""
        return super().has_change_permission(request, obj) and not (obj and obj.is_archived)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """First the catalog, then the form for the connector that was chosen there."""
        if request.GET.get("kind") not in settings.CONNECTORS and self.has_add_permission(request):
            return catalog_page(request)
        return super().add_view(request, form_url, extra_context)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A profile is archived, never deleted, because its records stay."""
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/act/<slug:name>/", view(self.run_button), name="integrations_integrationprofile_action"),
            path("<int:pk>/release/", view(self.release_hold), name="integrations_integrationprofile_release"),
            path("<int:pk>/validate/", view(self.validate), name="integrations_integrationprofile_validate"),
            path("<int:pk>/dry-run/", view(profile_view), name="integrations_integrationprofile_dry_run"),
            path("<int:pk>/due/", view(self.due), name="integrations_integrationprofile_due"),
            path("<int:pk>/archive/", view(archive_view), name="integrations_integrationprofile_archive"),
            path(
                "<int:pk>/schedule/<slug:subflow>/",
                view(schedule_view),
                name="integrations_integrationprofile_schedule",
            ),
            *super().get_urls(),
        ]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return ((None, {"fields": ("name", *(SHOWN_INSTEAD if obj else NEVER_CHANGES))}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return SHOWN_INSTEAD if obj else ()

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except REFUSALS as error:
            messages.error(request, sentence_of(error))
            return HttpResponseRedirect(request.path)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form, with the kind of connector that was chosen in the catalog."""
        form = super().get_form(request, obj, change, **kwargs)
        form.kind = request.GET.get("kind", "")
        return form

    def save_model(self, request: HttpRequest, obj: IntegrationProfile, form: ProfileForm, change: Any) -> None:
        """Saves through `lifecycle`, which keeps the rules and the audit."""
        actor = signed_in(request)
        if change:
            lifecycle.rename(obj, obj.name, actor=actor)
        else:
            made = lifecycle.create_profile(
                name=obj.name, organization_id=obj.organization_id, kind=request.GET["kind"], actor=actor
            )
            obj.pk, obj._state.adding = made.pk, False

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        messages.success(
            request, _("“{obj}” is created as a Draft. Set up its connections, then publish it.").format(obj=obj)
        )
        return HttpResponseRedirect(reverse(PROFILE_PAGE, args=[obj.pk]))

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        messages.success(request, _("“{obj}” is saved.").format(obj=obj))
        return HttpResponseRedirect(reverse(PROFILE_PAGE, args=[obj.pk]))

    def run_button(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Runs one of the buttons in `actions`."""
        if answer := refuse_unless_post(request, OPERATE):
            return answer
        profile, user = self._profile(pk), signed_in(request)
        if name not in BUTTONS:
            raise Http404
        return run_action(request, reverse(PROFILE_PAGE, args=[pk]), lambda: BUTTONS[name].do(profile, user))

    def validate(self, request: HttpRequest, pk: int) -> HttpResponse:
        """See `actions.validate`."""
        if answer := refuse_unless_post(request, OPERATE):
            return answer
        profile, user = self._profile(pk), signed_in(request)
        return run_action(request, reverse(PROFILE_PAGE, args=[pk]), lambda: validate(profile, user))

    def release_hold(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Release sending after a change from outside was checked."""
        if answer := refuse_unless_post(request, STOP):
            return answer
        profile, user = self._profile(pk), signed_in(request)

        def do() -> str:
            lifecycle.release_hold(profile, actor=user, checked=request.POST.get("checked", ""))
            return _("Sending is released. Approved seats are sent within a minute, unless another switch stops them.")

        return run_action(request, reverse(PROFILE_PAGE, args=[pk]), do)

    def due(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The page requests this every two seconds while a download is due, and reloads once it has begun."""
        profile = self._profile(pk)
        if not self.has_view_permission(request, profile):
            raise PermissionDenied
        return HttpResponse(status=204, headers={} if is_due(profile) else {"HX-Refresh": "true"})

    def _profile(self, pk: int) -> IntegrationProfile:
        profile = IntegrationProfile.objects.filter(pk=pk).first()
        if profile is None:
            raise Http404
        return profile

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Any = None, **kwargs: Any
    ) -> HttpResponse:
        if obj is None:
            context["vendor"] = connector_class(request.GET["kind"]).label
        else:
            context.update(context_of(obj, request))
        context.update({"show_save_and_add_another": False, "show_save_and_continue": False})
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    @admin.display(description=gettext_lazy("Vendor"))
    def vendor(self, row: IntegrationProfile) -> str:
        return row.connector.label

    @admin.display(description=gettext_lazy("Profile"), ordering="name")
    def profile(self, row: IntegrationProfile) -> SafeString:
        return marked(row, two_lines(row.name, row.connector.label))

    @admin.display(description=gettext_lazy("State"), ordering="state")
    def state_shown(self, row: Any) -> SafeString:
        return profile_badge(row, broken=bool(row.broken))

    @admin.display(description=gettext_lazy("Reclaim"))
    def seats(self, row: IntegrationProfile) -> str:
        return reclaim_text(row)

    @admin.display(description=gettext_lazy("Last complete download"), ordering="last_complete")
    def last_download(self, row: Any) -> SafeString:
        return day_ago(row.last_complete, never=_("None yet"), hint=_("publish the profile to start one"))

    @admin.display(description=gettext_lazy("Organization"), ordering="organization_id")
    def organization(self, row: IntegrationProfile) -> SafeString:
        return two_lines(row.organization_name or _("Not yet known"), row.organization_id)
