"""Acts behind buttons: POST only, one permission each, and every refusal becomes one message on the page."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponseRedirect

from integrations.pages import attempt
from subscriptions.candidates import NotActionable
from subscriptions.refusals import Refused
from subscriptions.tasks import reclaim, ring

REFUSALS = (Refused, NotActionable, ValidationError)


def act(request: HttpRequest, back: str, do: Callable[[], str]) -> HttpResponseRedirect:
    """Do it, tell the sentence that `do` returns (or why it was refused), and go back to the page.

    A GET, e.g. of somebody who was sent through the sign-in page, does nothing but go there.
    """
    if request.method == "POST":
        attempt(request, do, refusals=REFUSALS)
    return HttpResponseRedirect(back)


def ring_for_reclaim(request: HttpRequest, profile_id: int) -> None:
    """Wake a worker. The database is the queue: without a broker the sweep finds what is due a little later."""
    if not ring(reclaim, profile_id):
        messages.warning(
            request,
            "The approval stands, but the message broker cannot be reached. The sweep starts the reclaim as soon as "
            "it is back; nothing is lost.",
        )
