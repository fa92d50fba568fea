"""Actions behind buttons: they need a POST, and each refusal becomes a message on the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin

from licensehub.ui.admin import run_and_report
from licensehub.ui.lists.id_filter import is_id
from subscriptions.errors import NotActionable, Refused
from subscriptions.tasks import enqueue_task, reclaim

REFUSALS = (Refused, NotActionable, ValidationError)


class ValidateSelectionMixin(ModelAdmin):
    """Refuses invalid ids with a sentence. Django would fail on them."""

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        if all(is_id(pk) for pk in request.POST.getlist("_selected_action")):
            return super().response_action(request, queryset)
        messages.error(request, _("This selection is not valid. Select the people in the list again."))
        return HttpResponseRedirect(request.get_full_path())


def run_action(request: HttpRequest, back: str, do: Callable[[], str]) -> HttpResponseRedirect:
    """Run `do`, show its sentence or the refusal as a message, and redirect to the page at `back`.

    A GET, e.g. after a redirect through the sign-in page, only redirects.
    """
    if request.method == "POST":
        run_and_report(request, do, refusals=REFUSALS)
    return HttpResponseRedirect(back)


def enqueue_reclaim(request: HttpRequest, profile_id: int) -> None:
    """Start a worker. Without a broker, the sweep finds what is due a little later: the database is the queue."""
    if not enqueue_task(reclaim, profile_id):
        messages.warning(
            request,
            _(
                "The approval stands, but the message broker cannot be reached. The sweep sends what is due as soon "
                "as it is back; nothing is lost."
            ),
        )
