"""The card *Evidence pack* of the page *Evidence*: about a request or a person that is typed, or about some days."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from integrations.connectors.contract import english, normalized
from licensehub.ui.admin import sentence_of, signed_in
from licensehub.ui.time_zones import company_day
from subscriptions.admin.evidence import kept_pack_page, packs
from subscriptions.errors import Refused
from subscriptions.evidence.scope import Scope, scope_of_period, scope_of_person, scope_of_request
from subscriptions.models import ReclaimRequest, Subscription
from subscriptions.models.subscription import address_key

NOBODY = english(
    "No request and no person has the name {words}. Enter a number like R-0139, or the address of a person."
)
NO_DAYS = english("Enter a request or a person, or a first and a last day. The last day cannot be before the first.")


def pack_card(request: HttpRequest) -> dict[str, Any]:
    card = packs.card(request, reverse("admin:audit_auditevent_evidence_pack"))
    if not card:
        return {}
    lately = kept_pack_page.packs_lately(signed_in(request))
    return {**card, "today": company_day().isoformat(), "lately": lately}


def pack_of_choice(request: HttpRequest) -> HttpResponseBase:
    back = reverse("admin:audit_auditevent_evidence")
    try:
        scope = chosen_scope(request.POST)
    except Refused as error:
        messages.error(request, sentence_of(error))
        return HttpResponseRedirect(back)
    return packs.pack_response(request, scope, back=back)


def chosen_scope(data: Mapping[str, Any]) -> Scope:
    """Return the scope of the form: `about` a request or a person, or the days `first` to `last`. Raises Refused."""
    about = str(data.get("about", "")).strip()
    if not about:
        return _period(data)
    digits = about.upper().removeprefix("R-")
    number = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 18 else 0
    if found := ReclaimRequest.objects.filter(pk=number).first():
        return scope_of_request(found)
    people = Subscription.objects.order_by("-pk").annotate(address=address_key())
    if person := people.filter(address=normalized(about)).first():
        return scope_of_person(person)
    raise Refused(NOBODY.format(words=about[:100]))


def _period(data: Mapping[str, Any]) -> Scope:
    try:
        first, last = (date.fromisoformat(str(data.get(name, ""))) for name in ("first", "last"))
    except ValueError:
        raise Refused(NO_DAYS) from None
    if not first <= last < date.max:
        raise Refused(NO_DAYS)
    return scope_of_period(first, last)
