"""Prices: one list with their history, and the page of the savings. A price is never edited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from licensehub.ui.admin import ReadOnlyAdmin, refuse_unless_post, run_and_report, signed_in
from licensehub.ui.csv_file import Moment
from licensehub.ui.export import ExportMixin
from licensehub.ui.formatting import badge, day, name_of, two_lines
from licensehub.ui.lists.changelist import PagedChangeList
from licensehub.ui.lists.columns import ListColumn
from licensehub.ui.time_zones import company_day
from subscriptions.admin.money.price_form import PriceForm
from subscriptions.admin.money.savings_page import export_view, savings_view
from subscriptions.admin.widgets.actions import REFUSALS
from subscriptions.errors import Refused
from subscriptions.models import Price
from subscriptions.money.beside import all_prices
from subscriptions.money.currencies import amount_text
from subscriptions.money.prices import enter_price, withdraw_price

ADD, CHANGE = "subscriptions.add_price", "subscriptions.change_price"
LIST = "admin:subscriptions_price_changelist"


def state_of(row: Price, valid: set[int]) -> tuple[str, str, str]:
    """Label, tone and icon. `valid` are the ids of the prices that hold today."""
    if row.withdrawn_at:
        return _("Withdrawn"), "neutral", "undo"
    if row.pk in valid:
        return _("Valid"), "ok", "check_circle"
    if row.valid_from > company_day():
        return _("Later"), "info", "schedule"
    return _("Ended"), "neutral", "event_busy"


def state_of_file() -> Callable[[Price], str]:
    """Return a function that names the state of a price. It reads the prices that hold today once, for one file."""
    holding = all_prices().holding_now()
    return lambda row: state_of(row, holding)[0]


class PriceChangeList(PagedChangeList):
    def get_results(self, request: HttpRequest) -> None:
        """Find the prices that hold today, for the whole page at once."""
        super().get_results(request)
        holding = all_prices().holding_now()
        for row in self.result_list:
            row.holding = holding


@admin.register(Price)
class PriceAdmin(ExportMixin, ReadOnlyAdmin):
    add_label = gettext_lazy("Enter a price")
    list_display = ("what", "price", "begins", "by", "standing")
    list_display_links = ("what",)
    ordering = ("profile", "license", "-valid_from", "-pk")
    columns = (
        ListColumn(
            "what",
            [
                (gettext_lazy("Profile"), lambda row: row.profile.name),
                (gettext_lazy("License type"), lambda row: row.license_label),
            ],
        ),
        ListColumn(
            "price",
            [
                (gettext_lazy("Amount"), lambda row: row.exact_amount),
                (gettext_lazy("Currency"), lambda row: row.currency),
                (gettext_lazy("For"), lambda row: row.get_per_display()),
            ],
        ),
        ListColumn("begins", [(gettext_lazy("Valid from"), lambda row: row.valid_from)]),
        ListColumn(
            "by",
            [
                (gettext_lazy("Entered by"), lambda row: name_of(row.entered_by)),
                (gettext_lazy("Entered"), Moment(lambda row: row.entered_at)),
            ],
        ),
        ListColumn("standing", lambda: [(gettext_lazy("State"), state_of_file())]),
        ListColumn(
            "withdrawal",
            [
                (gettext_lazy("Withdrawn"), Moment(lambda row: row.withdrawn_at)),
                (gettext_lazy("Withdrawn by"), lambda row: name_of(row.withdrawn_by) if row.withdrawn_by else ""),
                (gettext_lazy("Reason"), lambda row: row.withdrawn_reason),
            ],
            label=gettext_lazy("Withdrawn"),
        ),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PagedChangeList]:
        return PriceChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        return super().get_queryset(request).select_related("profile", "entered_by", "withdrawn_by")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(ADD)

    @admin.display(description=gettext_lazy("License type"))
    def what(self, row: Price) -> SafeString:
        return two_lines(row.license_label, row.profile.name)

    @admin.display(description=gettext_lazy("Price of one seat"))
    def price(self, row: Price) -> SafeString:
        second = (
            _("{amount} per year").format(amount=amount_text(row.yearly, row.currency)) if row.per == "month" else ""
        )
        return two_lines(f"{amount_text(row.amount, row.currency)} {row.get_per_display()}", second)

    @admin.display(description=gettext_lazy("Valid from"))
    def begins(self, row: Price) -> str:
        return day(row.valid_from)

    @admin.display(description=gettext_lazy("Entered by"))
    def by(self, row: Price) -> SafeString:
        return two_lines(name_of(row.entered_by), day(row.entered_at))

    @admin.display(description=gettext_lazy("State"))
    def standing(self, row: Any) -> SafeString:
        label, tone, icon = state_of(row, row.holding)
        return badge(label, tone=tone, icon=icon)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("savings/", view(savings_view), name="subscriptions_savings"),
            path("savings/export/<slug:form>/", view(export_view), name="subscriptions_savings_export"),
            path("<int:pk>/withdraw/", view(self.withdraw), name="subscriptions_price_withdraw"),
            *super().get_urls(),
        ]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """A form of its own: a price has its audit event in the same transaction."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = PriceForm(request.POST or None)
        if form.is_bound and form.is_valid() and self._enter(request, form):
            return HttpResponseRedirect(reverse(LIST))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.model._meta,
            "title": _("Enter a price"),
            "form": form,
            "possible": IntegrationProfile.objects.in_use().exists(),
        }
        return TemplateResponse(request, "admin/subscriptions/price/add.html", context)

    def _enter(self, request: HttpRequest, form: PriceForm) -> bool:
        def do() -> str:
            row = enter_price(form.cleaned_data["profile"], form.price(), actor=signed_in(request))
            text = f"{amount_text(row.amount, row.currency)} {row.get_per_display()}"
            return _("A seat of {license} costs {price} from {day} on.").format(
                license=row.license_label, price=text, day=day(row.valid_from)
            )

        return run_and_report(request, do, refusals=REFUSALS)

    def withdraw(self, request: HttpRequest, pk: int) -> HttpResponse:
        if refusal := refuse_unless_post(request, CHANGE):
            return refusal
        row = get_object_or_404(Price.objects.select_related("profile"), pk=pk)
        reason = request.POST.get("reason", "").strip()[:200]

        def do() -> str:
            if not reason:
                raise Refused(_("Enter a reason. Nothing was changed."))
            withdraw_price(row, reason=reason, actor=signed_in(request))
            return _("The price is withdrawn, and counts nowhere any more.")

        run_and_report(request, do, refusals=REFUSALS)
        return HttpResponseRedirect(reverse("admin:subscriptions_price_change", args=[pk]))

    def page_context(self, request: HttpRequest, row: Price) -> dict[str, Any]:
        label, tone, icon = state_of(row, all_prices().holding_now())
        mine = AuditEvent.objects.filter(target_type="subscriptions.price", target_id=row.pk)
        return {
            "row": row,
            "title": f"{row.license_label}, {amount_text(row.amount, row.currency)} {row.get_per_display()}",
            "badge": badge(label, tone=tone, icon=icon),
            "entered": f"{name_of(row.entered_by)}, {day(row.entered_at)}",
            "withdrawn": f"{name_of(row.withdrawn_by)}, {day(row.withdrawn_at)}" if row.withdrawn_at else "",
            "events": mine.order_by("sequence"),
            "may_withdraw": row.withdrawn_at is None and request.user.has_perm(CHANGE),
        }
