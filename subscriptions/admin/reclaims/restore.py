"""*Restore* in History: the page that confirms one restore, and the request for several."""

from __future__ import annotations

from functools import partial

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin

from licensehub.translations.stored import translated
from licensehub.ui.admin import run_and_report, signed_in
from subscriptions.admin.reclaims.free_licenses import free_context
from subscriptions.admin.widgets.actions import REFUSALS, ValidateSelectionMixin, enqueue_reclaim
from subscriptions.admin.widgets.counts import seats
from subscriptions.admin.widgets.evidence import license_label
from subscriptions.admin.widgets.selection import Selection, confirm_context, make_requests, select, ticked
from subscriptions.models import Reclaim, ReclaimRequest
from subscriptions.reclaims import restores
from subscriptions.reclaims.switches import Operation

RESTORE = "subscriptions.restore_reclaimrequest"
DONE = gettext_lazy("{request} asks to restore {seats}. Another person has to approve it.")


class RestoreMixin(ValidateSelectionMixin, ModelAdmin):
    """Put before ModelAdmin of Reclaim."""

    actions = ("request_restore",)

    def has_restore_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(RESTORE)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.restore)
        return [path("<int:pk>/restore/", view, name="subscriptions_reclaim_restore"), *super().get_urls()]

    # --- One ----------------------------------------------------------------------------------------------------------

    def restore(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A GET shows the page that asks for the reason; a POST restores."""
        if not self.has_restore_permission(request):
            raise PermissionDenied
        rows = Reclaim.objects.select_related("subscription", "profile", "removal__request")
        row = get_object_or_404(rows, pk=pk)
        if request.method == "POST":
            return self._restore(request, row)
        if sentence := restores.why_not_restore(row) or restores.why_not_alone(signed_in(request)):
            messages.error(request, sentence)
            return HttpResponseRedirect(_page_of(row))
        return self._confirm_one(request, row)

    def _restore(self, request: HttpRequest, row: Reclaim) -> HttpResponse:
        queued: list[Reclaim] = []

        def do() -> str:
            reason = request.POST.get("reason", "").strip()[:500]
            queued.append(restores.restore(row, actor=signed_in(request), reason=reason))
            return _("The restore of {row} is queued. LicenseHub verifies it when {vendor} has answered.").format(
                row=row, vendor=row.profile.vendor
            )

        if not run_and_report(request, do, refusals=REFUSALS):
            return HttpResponseRedirect(_page_of(row))
        enqueue_reclaim(request, row.profile_id)
        return HttpResponseRedirect(_page_of(queued[0]))

    def _confirm_one(self, request: HttpRequest, row: Reclaim) -> HttpResponse:
        evidence = row.removal.evidence
        context = {
            **self.admin_site.each_context(request),
            **restores.notes(row.profile),
            **free_context(row.profile, {evidence["license"]: 1}),
            "opts": self.model._meta,
            "title": _("Restore 1 seat"),
            "item": row,
            "license": license_label(row.profile, evidence["license"]),
            "role": translated(row.profile.connector.roles.get(evidence["role"], evidence["role"])),
            "back": _page_of(row),
        }
        return TemplateResponse(request, "admin/subscriptions/reclaim/confirm_restore.html", context)

    # --- Several ------------------------------------------------------------------------------------------------------

    @admin.action(description=gettext_lazy("Request restore"), permissions=["restore"])
    def request_restore(self, request: HttpRequest, chosen: QuerySet[Reclaim]) -> HttpResponse | None:
        """First the page that shows the people; a POST from there has `confirmed`, and makes the request.

        One seat needs no request, unless the account has restored many: it has a page of its own.
        """
        actor = signed_in(request)
        selection = selection_of(ticked(request, chosen), actor=actor)
        count = selection.count
        if count and request.POST.get("confirmed") == str(count):
            return make_requests(request, selection, partial(_make, actor=actor), done=DONE)
        if request.POST.get("confirmed"):
            messages.warning(
                request, _("The list has changed: {count} of these can be restored now.").format(count=count)
            )
        if count > 1 or (count and restores.why_not_alone(actor)):
            return self._confirm_several(request, selection, count)
        selection.say_left_out(request, messages.WARNING if count else messages.ERROR)
        if not count:
            return None
        [able] = selection.able.values()
        return HttpResponseRedirect(reverse("admin:subscriptions_reclaim_restore", args=[able.get().pk]))

    def _confirm_several(self, request: HttpRequest, selection: Selection, count: int) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            **confirm_context(request, count),
            **restores.notes(next(iter(selection.able))),
            "free": [free_context(profile, restores.needed_by(rows)) for profile, rows in selection.able.items()],
            "opts": self.model._meta,
            "title": _("Request restore of {seats}").format(seats=seats(count)),
            "action": "request_restore",
            "icon": "undo",
            "back": reverse("admin:subscriptions_reclaim_changelist"),
            "requests": len(selection.able),
            "rows": selection.first("subscription", "removal__request"),
            "left_out": selection.left_out,
        }
        return TemplateResponse(request, "admin/subscriptions/reclaim/confirm_restore_request.html", context)


def _make(rows: QuerySet[Reclaim], *, actor: User, reason: str) -> list[ReclaimRequest]:
    return [restores.request_restore(rows, actor=actor, reason=reason)]


def selection_of(chosen: QuerySet[Reclaim], *, actor: User) -> Selection:
    able = restores.restorable(chosen)
    selection = select(able, Operation.RESTORE, email=KeyTextTransform("email", "removal__evidence"), actor=actor)
    others = chosen.annotate(sentence=restores.why_not()).exclude(sentence="")
    for sentence in sorted(set(others.order_by().values_list("sentence", flat=True).distinct())):
        selection.leave_out(others.filter(sentence=sentence), sentence)
    return selection


def _page_of(row: Reclaim) -> str:
    return reverse("admin:subscriptions_reclaim_change", args=[row.pk])
