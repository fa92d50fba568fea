"""Archive a profile: the page that confirms it, and the filter that hides archived profiles."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter, site
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.admin.findings import OPERATE, PROFILE_PAGE
from integrations.models import IntegrationProfile, ProfileState
from licensehub.ui.admin import run_and_report, signed_in
from subscriptions.admin.widgets.actions import REFUSALS
from subscriptions.profiles import archive

TEMPLATE = "admin/integrations/integrationprofile/archive.html"


class StateFilter(SimpleListFilter):
    """Hides archived profiles, unless their state is chosen."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, str(label)) for value, label in ProfileState.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[IntegrationProfile]) -> QuerySet[IntegrationProfile]:
        if self.value() in ProfileState.values:
            return queryset.filter(state=self.value())
        return queryset.exclude(state=ProfileState.ARCHIVED)


def archive_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what ends; archive the profile when its name is typed."""
    if not request.user.has_perm(OPERATE):
        raise PermissionDenied
    profile = get_object_or_404(IntegrationProfile, pk=pk)
    if request.method != "POST":
        return _page(request, profile)
    actor, typed = signed_in(request), request.POST.get("name", "")

    def do() -> str:
        message = archive.archive(profile, typed_name=typed, actor=actor)
        done = _("“{profile}” is archived. Its records stay.").format(profile=profile)
        return f"{done} {message}".strip()

    done = run_and_report(request, do, refusals=REFUSALS)
    address = reverse(PROFILE_PAGE, args=[pk])
    return HttpResponseRedirect(address if done else request.path)


def _page(request: HttpRequest, profile: IntegrationProfile) -> HttpResponse:
    context = {
        **site.each_context(request),
        "title": _("Archive {profile}").format(profile=profile),
        "profile": profile,
        "vendor": profile.connector.label,
        "ends": archive.consequences_of(profile),
        "why_not": archive.why_not_archive(profile),
    }
    return TemplateResponse(request, TEMPLATE, context)
