"""The page of the monthly reports: one month, its export, and who gets it by mail."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from licensehub.ui.admin import ReadOnlyAdmin, run_and_report, signed_in
from licensehub.ui.export import FORMS, export_response
from licensehub.ui.formatting import day_and_time
from licensehub.ui.time_zones import company_day
from subscriptions.admin.reports.report_form import ReportForm
from subscriptions.admin.reports.report_page import shown_profile
from subscriptions.admin.widgets.actions import REFUSALS
from subscriptions.models import MonthlyReport
from subscriptions.money.small_groups import minimum_for
from subscriptions.reports.figures import figures, first_of, profiles_of
from subscriptions.reports.monthly import report_settings, save_settings
from subscriptions.reports.small_groups import rows_of_file, with_groups_together
from subscriptions.reports.texts import month_name, profile_name

SEES, CHANGE = "subscriptions.view_monthlyreport", "subscriptions.change_monthlyreport"
PAGE = "admin:subscriptions_monthlyreport_changelist"
COLUMNS = (
    (gettext_lazy("Month"), lambda row: row["month"]),
    (gettext_lazy("Profile"), lambda row: row["profile"]),
    (gettext_lazy("Department"), lambda row: _("Smaller groups") if "groups" in row else row["department"]),
    (gettext_lazy("Cost center"), lambda row: row["cost_center"]),
    (gettext_lazy("Seats"), lambda row: row["seats"]),
    (gettext_lazy("Inactive"), lambda row: row["inactive"]),
    (gettext_lazy("Reclaimed in the month"), lambda row: row["reclaimed"]),
    (gettext_lazy("Bought again in the month"), lambda row: row["again"]),
    (gettext_lazy("Restored in the month"), lambda row: row["restored"]),
    (gettext_lazy("Cost per year"), lambda row: Decimal(row["amount"]) if row["currency"] else ""),
    (gettext_lazy("Saved per year"), lambda row: Decimal(row["saved"]) if row["currency"] else ""),
    (gettext_lazy("Currency"), lambda row: row["currency"]),
)


@admin.register(MonthlyReport)
class MonthlyReportAdmin(ReadOnlyAdmin):
    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view, "subscriptions_monthlyreport_{}".format
        return [
            path("", view(self.page), name=name("changelist")),
            path("export/<slug:form>/", view(self.export), name=name("export")),
        ]

    def page(self, request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm(CHANGE if request.method == "POST" else SEES):
            raise PermissionDenied
        form = ReportForm(report_settings(), request.POST or None)
        if form.is_bound and form.is_valid() and _save(request, form):
            return HttpResponseRedirect(reverse(PAGE))
        month, data, row = _chosen(request)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Reports"),
            "months": [(f"{each:%Y-%m}", month_name(each), each == month) for each in _months()],
            "month_name": month_name(month),
            "made": day_and_time(row.made_at) if row else "",
            "profiles": [shown_profile(profile, month, request.user) for profile in data],
            "form": form,
            "mailed": _mailed(),
            "may_change": request.user.has_perm(CHANGE),
            "forms": [
                (label, f"{reverse('admin:subscriptions_monthlyreport_export', args=[kind])}?month={month:%Y-%m}")
                for kind, label in FORMS.items()
            ],
        }
        return TemplateResponse(request, "admin/subscriptions/monthlyreport/page.html", context)

    def export(self, request: HttpRequest, form: str) -> HttpResponseBase:
        """Export one row for each department, cost center and currency of each profile, for chargeback."""
        if not request.user.has_perm(SEES):
            raise PermissionDenied
        month, data, _row = _chosen(request)

        rows = [
            {**line, "month": f"{month:%Y-%m}", "profile": profile_name(profile)}
            for profile in data
            for line in rows_of_file(with_groups_together(profile, minimum_for(request.user)))
        ]
        return export_response(request, form, COLUMNS, rows, name=f"licenses-{month:%Y-%m}", count=len(rows))


def _months() -> list[date]:
    """This month so far, and those with a report, the newest first."""
    return [first_of(company_day()), *MonthlyReport.objects.values_list("month", flat=True)]


def _chosen(request: HttpRequest) -> tuple[date, list[dict[str, Any]], MonthlyReport | None]:
    """The shown month, its figures and its report: the month of the address, of the newest report, or this one."""
    months, wanted = _months(), request.GET.get("month", "")
    default = months[1] if len(months) > 1 else months[0]
    month = next((each for each in months if f"{each:%Y-%m}" == wanted), default)
    row = MonthlyReport.objects.filter(month=month).first()
    if row is None:
        return month, figures(profiles_of(month), month), None
    return month, row.data["profiles"], row


def _mailed() -> str:
    """`By mail on day 3 of each month, to 2 people`"""
    row = report_settings()
    if not row.enabled:
        return _("Not sent by mail")
    people = ngettext(
        "By mail on day {day} of each month, to {count} person",
        "By mail on day {day} of each month, to {count} people",
        len(row.recipients),
    )
    return people.format(day=row.day, count=len(row.recipients))


def _save(request: HttpRequest, form: ReportForm) -> bool:
    def do() -> str:
        saved = save_settings(
            enabled=form.cleaned_data["enabled"],
            day=form.cleaned_data["day"],
            recipients=list(form.cleaned_data["recipients"]),
            seen=form.cleaned_data["seen"],
            actor=signed_in(request),
        )
        return _("It is saved.") if saved else _("Nothing was changed.")

    return run_and_report(request, do, refusals=REFUSALS)
