"""The page that stops and allows all sending, and releases it after a restored backup."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from integrations import sending
from integrations.connectors.registry import vendor_texts
from integrations.models import IntegrationProfile, SendingControl
from licensehub.ui.admin import ReadOnlyAdmin, refuse_unless_post, run_and_report, signed_in
from licensehub.ui.formatting import ago, day_and_time
from subscriptions.admin.reconciliation.reconciliation_admin import last_reconciliation, may_reconcile
from subscriptions.models import ReclaimRequest
from subscriptions.reclaims import backup_guard
from subscriptions.reconciliation import reconcile

SWITCH = "integrations.stop_all_sending"
VIEW = "integrations.view_integrationprofile"
PAGE = "admin:integrations_sendingcontrol_changelist"
SHOWN = 50


def _stop(request: HttpRequest, user: User) -> str:
    sending.stop_all(actor=user, reason=request.POST.get("reason", "")[:500])
    return _("All sending is stopped. Approved seats wait and are not lost. Restores still work.")


def _allow(request: HttpRequest, user: User) -> str:
    sending.allow_all(actor=user)
    return _("Sending is allowed again. Approved seats are sent within a minute, unless another switch stops them.")


def _release(request: HttpRequest, user: User) -> str:
    renew = request.POST.get("approved", "renew") != "send"
    sending.release(actor=user, checked=request.POST.get("checked", ""), renew=renew)
    if not renew:
        return _("Sending is released. Approved seats are sent within a minute.")
    return _(
        "Sending is released. Approved people who are already inactive in {vendor} are closed. All others "
        "need a new approval."
    ).format(vendor=vendor_texts().vendor)


ACTIONS: dict[str, Callable[[HttpRequest, User], str]] = {"stop": _stop, "allow": _allow, "release": _release}


@admin.register(SendingControl)
class SendingControlAdmin(ReadOnlyAdmin):
    """One row, one page."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(SWITCH) or request.user.has_perm(VIEW)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        name = "integrations_sendingcontrol_{}".format
        return [
            path("", view(self.page), name=name("changelist")),
            path("act/<slug:action>/", view(self.run_action), name=name("action")),
        ]

    def page(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        control = sending.control()
        context = {
            **self.admin_site.each_context(request),
            "title": _("Stop all sending"),
            "control": control,
            "stopped": f"{day_and_time(control.stopped_at)} ({ago(control.stopped_at)})",
            "may_switch": request.user.has_perm(SWITCH),
            **(_what_to_check(request, control) if control.held_at else {}),
        }
        return TemplateResponse(request, "admin/integrations/sendingcontrol/page.html", context)

    def run_action(self, request: HttpRequest, action: str) -> HttpResponse:
        if answer := refuse_unless_post(request, SWITCH):
            return answer
        if action not in ACTIONS:
            raise Http404
        user = signed_in(request)
        run_and_report(request, lambda: ACTIONS[action](request, user), refusals=(sending.NotSwitched,))
        return HttpResponseRedirect(reverse(PAGE))


def _what_to_check(request: HttpRequest, control: SendingControl) -> dict[str, Any]:
    queued = _with_dates(ReclaimRequest.objects.filter(removals__reclaim__in=backup_guard.queued()))
    waiting = _with_dates(backup_guard.waiting())
    profiles = IntegrationProfile.objects.filter(pk__in=reconcile.profiles_to_reconcile())
    return {
        "held": f"{day_and_time(control.held_at)} ({ago(control.held_at)})",
        "approved_count": backup_guard.queued().count(),
        "approved": queued[:SHOWN],
        "approved_more": max(0, len(queued) - SHOWN),
        "waiting": waiting[:SHOWN],
        "waiting_more": max(0, len(waiting) - SHOWN),
        "profiles": [
            {"profile": profile, **last_reconciliation(profile, since=control.held_at)} for profile in profiles
        ],
        "may_reconcile": may_reconcile(request),
        "shortest": sending.MIN_REASON_LENGTH,
    }


def _with_dates(requests: QuerySet[ReclaimRequest]) -> list[dict[str, Any]]:
    rows = requests.annotate(people=Count("removals", distinct=True)).order_by("pk")
    return [
        {
            "request": row,
            "people": row.people,
            "requested": day_and_time(row.requested_at),
            "decided": day_and_time(row.decided_at) if row.decided_at else "",
        }
        for row in rows
    ]
