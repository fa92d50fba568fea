"""*Personal data* on the page of a person: export everything, and ask for the erasure."""

from __future__ import annotations

from tempfile import TemporaryFile
from typing import Any

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from licensehub.ui.admin import refuse_unless_post, signed_in
from licensehub.ui.formatting import day
from subscriptions.admin.widgets.actions import run_action
from subscriptions.models import Erasure, Subscription
from subscriptions.privacy.erase import ask_for_erasure, why_not
from subscriptions.privacy.export import export_person
from subscriptions.privacy.person import Person

PERMISSION = "subscriptions.erase_person"
NAME = "subscriptions_subscription_"


def urls(view: Any) -> list[URLPattern]:
    return [
        path("<int:pk>/personal-data/", view(export_view), name=f"{NAME}personal_data"),
        path("<int:pk>/erase/", view(erase_view), name=f"{NAME}erase"),
    ]


def card(row: Subscription, rows: list[Subscription], request: HttpRequest) -> dict[str, Any]:
    """The context of templates/admin/subscriptions/subscription/personal_data.html; empty without the right.

    `rows` are all rows of this person.
    """
    if not request.user.has_perm(PERMISSION):
        return {}
    person = Person(rows)
    found = Erasure.objects.filter(subscription__in=person.ids).order_by("-pk").first()
    asked = found is not None and found.done_at is None
    return {
        "personal_data": {
            "why_not": "" if asked else why_not(person),
            "asked": day(found.requested_at) if found and asked else "",
            "problem": found.problem if found and asked else "",
            "erased": day(found.done_at) if found and found.done_at and not row.email and not row.name else "",
        }
    }


def export_view(request: HttpRequest, pk: int) -> HttpResponseBase:
    if refusal := refuse_unless_post(request, PERMISSION):
        return refusal
    row = get_object_or_404(Subscription.objects.select_related("profile"), pk=pk)
    file = TemporaryFile()  # noqa: SIM115 - the response closes it
    language = (get_language() or settings.DEFAULT_LANGUAGE)[:2]
    name = export_person(row, file, language=language, actor=signed_in(request))
    file.seek(0)
    return FileResponse(file, as_attachment=True, filename=name, content_type="application/zip")


def erase_view(request: HttpRequest, pk: int) -> HttpResponse:
    if refusal := refuse_unless_post(request, PERMISSION):
        return refusal
    row = get_object_or_404(Subscription.objects.select_related("profile"), pk=pk)

    def ask() -> str:
        ask_for_erasure(row, actor=signed_in(request), reason=request.POST.get("reason", ""))
        return _("You have asked for the erasure. An operator carries it out with the command erase_people.")

    return run_action(request, reverse(f"admin:{NAME}change", args=[pk]), ask)
