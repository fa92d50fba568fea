"""The page *Company*: facts and texts for people who are asked, beside a preview."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from licensehub.ui.admin import ReadOnlyAdmin, run_and_report, signed_in
from subscriptions.admin.company.company_form import CompanyForm
from subscriptions.admin.company.preview import preview
from subscriptions.admin.widgets.actions import REFUSALS
from subscriptions.company.company import company, logo_address, save_company
from subscriptions.company.texts import KINDS, LANGUAGES, PLACEHOLDERS
from subscriptions.models import Company

SEES, CHANGE = "subscriptions.view_company", "subscriptions.change_company"
PAGE = "admin:subscriptions_company_changelist"


@admin.register(Company)
class CompanyAdmin(ReadOnlyAdmin):
    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view, "subscriptions_company_{}".format
        return [
            path("", view(self.page), name=name("changelist")),
            path("preview/", view(self.preview), name=name("preview")),
        ]

    def page(self, request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm(CHANGE if request.method == "POST" else SEES):
            raise PermissionDenied
        row = company()
        form = CompanyForm(row, request.POST or None, request.FILES or None)
        if form.is_bound and form.is_valid() and _save(request, form):
            return HttpResponseRedirect(reverse(PAGE))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Company"),
            "form": form,
            "row": row,
            "logo": logo_address(row),
            "may_change": request.user.has_perm(CHANGE),
            "placeholders": [(f"{{{name}}}", meaning) for name, meaning in PLACEHOLDERS.items()],
            "kinds": [(kind.value, kind.label) for kind in KINDS],
            "languages": LANGUAGES.items(),
            "preview": preview(company(), form, request.POST),
        }
        return TemplateResponse(request, "admin/subscriptions/company/page.html", context)

    def preview(self, request: HttpRequest) -> HttpResponse:
        """Show the preview of the form's contents. Nothing is saved."""
        if not request.user.has_perm(SEES):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        context: dict[str, Any] = {"preview": preview(company(), CompanyForm(company(), request.POST), request.POST)}
        return TemplateResponse(request, "admin/subscriptions/company/preview.html", context)


def _save(request: HttpRequest, form: CompanyForm) -> bool:
    def do() -> str:
        saved = save_company(form.company, seen=form.cleaned_data["seen"], actor=signed_in(request))
        return _("The company is saved. Mails from now on have these texts.") if saved else _("Nothing was changed.")

    return run_and_report(request, do, refusals=REFUSALS)
