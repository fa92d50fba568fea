"""The page of the contract of a profile, and its form."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from integrations.models import IntegrationProfile
from licensehub.ui.admin import ReadOnlyAdmin, refuse_unless_post, run_and_report, signed_in
from licensehub.ui.export import FORMS, export_response
from licensehub.ui.formatting import day, number
from subscriptions.admin.money.contract_form import ContractForm
from subscriptions.admin.money.contract_page import ASSUMPTIONS, contract_context
from subscriptions.admin.money.licenses_card import COLUMNS, FloorForm
from subscriptions.admin.widgets.actions import REFUSALS
from subscriptions.models import CandidateState, Contract
from subscriptions.models.reclaims.candidate import CLOSED
from subscriptions.money.beside import all_prices
from subscriptions.money.contracts import save_contract
from subscriptions.money.currencies import amount_text
from subscriptions.money.licenses import licenses_of, set_floors

SEES, CHANGE = "subscriptions.view_contract", "subscriptions.change_contract"
PAGE = "admin:subscriptions_contract_changelist"


@admin.register(Contract)
class ContractAdmin(ReadOnlyAdmin):
    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view, "subscriptions_contract_{}".format
        return [
            path("", view(self.page), name=name("changelist")),
            path("edit/", view(self.edit), name=name("edit")),
            path("floors/", view(self.floors), name=name("floors")),
            path("export/<slug:form>/", view(self.export), name=name("export")),
        ]

    def page(self, request: HttpRequest, floors: FloorForm | None = None) -> HttpResponse:
        if not request.user.has_perm(SEES):
            raise PermissionDenied
        profiles = list(IntegrationProfile.objects.in_use().select_related("contract__owner", "contract__profile"))
        profile = _chosen(profiles, request)
        row = getattr(profile, "contract", None) if profile else None
        assumed = request.GET.get("assume", "")
        context = {
            **self.admin_site.each_context(request),
            "title": _("Contract"),
            "profile": profile,
            "profiles": profiles if len(profiles) > 1 else [],
            "may_change": request.user.has_perm(CHANGE),
            "may_enter_price": request.user.has_perm("subscriptions.add_price"),
            "prices": _prices(profile) if profile else [],
            **(_licenses(profile, floors) if profile else {}),
            **(contract_context(row, assumed if assumed in ASSUMPTIONS else "approved") if row else {}),
        }
        return TemplateResponse(request, "admin/subscriptions/contract/page.html", context)

    def floors(self, request: HttpRequest) -> HttpResponse:
        """Save the seat floors of the profile."""
        if refusal := refuse_unless_post(request, CHANGE):
            return refusal
        profile = _chosen(list(IntegrationProfile.objects.in_use()), request)
        if profile is None:
            return HttpResponseRedirect(reverse(PAGE))
        form = FloorForm(profile, request.POST)
        if not form.is_valid():
            return self.page(request, form)

        def do() -> str:
            changed = set_floors(profile, form.changed, actor=signed_in(request))
            return _("The seat floors are saved.") if changed else _("Nothing was changed.")

        run_and_report(request, do, refusals=REFUSALS)
        return HttpResponseRedirect(f"{reverse(PAGE)}?profile={profile.pk}")

    def export(self, request: HttpRequest, form: str) -> HttpResponseBase:
        """Export the bought, used and free licenses of each type."""
        profile = _chosen(list(IntegrationProfile.objects.in_use()), request)
        if not request.user.has_perm(SEES):
            raise PermissionDenied
        rows = licenses_of(profile) if profile else []
        return export_response(request, form, COLUMNS, rows, name="bought-and-used", count=len(rows))

    def edit(self, request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm(CHANGE):
            raise PermissionDenied
        profile = _chosen(list(IntegrationProfile.objects.in_use()), request)
        if profile is None:
            return HttpResponseRedirect(reverse(PAGE))
        row = Contract.objects.filter(profile=profile).first()
        form = ContractForm(profile, row, request.POST or None)
        back = f"{reverse(PAGE)}?profile={profile.pk}"
        if form.is_bound and form.is_valid() and _save(request, profile, form):
            return HttpResponseRedirect(back)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Edit the contract") if row else _("Enter the contract"),
            "profile": profile,
            "form": form,
            "back": back,
        }
        return TemplateResponse(request, "admin/subscriptions/contract/edit.html", context)


def _licenses(profile: IntegrationProfile, form: FloorForm | None) -> dict[str, Any]:
    address = "admin:subscriptions_contract_export"
    forms = [(label, f"{reverse(address, args=[kind])}?profile={profile.pk}") for kind, label in FORMS.items()]
    open_states = ",".join(state for state in CandidateState.values if state not in CLOSED)
    return {"floors": form or FloorForm(profile), "forms": forms, "open_states": open_states}


def _save(request: HttpRequest, profile: IntegrationProfile, form: ContractForm) -> bool:
    def do() -> str:
        row = save_contract(profile, form.contract, seen=form.cleaned_data["seen"], actor=signed_in(request))
        return _("The contract is saved: {seats} seats until {day}.").format(
            seats=number(row.seats), day=day(row.renews_on)
        )

    return run_and_report(request, do, refusals=REFUSALS)


def _chosen(profiles: list[IntegrationProfile], request: HttpRequest) -> IntegrationProfile | None:
    """The profile of the address, else the first one."""
    wanted = request.GET.get("profile", "")
    return next((row for row in profiles if str(row.pk) == wanted), profiles[0] if profiles else None)


def _prices(profile: IntegrationProfile) -> list[dict[str, Any]]:
    """The prices of today."""
    prices, labels = all_prices(), profile.connector.licenses
    found = {license: prices.now(profile.pk, license) for license in labels}
    return [
        {
            "label": labels[license],
            "price": price,
            "amount": f"{amount_text(price.amount, price.currency)} {price.get_per_display()}",
        }
        for license, price in found.items()
        if price
    ]
