"""The page that changes a schedule, for one subflow of one profile. No other page does."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.contrib.admin import site
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTimeWidget

from integrations.admin.findings import OPERATE, PROFILE_PAGE
from integrations.models import IntegrationProfile
from licensehub.ui.admin import refuse_unless_post, run_and_report, signed_in
from subscriptions.admin.widgets.actions import REFUSALS
from subscriptions.schedules import occurrences, schedules
from subscriptions.schedules.schedules import DOWNLOAD_TASK, EVERY_DAY, RECLAIM_TASK, WEEKDAYS, Plan

VIEW = "integrations.view_integrationprofile"
TASKS = {"download": DOWNLOAD_TASK, "reclaim": RECLAIM_TASK}
TITLES = {"download": gettext_lazy("When downloads start"), "reclaim": gettext_lazy("When seats may be reclaimed")}


def zones() -> list[tuple[str, str]]:
    """UTC and the zones of places first, then old names, because the setting TIME_ZONE may be any of them."""
    others = available_timezones() - {"UTC"}
    ordered = sorted(others, key=lambda name: ("/" not in name or name.startswith("Etc/"), name))
    return [(name, name) for name in ("UTC", *ordered)]


class ScheduleForm(forms.Form):
    """The fields of both subflows: the days and the time zone."""

    weekdays = forms.TypedMultipleChoiceField(
        label=gettext_lazy("Days"),
        coerce=int,
        choices=list(WEEKDAYS.items()),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": gettext_lazy("Choose at least one day. To stop for a while, pause the schedule.")},
    )
    zone = forms.ChoiceField(label=gettext_lazy("Time zone"), choices=zones, widget=UnfoldAdminSelectWidget)

    def days(self) -> frozenset[int]:
        return frozenset(self.cleaned_data["weekdays"])


class DownloadScheduleForm(ScheduleForm):
    at = forms.TimeField(label=gettext_lazy("At"), widget=UnfoldAdminTimeWidget(attrs={"type": "time"}, format="%H:%M"))
    field_order = ("weekdays", "at", "zone")

    def plan(self) -> Plan:
        at: time = self.cleaned_data["at"]
        return schedules.daily_plan(at=at, weekdays=self.days(), zone=self.cleaned_data["zone"])

    @staticmethod
    def values(plan: Plan) -> dict[str, Any]:
        return {"at": time(min(plan.hours), plan.minute or 0)}


def hours(first: int, last: int) -> list[tuple[int, str]]:
    return [(hour, f"{hour:02d}:00") for hour in range(first, last + 1)]


class ReclaimScheduleForm(ScheduleForm):
    start = forms.TypedChoiceField(
        label=gettext_lazy("From"), coerce=int, choices=hours(0, 23), widget=UnfoldAdminSelectWidget
    )
    end = forms.TypedChoiceField(
        label=gettext_lazy("To"),
        coerce=int,
        choices=hours(1, 24),
        widget=UnfoldAdminSelectWidget,
        help_text=gettext_lazy(
            "A window over midnight, such as 22:00 to 06:00, belongs to the day on which it begins."
        ),
    )
    field_order = ("weekdays", "start", "end", "zone")

    def clean_end(self) -> int:
        """Refuses 08:00 to 08:00, which could mean no hour or all hours."""
        end: int = self.cleaned_data["end"]
        if end == self.cleaned_data.get("start"):
            raise ValidationError(_("The window ends when it begins. For the whole day, choose 00:00 to 24:00."))
        return end

    def plan(self) -> Plan:
        data = self.cleaned_data
        return schedules.window_plan(start=data["start"], end=data["end"], weekdays=self.days(), zone=data["zone"])

    @staticmethod
    def values(plan: Plan) -> dict[str, Any]:
        """A window over midnight begins at the hour whose previous hour is not in the window."""
        start = next((hour for hour in sorted(plan.hours) if (hour - 1) % 24 not in plan.hours), 0)
        return {"start": start, "end": (start + len(plan.hours) - 1) % 24 + 1}


FORMS: dict[str, type[DownloadScheduleForm] | type[ReclaimScheduleForm]] = {
    "download": DownloadScheduleForm,
    "reclaim": ReclaimScheduleForm,
}


def schedule_view(request: HttpRequest, pk: int, subflow: str) -> HttpResponse:
    """Show the form, or store the schedule from it."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    profile = IntegrationProfile.objects.filter(pk=pk).first()
    if profile is None or subflow not in TASKS or profile.is_archived:
        raise Http404
    if request.method != "POST":
        plan = _plan(profile, subflow)
        now = {"weekdays": sorted(plan.weekdays), "zone": plan.zone, **FORMS[subflow].values(plan)}
        return _page(request, profile, subflow, FORMS[subflow](initial=now))
    if refusal := refuse_unless_post(request, OPERATE):
        return refusal
    if "switch" in request.POST:
        return _switch(request, profile, subflow)
    form = FORMS[subflow](request.POST)
    if not form.is_valid():
        return _page(request, profile, subflow, form)
    return _store(request, profile, subflow, form.plan())


def _store(request: HttpRequest, profile: IntegrationProfile, subflow: str, plan: Plan) -> HttpResponse:
    actor = signed_in(request)

    def do() -> str:
        schedules.change_schedule(profile, TASKS[subflow], plan, actor=actor)
        return _("The schedule is saved: {schedule}.").format(schedule=_schedule_text(profile, subflow))

    run_and_report(request, do, refusals=REFUSALS)
    return HttpResponseRedirect(reverse(PROFILE_PAGE, args=[profile.pk]))


def _switch(request: HttpRequest, profile: IntegrationProfile, subflow: str) -> HttpResponse:
    actor, enabled = signed_in(request), request.POST["switch"] == "resume"

    def do() -> str:
        schedules.switch_schedule(profile, TASKS[subflow], enabled=enabled, actor=actor)
        return _("The schedule is resumed.") if enabled else _("The schedule is paused.")

    run_and_report(request, do, refusals=REFUSALS)
    return HttpResponseRedirect(reverse(PROFILE_PAGE, args=[profile.pk]))


def _schedule_text(profile: IntegrationProfile, subflow: str) -> str:
    task = schedules.task_of(profile, TASKS[subflow])
    return schedules.words_of(task) if task else _("none yet")


def _plan(profile: IntegrationProfile, subflow: str) -> Plan:
    task = schedules.task_of(profile, TASKS[subflow])
    if task is None or task.crontab is None:
        return schedules.default_plan(TASKS[subflow])
    fields = occurrences.fields_of(task.crontab)
    return Plan(
        weekdays=fields.weekdays or EVERY_DAY,
        hours=frozenset(fields.hours),
        minute=min(fields.minutes) if subflow == "download" else None,
        zone=str(task.crontab.timezone),
    )


def _page(request: HttpRequest, profile: IntegrationProfile, subflow: str, form: ScheduleForm) -> HttpResponse:
    task = schedules.task_of(profile, TASKS[subflow])
    coming = schedules.next_moments(task) if task and subflow == "download" else []
    zone = ZoneInfo(str(task.crontab.timezone)) if task and task.crontab else ZoneInfo("UTC")
    context = {
        **site.each_context(request),
        "title": TITLES[subflow],
        "profile": profile,
        "subflow": subflow,
        "form": form,
        "schedule_text": _schedule_text(profile, subflow),
        "paused": bool(task and not task.enabled),
        "coming": [_moment(moment, zone) for moment in coming],
        "may_operate": request.user.has_perm(OPERATE),
    }
    return TemplateResponse(request, "admin/integrations/integrationprofile/schedule.html", context)


def _moment(moment: datetime, zone: ZoneInfo) -> str:
    """`Wed, Nov 25, 2026, 02:00 in Europe/Berlin (01:00 UTC)`"""
    local = _("{moment} in {zone}").format(
        moment=date_format(moment.astimezone(zone), "WEEKDAY_TIME_FORMAT"), zone=zone.key
    )
    return local if zone.key == "UTC" else f"{local} ({moment:%H:%M} UTC)"
