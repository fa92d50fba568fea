"""The vendor's audit log of one person around a send. It is read only on demand."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from subscriptions.models import Reclaim
from subscriptions.reconciliation.person_events import log_around


@require_GET
def vendor_log(request: HttpRequest, pk: int) -> HttpResponse:
    """A part of the page for htmx; without JavaScript a page of its own."""
    if not request.user.has_perm("subscriptions.view_reclaim"):
        raise PermissionDenied
    item = get_object_or_404(Reclaim.objects.select_related("profile", "subscription"), pk=pk)
    context = {"item": item, "log": log_around(item)}
    if request.headers.get("HX-Request"):
        return TemplateResponse(request, "admin/subscriptions/reclaim/vendor_log.html", context)
    context |= {
        **admin.site.each_context(request),
        "title": _("{vendor}’s audit log of {item}").format(vendor=capfirst(item.profile.vendor), item=item),
    }
    return TemplateResponse(request, "admin/subscriptions/reclaim/vendor_log_page.html", context)
