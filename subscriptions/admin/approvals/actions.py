"""The buttons on the page of a request: approve, reject, raise the cap, withdraw, drop a person."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from licensehub.ui.admin import signed_in
from subscriptions.admin.approvals.messages import APPROVED, DROPPED, REJECTED, WITHDRAWN, message_for
from subscriptions.admin.approvals.permissions import DECIDE, RAISE
from subscriptions.admin.widgets.actions import enqueue_reclaim, run_action
from subscriptions.admin.widgets.counts import seats
from subscriptions.approvals import closing, decide
from subscriptions.approvals.request import raise_cap
from subscriptions.models import ReclaimRequest, RequestedRemoval


def approve_view(request: HttpRequest, pk: int) -> HttpResponse:
    row = _request_for(request, pk, DECIDE)

    def do() -> str:
        count = decide.approve(row, actor=signed_in(request), comment=_text(request, "comment"))
        enqueue_reclaim(request, row.profile_id)
        return message_for(APPROVED, row, seats=seats(count))

    return run_action(request, _page_of(pk), do)


def reject_view(request: HttpRequest, pk: int) -> HttpResponse:
    row = _request_for(request, pk, DECIDE)

    def do() -> str:
        count = decide.reject(row, actor=signed_in(request), comment=_text(request, "comment"))
        return message_for(REJECTED, row, seats=seats(count))

    return run_action(request, _page_of(pk), do)


def raise_cap_view(request: HttpRequest, pk: int) -> HttpResponse:
    row = _request_for(request, pk, RAISE)

    def do() -> str:
        people = raise_cap(row, actor=signed_in(request), reason=_text(request, "cap_reason"))
        return f"The cap of {row} is raised to {people} people. A third person now has to decide."

    return run_action(request, _page_of(pk), do)


def withdraw_view(request: HttpRequest, pk: int) -> HttpResponse:
    row = _request_for(request, pk, DECIDE)

    def do() -> str:
        closing.cancel(row, actor=signed_in(request))
        return message_for(WITHDRAWN, row)

    return run_action(request, _page_of(pk), do)


def drop_view(request: HttpRequest, pk: int, removal: int) -> HttpResponse:
    _request_for(request, pk, DECIDE)
    person = get_object_or_404(RequestedRemoval.objects.select_related("candidate", "request"), pk=removal, request=pk)

    def do() -> str:
        closing.drop(person, actor=signed_in(request))
        closing.end_empty_requests(ReclaimRequest.objects.filter(pk=pk))
        return message_for(DROPPED, person.request, person=person)

    return run_action(request, _page_of(pk), do)


def _request_for(request: HttpRequest, pk: int, permission: str) -> ReclaimRequest:
    """The request, for people with this permission and for its requester. Raises PermissionDenied for others.

    The requester may not decide either: the functions in `subscriptions.approvals` refuse, with a sentence.
    """
    row = get_object_or_404(ReclaimRequest, pk=pk)
    if not request.user.has_perm(permission) and row.requested_by_id != request.user.pk:
        raise PermissionDenied
    return row


def _page_of(pk: int) -> str:
    return reverse("admin:subscriptions_reclaimrequest_change", args=[pk])


def _text(request: HttpRequest, name: str) -> str:
    return request.POST.get(name, "").strip()[:500]
