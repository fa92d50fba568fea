"""The buttons on the page of a request: approve, reject, raise the cap, withdraw, drop a person, and take back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from licensehub.database.clock import database_now
from licensehub.ui.admin import signed_in
from licensehub.ui.formatting import name_of
from licensehub.ui.lists.id_filter import is_id
from subscriptions.accounts.rights import may
from subscriptions.admin.approvals.keeping import Act, KeepForm, KeepPage, choose, kept_people, kept_sentence
from subscriptions.admin.approvals.messages import (
    APPROVED,
    DROPPED,
    REJECTED,
    TAKEN_BACK,
    TAKEN_BACK_IN,
    WITHDRAWN,
    message_for,
)
from subscriptions.admin.approvals.permissions import DECIDE, RAISE, may_decide, permissions_for
from subscriptions.admin.widgets.actions import enqueue_reclaim, run_action
from subscriptions.admin.widgets.counts import people, seats
from subscriptions.admin.widgets.evidence import person_of
from subscriptions.approvals import closing, decide, undo
from subscriptions.approvals.request import raise_cap
from subscriptions.errors import NotActionable
from subscriptions.models import ReclaimRequest, RequestedRemoval
from subscriptions.models.reclaims.request import WAITING
from subscriptions.money.beside import amount_of

NO_REVISION = gettext_lazy(
    "This page does not say which list you saw. Nothing was approved. Reload the page and check again."
)


def approve_view(request: HttpRequest, pk: int) -> HttpResponse:
    row = _request_for(request, pk, DECIDE)

    def do() -> str:
        seen = request.POST.get("revision", "")
        if not is_id(seen):
            raise NotActionable(str(NO_REVISION))
        given = {"comment": _text(request, "comment"), "digest": request.POST.get("digest", "")}
        count = decide.approve(row, actor=signed_in(request), revision=int(seen), **given)
        enqueue_reclaim(request, row.profile_id)
        return message_for(APPROVED, row, seats=seats(count))

    return run_action(request, _page_of(pk), do)


def reject_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the choices first. A POST with a choice rejects."""
    row = _request_for(request, pk, DECIDE)
    may = permissions_for(row, signed_in(request))

    def do(form: KeepForm) -> str:
        count = decide.reject(row, actor=signed_in(request), comment=form.why, keep=form.keep)
        kept = kept_people(row.kept_as, row.kept_until, count) if row.kept_as else ""
        return message_for(REJECTED, row, people=people(count), kept=kept)

    why_not = "" if may.decide else may.why_not or decide.why_closed(row, database_now())
    page = _keep_page(row, Act.REJECT, row.number, row.removals.not_dropped())
    return choose(request, page, do, why_not=why_not)


def take_back_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Take back the rejection of a request."""
    row = _request_for(request, pk, DECIDE)

    def do() -> str:
        count = undo.take_back_rejection(row, actor=signed_in(request))
        return message_for(TAKEN_BACK, row, people=people(count))

    return run_action(request, _page_of(pk), do)


def raise_cap_view(request: HttpRequest, pk: int) -> HttpResponse:
    row = _request_for(request, pk, RAISE)

    def do() -> str:
        people = raise_cap(row, actor=signed_in(request), reason=_text(request, "cap_reason"))
        return _("The cap of {row} is raised to {people} people. A third person now has to decide.").format(
            row=row, people=people
        )

    return run_action(request, _page_of(pk), do)


def withdraw_view(request: HttpRequest, pk: int) -> HttpResponse:
    row = _request_for(request, pk, DECIDE)

    def do() -> str:
        closing.cancel(row, actor=signed_in(request))
        return message_for(WITHDRAWN, row)

    return run_action(request, _page_of(pk), do)


def drop_view(request: HttpRequest, pk: int, removal: int) -> HttpResponse:
    """Show the choices first. A POST with a choice drops the person."""
    row = _request_for(request, pk, DECIDE)
    person = _person(pk, removal)

    def do(form: KeepForm) -> str:
        closing.drop(person, actor=signed_in(request), reason=form.why, keep=form.keep)
        closing.end_empty_requests(ReclaimRequest.objects.filter(pk=pk))
        person.refresh_from_db()
        return message_for(DROPPED, row, person=person, kept=kept_sentence(person.kept_as, person.kept_until))

    waits = row.state in WAITING and person.dropped_at is None
    why_not = (
        "" if waits else _("{person} is no longer part of an open request. Nothing was changed.").format(person=person)
    )
    page = _keep_page(row, Act.DROP, person_of(person.evidence), [person])
    return choose(request, page, do, why_not=why_not)


def take_back_in_view(request: HttpRequest, pk: int, removal: int) -> HttpResponse:
    """A dropped person is in the request again."""
    row = _request_for(request, pk, DECIDE)
    person, user = _person(pk, removal), signed_in(request)

    def do() -> str:
        undo.take_back_in(person, actor=user, decides=may_decide(row, user))
        return message_for(TAKEN_BACK_IN, row, person=person)

    return run_action(request, _page_of(pk), do)


def _person(pk: int, removal: int) -> RequestedRemoval:
    return get_object_or_404(RequestedRemoval.objects.select_related("candidate", "request"), pk=removal, request=pk)


def _keep_page(row: ReclaimRequest, act: Act, who: str, leaving: Iterable[RequestedRemoval]) -> KeepPage:
    seats_left = Counter((row.profile_id, str(removal.evidence["license"])) for removal in leaving)
    cost = amount_of(seats_left)
    return KeepPage(row, act, who, seats_left.total(), name_of(row.requested_by), _page_of(row.pk), cost)


def _request_for(request: HttpRequest, pk: int, permission: str) -> ReclaimRequest:
    """The request, for people with this permission and for its requester. Raises PermissionDenied for others.

    The requester may not decide either: the functions in `subscriptions.approvals` refuse, with a sentence.
    """
    row = get_object_or_404(ReclaimRequest, pk=pk)
    if not may(request.user, permission) and row.requested_by_id != request.user.pk:
        raise PermissionDenied
    return row


def _page_of(pk: int) -> str:
    return reverse("admin:subscriptions_reclaimrequest_change", args=[pk])


def _text(request: HttpRequest, name: str) -> str:
    return request.POST.get(name, "").strip()[:500]
