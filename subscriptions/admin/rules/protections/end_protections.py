"""End protections: one on its page, or several that are selected in the list."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.admin import ModelAdmin

from licensehub.ui.admin import run_and_report, signed_in
from licensehub.ui.formatting import number
from subscriptions.admin.rules.lost import END
from subscriptions.admin.rules.protections.protect import LIST, effect_message
from subscriptions.admin.widgets.actions import REFUSALS, ValidateSelectionMixin, run_action
from subscriptions.admin.widgets.counts import people
from subscriptions.admin.widgets.selection import NAMED, confirm_context, ticked
from subscriptions.models import Protection
from subscriptions.models.protection import count_people
from subscriptions.rules.protections import end_protection, end_protections

LATER = gettext_lazy("New candidates appear after the next download.")


def protections(count: int) -> str:
    return ngettext("{} protection", "{} protections", count).format(number(count))


def end_view(request: HttpRequest, pk: int) -> HttpResponse:
    if not request.user.has_perm(END):
        raise PermissionDenied
    row = get_object_or_404(Protection.objects.select_related("profile"), pk=pk)

    def do() -> str:
        effect = end_protection(row, actor=signed_in(request))
        done = _("The protection of {row} has ended.").format(row=row)
        return f"{done} {effect_message(effect)} {LATER}"

    return run_action(request, reverse("admin:subscriptions_protection_change", args=[pk]), do)


class EndMixin(ValidateSelectionMixin, ModelAdmin):
    """Put before ModelAdmin of Protection."""

    actions: Sequence[str] | None = ("end_selected",)

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(END)

    @admin.action(description=gettext_lazy("End"), permissions=["end"])
    def end_selected(self, request: HttpRequest, chosen: QuerySet[Protection]) -> HttpResponse | None:
        """Show the protections that would end. A POST from that page has `confirmed`, and ends them."""
        rows = ticked(request, chosen).select_related("profile").order_by("pk")
        in_force = Protection.objects.in_force().filter(pk__in=rows.values("pk")).select_related("profile")
        count = in_force.count()
        if count and request.POST.get("confirmed") == str(count):
            return self._end(request, rows)
        if request.POST.get("confirmed"):
            messages.warning(
                request,
                _("The list has changed: {protections} can be ended now.").format(protections=protections(count)),
            )
        if not count:
            messages.error(request, _("All of these protections have ended already. Nothing was changed."))
            return None
        context = {
            **self.admin_site.each_context(request),
            **confirm_context(request, count),
            "opts": self.model._meta,
            "title": _("End {protections}").format(protections=protections(count)),
            "action": "end_selected",
            "icon": "event_busy",
            "back": reverse(LIST),
            "rows": in_force[:NAMED],
            "ended": rows.count() - count,
            "people": people(sum(count_people(in_force).values())),
        }
        return TemplateResponse(request, "admin/subscriptions/protection/confirm_end.html", context)

    def _end(self, request: HttpRequest, rows: QuerySet[Protection]) -> HttpResponse:
        def do() -> str:
            effect = end_protections(rows, actor=signed_in(request))
            done = _("Ended {protections}.").format(protections=protections(len(effect.made)))
            if effect.already:
                done += " " + _("{count} had ended already.").format(count=number(effect.already))
            return f"{done} {effect_message(effect)} {LATER}"

        run_and_report(request, do, refusals=REFUSALS)
        return HttpResponseRedirect(reverse(LIST))
