"""Protections that cover nobody any more: the texts on the pages, and the button *I have looked*."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import IntegrationProfile
from licensehub.ui.admin import signed_in
from licensehub.ui.formatting import day_and_time, number
from licensehub.ui.lists.id_filter import is_id
from subscriptions.admin.widgets.actions import run_action
from subscriptions.models import Protection
from subscriptions.rules.coverage import accept_loss

END = "subscriptions.change_protection"


def lost_list() -> str:
    """The address of the list of these protections."""
    return reverse("admin:subscriptions_protection_changelist") + "?state__exact=lost"


def lost_count(count: int) -> str:
    return ngettext("{} protection covers nobody any more", "{} protections cover nobody any more", count).format(
        number(count)
    )


def lost_in(profile: IntegrationProfile) -> str:
    """A warning for the pages of this profile; empty without such protections."""
    count = Protection.objects.lost().of(profile.pk).count()
    return f"{lost_count(count)}." if count else ""


def lost_context(request: HttpRequest, lost: Sequence[Protection]) -> dict[str, Any]:
    """The context of the template lost.html."""
    if not lost:
        return {"lost": None}
    accept = reverse("admin:subscriptions_protection_accept_loss")
    return {
        "lost": {
            "title": lost_count(len(lost)),
            "since": day_and_time(min(one.lost_at for one in lost if one.lost_at)),
            "covered": sum(one.covered or 0 for one in lost),
            "ids": [str(one.pk) for one in lost],
            "link": lost_list(),
            "may_accept": request.user.has_perm(END),
            "accept_attrs": format_html('formaction="{}"', accept),
        }
    }


def accept_loss_view(request: HttpRequest) -> HttpResponse:
    """A POST has the ids that the page showed as `protection`, so that it confirms only what the user saw."""
    if not request.user.has_perm(END):
        raise PermissionDenied
    ids = [int(pk) for pk in request.POST.getlist("protection") if is_id(pk)]

    def do() -> str:
        count = accept_loss(Protection.objects.filter(pk__in=ids), actor=signed_in(request))
        done = ngettext("{} protection stays as it is.", "{} protections stay as they are.", count)
        return " ".join([done.format(number(count)), _("The rule may file requests by itself again.")])

    return run_action(request, reverse("admin:subscriptions_protection_changelist"), do)
