"""Download runs: what each one read and changed, and what to do about a quarantined one."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from integrations.admin.findings import OPERATE
from integrations.models import IntegrationProfile, ProfileState
from licensehub.translations.stored import translated
from licensehub.ui.admin import ReadOnlyAdmin
from licensehub.ui.csv_file import Moment
from licensehub.ui.export import ExportMixin
from licensehub.ui.formatting import ago, badge, day_and_time, name_of, number, two_lines
from licensehub.ui.lists.columns import ListColumn
from licensehub.ui.lists.folding import FoldedSearch
from licensehub.ui.names import name_fields
from subscriptions.admin.downloads.actions import decide, progress, progress_of, quarantine_context
from subscriptions.admin.downloads.numbers import tiles_of, what_is_kept
from subscriptions.admin.downloads.steps import seconds_text, steps_of
from subscriptions.admin.rules.lost import lost_in, lost_list
from subscriptions.admin.widgets import live
from subscriptions.downloads.acceptance import why_not_acceptable
from subscriptions.models import DownloadRun, RunState

BADGES = {
    RunState.RUNNING: ("info", "progress_activity"),
    RunState.EVALUATING: ("info", "rule"),
    RunState.COMPLETE: ("ok", "check_circle"),
    RunState.QUARANTINED: ("warning", "gpp_maybe"),
    RunState.FAILED: ("error", "error"),
    RunState.DISCARDED: ("neutral", "delete"),
}
MEANING = {
    RunState.RUNNING: (
        gettext_lazy("Members are being read, page by page, into a staging table."),
        gettext_lazy(
            "Nothing has changed yet: all subscriptions are updated in one step, after the last page was read and the "
            "result was found plausible. If the process is killed, the next one continues at the saved page."
        ),
    ),
    RunState.EVALUATING: (
        gettext_lazy(
            "All pages were read, the result was plausible, and the subscriptions were updated in one step. Now names "
            "are read, and everybody is evaluated again."
        ),
        gettext_lazy(
            "Until the verdicts are written, lists show the new facts beside the verdicts of the download before. If "
            "the process is killed, the next one continues at the step that it had reached."
        ),
    ),
    RunState.COMPLETE: (
        gettext_lazy("All pages were read, the result was plausible, and the subscriptions were updated in one step."),
        gettext_lazy("Verdicts and removal candidates were evaluated again right after it."),
    ),
    RunState.QUARANTINED: (
        gettext_lazy("The vendor answered, but the result is not plausible, so nothing of it was used."),
        gettext_lazy(
            "All subscriptions keep the facts of the last complete download, and nobody became a candidate through "
            "this run. Read the reason, then run the download again from the profile. If you find at "
            "the vendor that it is right, two people can accept this run; otherwise discard it, and validate the "
            "connection in the profile."
        ),
    ),
    RunState.DISCARDED: (
        gettext_lazy("Somebody looked at the quarantined download and decided not to use it."),
        gettext_lazy("All subscriptions keep the facts of the last complete download."),
    ),
    RunState.FAILED: (
        gettext_lazy("The download could not be finished, so nothing of it was used."),
        gettext_lazy(
            "All subscriptions keep the facts of the last complete download. Do what the reason says, then run the "
            "download again from the profile. Validating the connection there shows more."
        ),
    ),
}


NOT_ACCEPTABLE = gettext_lazy(
    "All subscriptions keep the facts of the last complete download, and nobody became a candidate through this run. "
    "It cannot be accepted. Read the reason, discard it, and run the download again from the profile. Validating the "
    "connection there shows more."
)
ACCEPTED = gettext_lazy(
    "All pages were read, but the result was not plausible. Two people accepted it, and the subscriptions were updated "
    "in one step."
)


def meaning_of(run: DownloadRun) -> tuple[str, str]:
    """The meaning of its state, and the next step."""
    meaning, next_step = MEANING[RunState(run.state)]
    if run.state == RunState.QUARANTINED and why_not_acceptable(run):
        next_step = NOT_ACCEPTABLE
    accepted = run.has_facts and run.decided_by_id is not None
    return str(ACCEPTED if accepted else meaning), str(next_step)


def _newest_run() -> str:
    return str(DownloadRun.objects.order_by("-pk").values_list("pk", flat=True).first())


def _first_run_url() -> str:
    """The address that the empty list asks while the first download is due; else empty."""
    due = IntegrationProfile.objects.downloading().filter(download_due_at__isnull=False)
    if DownloadRun.objects.exists() or not due.exists():
        return ""
    return live.address(reverse("admin:subscriptions_downloadrun_live"), _newest_run())


def newest_complete(profile: IntegrationProfile) -> DownloadRun | None:
    return DownloadRun.objects.complete().filter(profile=profile).first()


def run_badge(run: DownloadRun) -> SafeString:
    tone, icon = BADGES[RunState(run.state)]
    return badge(run.get_state_display(), tone=tone, icon=icon)


def starter(run: DownloadRun) -> str:
    return name_of(run.started_by_user) if run.started_by_user else run.get_started_by_display()


def duration_text(run: DownloadRun) -> str:
    """`42 s`, `3 min 10 s`."""
    return seconds_text(int(run.duration.total_seconds()))


@admin.register(DownloadRun)
class DownloadRunAdmin(FoldedSearch, ExportMixin, ReadOnlyAdmin):
    list_display = ("run", "state_shown", "started", "size", "changes", "by", "problem_shown")
    search_fields = ("problem", *name_fields("started_by_user"))
    search_help_text = gettext_lazy("Reason, or who started it")
    list_before_template = "admin/subscriptions/downloadrun/list_before.html"
    columns = (
        ListColumn(
            "run",
            [(gettext_lazy("Number"), lambda run: run.number), (gettext_lazy("Profile"), lambda run: run.profile.name)],
        ),
        ListColumn("state_shown", [(gettext_lazy("State"), lambda run: run.get_state_display())]),
        ListColumn(
            "started",
            [
                (gettext_lazy("Started"), Moment(lambda run: run.started_at)),
                (gettext_lazy("Finished"), Moment(lambda run: run.finished_at)),
            ],
        ),
        ListColumn("by", [(gettext_lazy("Started by"), starter)]),
        ListColumn(
            "size", [(gettext_lazy("Read"), lambda run: run.read), (gettext_lazy("Pages"), lambda run: run.pages)]
        ),
        ListColumn("requests_shown", [(gettext_lazy("Requests"), lambda run: run.requests)]),
        ListColumn("credits_shown", [(gettext_lazy("Credits"), lambda run: run.credits)]),
        ListColumn(
            "changes",
            [
                (gettext_lazy("New"), lambda run: run.new),
                (gettext_lazy("Changed"), lambda run: run.changed),
                (gettext_lazy("Gone"), lambda run: run.gone),
                (gettext_lazy("Unchanged"), lambda run: run.unchanged),
            ],
        ),
        ListColumn("problem_shown", [(gettext_lazy("Problem"), lambda run: run.problem)]),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[DownloadRun]:
        rows: QuerySet[DownloadRun] = super().get_queryset(request)
        return rows.select_related("profile", "started_by_user", "proposed_by", "decided_by")

    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view, "subscriptions_downloadrun_{}".format
        return [
            path("<int:pk>/progress/", view(progress), name=name("progress")),
            path("live/", view(self.live), name=name("live")),
            path("<int:pk>/decide/<slug:name>/", view(decide), name=name("decide")),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        published = IntegrationProfile.objects.filter(state=ProfileState.PUBLISHED)[:2]
        # With several profiles, their own pages have the button.
        one = published[0] if request.user.has_perm(OPERATE) and len(published) == 1 else None
        more = {"live_url": _first_run_url(), "download_from": one}
        return super().changelist_view(request, {**(extra_context or {}), **more})

    def live(self, request: HttpRequest) -> HttpResponse:
        """The answer to the empty list, which waits for the first run."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return live.reload_if_changed(request, _newest_run())

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        filters: list[Any] = ["state", "started_by", "started_at"]
        return [*filters, "profile"] if IntegrationProfile.objects.count() > 1 else filters

    def page_context(self, request: HttpRequest, row: DownloadRun) -> dict[str, Any]:
        meaning, next_step = meaning_of(row)
        labels = row.profile.connector.licenses
        return {
            "run": row,
            "badge": run_badge(row),
            "tone": BADGES[RunState(row.state)][0],
            "meaning": meaning,
            "next_step": next_step,
            "started": day_and_time(row.started_at),
            "started_ago": ago(row.started_at),
            "duration": duration_text(row),
            "starter": starter(row),
            "tiles": tiles_of(row, with_links=request.user.has_perm("subscriptions.view_subscription")),
            "what_is_kept": what_is_kept(row),
            "purchased": [(labels.get(license, license), count) for license, count in row.purchased.items()],
            "decided": f"{day_and_time(row.decided_at)} ({ago(row.decided_at)})" if row.decided_at else "",
            "lost": lost_in(row.profile) if row == newest_complete(row.profile) else "",
            "lost_list": lost_list(),
            "earliest_date": date_format(row.profile.connector.earliest_date, "DATE_FORMAT"),
            "quarantine": quarantine_context(row, request),
            **(progress_of(row) if row.is_under_way else {"steps": steps_of(row)}),
        }

    @admin.display(description=gettext_lazy("Run"), ordering="pk")
    def run(self, row: DownloadRun) -> SafeString:
        return two_lines(row.number, row.profile.name)

    @admin.display(description=gettext_lazy("State"))
    def state_shown(self, row: DownloadRun) -> SafeString:
        return run_badge(row)

    @admin.display(description=gettext_lazy("Started"), ordering="started_at")
    def started(self, row: DownloadRun) -> SafeString:
        return two_lines(
            day_and_time(row.started_at),
            _("{ago}, took {duration}").format(ago=ago(row.started_at), duration=duration_text(row)),
        )

    @admin.display(description=gettext_lazy("Read"))
    def size(self, row: DownloadRun) -> SafeString:
        text = _("{count} so far") if row.state == RunState.RUNNING else "{count}"
        pages = ngettext("{} page", "{} pages", row.pages).format(number(row.pages))
        return two_lines(text.format(count=number(row.read)), pages)

    @admin.display(description=gettext_lazy("New, changed, gone"))
    def changes(self, row: DownloadRun) -> SafeString:
        if not row.has_facts:
            return two_lines("–", _("nothing was changed"))
        return two_lines(
            " · ".join(map(number, (row.new, row.changed, row.gone))),
            _("{unchanged} unchanged").format(unchanged=number(row.unchanged)),
        )

    @admin.display(description=gettext_lazy("Started by"))
    def by(self, row: DownloadRun) -> str:
        return starter(row)

    @admin.display(description=gettext_lazy("What went wrong"))
    def problem_shown(self, row: DownloadRun) -> SafeString:
        return format_html('<span class="lh-sentence">{}</span>', translated(row.problem) or _("Nothing."))
