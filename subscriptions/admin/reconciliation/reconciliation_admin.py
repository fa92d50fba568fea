"""Reconciliations: the differences between our reclaims and the vendor, with the next step for each person."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from licensehub.translations.stored import translated
from licensehub.ui.admin import ReadOnlyAdmin, signed_in
from licensehub.ui.csv_file import Moment
from licensehub.ui.export import ExportMixin
from licensehub.ui.formatting import ago, badge, day_and_time, number, two_lines
from licensehub.ui.lists.columns import ListColumn
from subscriptions import tasks
from subscriptions.admin.widgets import live
from subscriptions.models import Reconciliation, Subscription
from subscriptions.reconciliation import reconcile
from subscriptions.reconciliation.differences import Kind

LIST = "admin:subscriptions_reconciliation_changelist"
VIEW = "subscriptions.view_reconciliation"
# A reconciliation makes many calls to the vendor and writes facts, so it is not for people who only read.
RECONCILE = (
    "subscriptions.request_removalcandidate",
    "integrations.operate_integrationprofile",
    "integrations.stop_all_sending",
)
# The moment when this user started a reconciliation, in the session, and how long its begin is waited for.
STARTED = "lh_reconciliation_started"
BEGINS_WITHIN = timedelta(minutes=2)
ICONS = {
    Kind.REACTIVATED: "undo",
    Kind.RESTORED_INACTIVE: "person_off",
    Kind.UNSENT_INACTIVE: "person_off",
    Kind.RESTORED_AFTER_ALL: "person_check",
    Kind.UNEXPLAINED: "question_mark",
    Kind.NOT_IN_LOG: "plagiarism",
}


def may_reconcile(request: HttpRequest) -> bool:
    return any(request.user.has_perm(permission) for permission in RECONCILE)


def differences(count: int) -> str:
    return ngettext("{} difference", "{} differences", count).format(number(count)) if count else _("No differences")


def result_badge(row: Reconciliation) -> SafeString:
    if row.finished_at is None:
        return badge(_("Running"), tone="info", icon="progress_activity")
    if row.findings:
        return badge(differences(len(row.findings)), tone="warning", icon="difference")
    if row.problem:
        return badge(_("Not finished"), tone="error", icon="error")
    return badge(_("No differences"), tone="ok", icon="check_circle")


def live_state() -> str:
    """A word that changes when a reconciliation begins or ends."""
    newest = Reconciliation.objects.order_by("-pk").values_list("pk", "finished_at")[:1]
    running = Reconciliation.objects.filter(finished_at=None).count()
    return " ".join(str(part) for part in [running, *(part for row in newest for part in row)])


def live_url(request: HttpRequest) -> str:
    """The address that the page asks while a reconciliation runs, or was started by this user a moment ago."""
    started = request.session.get(STARTED, "")
    begins = bool(started) and database_now() - datetime.fromisoformat(started) < BEGINS_WITHIN
    newest = Reconciliation.objects.order_by("-pk").values_list("started_at", flat=True).first()
    if begins and newest and newest > datetime.fromisoformat(started):
        begins = False
    if not begins and not Reconciliation.objects.filter(finished_at=None).exists():
        return ""
    return live.address(reverse("admin:subscriptions_reconciliation_live"), live_state())


def log_text(row: Reconciliation) -> str:
    return _("{events} events read").format(events=number(row.events)) if row.audit_log_checked else _("not checked")


def last_reconciliation(profile: IntegrationProfile, *, since: datetime | None = None) -> dict[str, Any]:
    """The last reconciliation of a profile, for a line on another page; `stale` when it began before `since`."""
    row = Reconciliation.objects.filter(profile=profile).first()
    if row is None:
        return {
            "row": None,
            "badge": badge(_("Never reconciled"), tone="neutral", icon="help"),
            "when": "",
            "stale": True,
        }
    when = f"{day_and_time(row.started_at)} ({ago(row.started_at)})"
    return {"row": row, "badge": result_badge(row), "when": when, "stale": bool(since and row.started_at < since)}


@admin.register(Reconciliation)
class ReconciliationAdmin(ExportMixin, ReadOnlyAdmin):
    list_display = ("started", "result", "people_shown", "log", "problem_shown")
    list_before_template = "admin/subscriptions/reconciliation/list_before.html"
    list_per_page = 50
    columns = (
        ListColumn(
            "started",
            [
                (gettext_lazy("Started"), Moment(lambda row: row.started_at)),
                (gettext_lazy("Finished"), Moment(lambda row: row.finished_at)),
                (gettext_lazy("Profile"), lambda row: row.profile.name),
            ],
        ),
        ListColumn("people_shown", [(gettext_lazy("People"), lambda row: row.people)]),
        ListColumn("log", [(gettext_lazy("Events"), lambda row: row.events), (gettext_lazy("Audit log"), log_text)]),
        ListColumn("result", [(gettext_lazy("Differences"), lambda row: len(row.findings))]),
        ListColumn("problem_shown", [(gettext_lazy("Problem"), lambda row: row.problem)]),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Reconciliation]:
        rows: QuerySet[Reconciliation] = super().get_queryset(request)
        return rows.select_related("profile")

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        filters: list[Any] = ["started_at"]
        return [*filters, "profile"] if IntegrationProfile.objects.count() > 1 else filters

    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view, "subscriptions_reconciliation_{}".format
        return [
            path("reconcile/<int:pk>/", view(self.reconcile), name=name("reconcile")),
            path("live/", view(self.live), name=name("live")),
            *super().get_urls(),
        ]

    def live(self, request: HttpRequest) -> HttpResponse:
        """The answer to the pages that follow a reconciliation."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return live.reload_if_changed(request, live_state())

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        profiles = IntegrationProfile.objects.filter(pk__in=reconcile.profiles_to_reconcile())
        more = {
            "profiles_to_reconcile": list(profiles),
            "may_reconcile": may_reconcile(request),
            "live_url": live_url(request),
        }
        return super().changelist_view(request, {**(extra_context or {}), **more})

    def reconcile(self, request: HttpRequest, pk: int) -> HttpResponse:
        """*Reconcile now*: a worker does it, since the vendor may be slow."""
        if not may_reconcile(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        profile = IntegrationProfile.objects.filter(pk=pk).first()
        if profile is None:
            raise Http404
        self._enqueue(request, profile)
        back = request.POST.get("next", "")
        safe = url_has_allowed_host_and_scheme(back, allowed_hosts=None)
        return HttpResponseRedirect(back if safe else reverse(LIST))

    def _enqueue(self, request: HttpRequest, profile: IntegrationProfile) -> None:
        if reconcile.running(profile):
            messages.info(request, _("A reconciliation of “{profile}” is already running.").format(profile=profile))
            return
        reconcile.request_by(profile, actor=signed_in(request))
        if tasks.enqueue_task(tasks.reconcile_ledger, profile.pk):
            request.session[STARTED] = database_now().isoformat()
            messages.success(
                request,
                _("“{profile}” is being reconciled with {vendor}.").format(profile=profile, vendor=profile.vendor),
            )
        else:
            messages.error(
                request,
                _(
                    "The message broker cannot be reached, so no reconciliation was started. Start the broker and the "
                    "worker, then reconcile again."
                ),
            )

    def page_context(self, request: HttpRequest, row: Reconciliation) -> dict[str, Any]:
        known = Subscription.objects.filter(profile=row.profile)
        ids = dict(
            known.filter(external_id__in=[finding["external_id"] for finding in row.findings]).values_list(
                "external_id", "pk"
            )
        )
        return {
            "row": row,
            "badge": result_badge(row),
            "started": day_and_time(row.started_at),
            "ago": ago(row.started_at),
            "log": log_text(row),
            "findings": [_shown(finding, ids.get(finding["external_id"])) for finding in row.findings],
            "profiles_to_reconcile": [row.profile] if row.profile_id in reconcile.profiles_to_reconcile() else [],
            "may_reconcile": may_reconcile(request),
            "live_url": live_url(request),
        }

    @admin.display(description=gettext_lazy("Started"), ordering="started_at")
    def started(self, row: Reconciliation) -> SafeString:
        return two_lines(day_and_time(row.started_at), f"{ago(row.started_at)}, {row.profile}")

    @admin.display(description=gettext_lazy("Result"))
    def result(self, row: Reconciliation) -> SafeString:
        return result_badge(row)

    @admin.display(description=gettext_lazy("People"), ordering="people")
    def people_shown(self, row: Reconciliation) -> SafeString:
        return two_lines(number(row.people), _("looked up"))

    @admin.display(description=gettext_lazy("Vendor's own log"))
    def log(self, row: Reconciliation) -> str:
        return capfirst(log_text(row))

    @admin.display(description=gettext_lazy("What went wrong"))
    def problem_shown(self, row: Reconciliation) -> SafeString:
        return format_html('<span class="lh-sentence">{}</span>', translated(row.problem) or _("Nothing."))


def _shown(finding: dict[str, Any], subscription: int | None) -> dict[str, Any]:
    kind = Kind(finding["kind"])
    return {
        **finding,
        "label": kind.label,
        "icon": ICONS[kind],
        "person_link": reverse("admin:subscriptions_subscription_change", args=[subscription]) if subscription else "",
        "reclaim_link": (
            reverse("admin:subscriptions_reclaim_change", args=[finding["reclaim"]]) if finding["reclaim"] else ""
        ),
    }
