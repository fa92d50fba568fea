"""The reclaim rule: its terms, and beside them a preview for the people of the last download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin, TabularInline

from licensehub.translations.stored import translated
from licensehub.ui.admin import NoShowAllChangeList, sentence_of, signed_in
from licensehub.ui.csv_file import Moment
from licensehub.ui.export import ExportMixin
from licensehub.ui.formatting import ago, day, number, two_lines
from licensehub.ui.lists.columns import ListColumn
from subscriptions.admin.rules.effects import apply_and_report, needs_download
from subscriptions.admin.rules.limits import caps_now, doubts_now
from subscriptions.admin.rules.rule_form import (
    LicenseThresholdForm,
    LicenseThresholdFormSet,
    ReclaimRuleForm,
    license_choices,
)
from subscriptions.admin.rules.rule_preview import preview
from subscriptions.admin.widgets.actions import REFUSALS
from subscriptions.admin.widgets.counts import days
from subscriptions.admin.widgets.signed_rows import SignedRowsMixin, marked
from subscriptions.evidence.rows.signed_fields import RULES
from subscriptions.models import DownloadRun, LicenseThreshold, ReclaimRule, Verdict
from subscriptions.rules.rules import ASKING, CAPS, DOUBTS, TERMS, change_rule

CHANGE = "subscriptions.change_reclaimrule"


@dataclass(frozen=True, slots=True)
class FunnelBar:
    """One line of the funnel. `kind` is whole, loss or rest; `verdicts` filters the list behind the number.

    `change` says how the number differs from that of the saved rule.
    """

    label: str
    count: int
    kind: str
    verdicts: str
    offset: int = 0
    width: int = 0
    change: str = ""


# The reasons why people are no candidates, in the order of the clauses.
LOSSES = (
    (gettext_lazy("Left or deactivated"), (Verdict.GONE, Verdict.DEACTIVATED)),
    (gettext_lazy("License not in scope"), (Verdict.NOT_IN_SCOPE,)),
    (gettext_lazy("Protected or not removable"), (Verdict.CANNOT_BE_REMOVED, Verdict.PROTECTED)),
    (gettext_lazy("Cooling down"), (Verdict.COOLING_DOWN,)),
    (gettext_lazy("Facts missing, to review"), (Verdict.UNKNOWN, Verdict.NOT_EVALUATED)),
    (gettext_lazy("Dates went back, to review"), (Verdict.DATES_WENT_BACK,)),
    (gettext_lazy("In new-joiner grace"), (Verdict.IN_GRACE,)),
    (gettext_lazy("Active lately"), (Verdict.ACTIVE,)),
    (gettext_lazy("Admin role, to review"), (Verdict.ADMIN_ROLE,)),
    (gettext_lazy("Never active, to review"), (Verdict.NEVER_ACTIVE,)),
)


def funnel(counts: Mapping[str, int], saved: Mapping[str, int]) -> list[FunnelBar]:
    """From all members to the candidates. Widths and offsets are percent. `saved`: the counts of the saved rule."""
    everybody = sum(counts.values())
    if not everybody:
        return []
    bars = [FunnelBar(_("All members"), everybody, "whole", "", 0, 100)]
    left = everybody
    for label, verdicts in LOSSES:
        lost = sum(counts.get(verdict, 0) for verdict in verdicts)
        left -= lost
        change = _change(counts, saved, verdicts)
        if lost or change:
            bars.append(_bar(str(label), lost, "loss", verdicts, left, everybody, change))
    candidates, verdicts = counts.get(Verdict.CANDIDATE, 0), (Verdict.CANDIDATE,)
    change = _change(counts, saved, verdicts)
    return [*bars, _bar(_("Inactive, candidates"), candidates, "rest", verdicts, 0, everybody, change)]


def _bar(
    label: str, count: int, kind: str, verdicts: tuple[str, ...], start: int, everybody: int, change: str
) -> FunnelBar:
    width = max(1, round(100 * count / everybody)) if count else 0
    return FunnelBar(label, count, kind, ",".join(verdicts), min(99, round(100 * start / everybody)), width, change)


def _change(counts: Mapping[str, int], saved: Mapping[str, int], verdicts: tuple[str, ...]) -> str:
    """`43 fewer` or `4 more` people with these verdicts than by the saved rule; empty for as many."""
    apart = sum(counts.get(verdict, 0) - saved.get(verdict, 0) for verdict in verdicts)
    text = _("{count} more") if apart > 0 else _("{count} fewer")
    return text.format(count=number(abs(apart))) if apart else ""


class LicenseThresholdInline(TabularInline):
    model = LicenseThreshold
    form = LicenseThresholdForm
    formset = LicenseThresholdFormSet
    verbose_name_plural = gettext_lazy("Other thresholds for license types")
    extra = 0
    hide_title = True

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(CHANGE)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(CHANGE)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(CHANGE)


def license_labels(row: ReclaimRule) -> str:
    labels = dict(license_choices(row))
    return ", ".join(labels[word] for word in row.licenses)


@admin.register(ReclaimRule)
class ReclaimRuleAdmin(SignedRowsMixin, ExportMixin, ModelAdmin):
    form = ReclaimRuleForm
    inlines = (LicenseThresholdInline,)
    signed_table = RULES
    list_display = ("of_profile", "threshold", "license_types", "grace", "changed")
    list_display_links = ("of_profile",)
    columns = (
        ListColumn(
            "of_profile",
            [
                (gettext_lazy("Profile"), lambda row: row.profile.name),
                (gettext_lazy("Version"), lambda row: row.version),
            ],
        ),
        ListColumn(
            "threshold", [(gettext_lazy("Last activity threshold, days"), lambda row: row.last_activity_threshold)]
        ),
        ListColumn("license_types", [(gettext_lazy("License types"), license_labels)]),
        ListColumn("grace", [(gettext_lazy("New-joiner grace, days"), lambda row: row.new_joiner_grace)]),
        ListColumn("changed", [(gettext_lazy("Changed"), Moment(lambda row: row.changed_at))]),
    )
    actions = None
    warn_unsaved_form = True
    compressed_fields = False
    readonly_fields = ("license_types",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReclaimRule]:
        return super().get_queryset(request).select_related("profile")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[NoShowAllChangeList]:
        return NoShowAllChangeList

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[tuple[str | None, dict[str, Any]]]:
        """Readers see the license types as text, editors as checkboxes."""
        edits = self.has_change_permission(request, obj)
        shown = ["license_types" if name == "licenses" and not edits else name for name in TERMS]
        return [
            (_("Who is a candidate"), {"fields": [*shown, "seen_version"] if edits else shown}),
            (_("Asking and approving"), {"fields": ASKING}),
            (_("Caps"), {"fields": CAPS, "description": caps_now(obj.profile)}),
            (_("When a download is doubted"), {"fields": DOUBTS, "description": doubts_now(obj.profile)}),
        ]

    def get_inlines(self, request: HttpRequest, obj: ReclaimRule) -> tuple[type[LicenseThresholdInline], ...]:
        """Readers do not see an empty table of thresholds."""
        if self.has_change_permission(request, obj) or obj.license_thresholds.exists():
            return self.inlines
        return ()

    @admin.display(description=gettext_lazy("Profile"), ordering="profile__name")
    def of_profile(self, row: ReclaimRule) -> SafeString:
        return marked(row, two_lines(row.profile.name, _("version {version}").format(version=row.version)))

    @admin.display(description=gettext_lazy("Last activity threshold"), ordering="last_activity_threshold")
    def threshold(self, row: ReclaimRule) -> str:
        return days(row.last_activity_threshold)

    @admin.display(description=gettext_lazy("License types"))
    def license_types(self, row: ReclaimRule) -> str:
        return license_labels(row)

    @admin.display(description=gettext_lazy("New-joiner grace"))
    def grace(self, row: ReclaimRule) -> str:
        return days(row.new_joiner_grace)

    @admin.display(description=gettext_lazy("Changed"), ordering="changed_at")
    def changed(self, row: ReclaimRule) -> SafeString:
        return two_lines(day(row.changed_at), ago(row.changed_at))

    # --- The page -----------------------------------------------------------------------------------------------------

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Saving is one transaction; the verdicts follow after its commit."""
        try:
            response = super().changeform_view(request, *args, **kwargs)
        except REFUSALS as error:
            # Somebody else saved the rule between the check of the form and the write. Everything is rolled back.
            messages.error(request, sentence_of(error))
            return HttpResponseRedirect(request.get_full_path())
        if changed := getattr(request, "changed_rule", None):
            messages.success(request, apply_and_report(changed.profile))
        return response

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        rule: ReclaimRule = kwargs["obj"]
        saved = ReclaimRule.objects.select_related("profile").get(pk=rule.pk)
        context |= {
            "title": saved.profile.name,
            "show_save_and_continue": False,
            "saved": saved,
            **self._preview(request, saved, QueryDict()),
            "may_edit": self.has_change_permission(request, saved),
            "run": DownloadRun.objects.with_facts().filter(profile=saved.profile_id).first(),
            "activity_means": translated(saved.profile.connector.activity_means),
            "needs_download": needs_download(saved.profile, request),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview)
        return [path("<int:pk>/preview/", view, name="subscriptions_reclaimrule_preview"), *super().get_urls()]

    def preview(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The card beside the form, for the terms in the form. Nothing is saved."""
        rule = get_object_or_404(ReclaimRule.objects.select_related("profile"), pk=pk)
        if not self.has_view_permission(request, rule):
            raise PermissionDenied
        context = {**self._preview(request, rule, request.GET), "may_edit": self.has_change_permission(request, rule)}
        return TemplateResponse(request, "admin/subscriptions/reclaimrule/preview.html", context)

    def _preview(self, request: HttpRequest, rule: ReclaimRule, entries: QueryDict) -> dict[str, Any]:
        found = preview(rule, entries, names=request.user.has_perm("subscriptions.view_subscription"))
        address = reverse("admin:subscriptions_reclaimrule_preview", args=[rule.pk])
        return {**found, "funnel": funnel(found["verdicts"], found["saved_verdicts"]), "preview_url": address}

    def save_model(self, request: HttpRequest, obj: ReclaimRule, form: Any, change: bool) -> None:
        """Saves nothing: terms and thresholds are one change, see save_related()."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        rule = ReclaimRule.objects.select_related("profile").get(pk=form.instance.pk)
        actor = signed_in(request)
        rule.version = form.cleaned_data["seen_version"]
        by_license = {license: days for formset in formsets for license, days in formset.pairs()}
        if change_rule(rule, actor=actor, changed=form.cleaned_data, by_license=by_license):
            request.changed_rule = rule  # type: ignore[attr-defined]  # for `response_change`
        else:
            messages.info(request, _("Nothing was changed."))

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> str:
        """The audit log has the old and new values, so Django's log needs none."""
        return _("See the audit log.")

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """The audit log is the record."""

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Our own message says what changed."""
        return HttpResponseRedirect(request.path)
