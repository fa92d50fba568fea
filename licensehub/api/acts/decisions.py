"""Make requests, decide on them, and restore: by the functions of the screens, which check everything themselves."""

from __future__ import annotations

from typing import Annotated, Any

from django.db import transaction
from django.http import HttpRequest
from ninja import Schema
from pydantic import Field

from licensehub.api.access.caller import Caller, caller_of
from licensehub.api.acts import once
from licensehub.api.problems import Problem
from licensehub.api.reading.rows import Id, one_for, rows_for
from licensehub.api.router import router
from subscriptions import tasks
from subscriptions.accounts.rights import DECIDE
from subscriptions.admin.approvals.permissions import REQUEST
from subscriptions.approvals import closing, decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Reclaim, ReclaimRequest, RemovalCandidate
from subscriptions.reclaims import restores

TAGS = ["Decisions"]
RESTORE = "subscriptions.restore_reclaimrequest"
Ids = Annotated[list[Id], Field(min_length=1, max_length=5000)]
Text = Annotated[str, Field(max_length=500)]


class NewRequest(Schema):
    """The candidates of one profile. All of them must be Ready; if one is not, nothing is requested."""

    candidates: Ids
    reason: Text = ""


class Approval(Schema):
    """`revision` and `digest` are those of the request as it was read: the decision is about that list of people."""

    revision: Annotated[int, Field(ge=0, le=2**31 - 1)]
    digest: Annotated[str, Field(min_length=64, max_length=64)]
    comment: Text = ""


class Rejection(Schema):
    comment: Annotated[str, Field(min_length=1, max_length=500)]


class Reason(Schema):
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class Restores(Reason):
    """Sends of one profile, by their ids in the history."""

    reclaims: Ids


class Done(Schema):
    """The request of the act, and how many people it concerns."""

    request: int
    number: str
    state: str
    people: int


def _done(row: ReclaimRequest, people: int) -> Done:
    row.refresh_from_db()
    return Done(request=row.pk, number=row.number, state=row.state, people=people)


def all_of(rows: Any, wanted: list[int], place: str) -> Any:
    """The rows with these ids. Raises a Problem that names those which the token does not see."""
    found = rows.filter(pk__in=wanted).order_by()
    missing = sorted(set(wanted) - set(found.values_list("pk", flat=True)))
    if missing:
        detail = f"Not found: {', '.join(map(str, missing[:20]))}."
        raise Problem(422, errors=[{"place": place, "detail": detail}])
    return found


def send_soon(profile_id: int) -> None:
    """Enqueue the reclaims of a profile after the commit. Without a broker, the sweep enqueues them a little later."""
    transaction.on_commit(lambda: tasks.enqueue_task(tasks.reclaim, profile_id))


@router.post("/requests", tags=TAGS, response=Done, summary="Request the reclaim of candidates; another person decides")
def make_request(request: HttpRequest, sent: NewRequest) -> Any:
    caller = caller_of(request)
    caller.refuse_without(REQUEST)

    def act() -> Done:
        wanted = sorted(set(sent.candidates))
        chosen = RemovalCandidate.objects.filter(
            pk__in=all_of(rows_for(request, RemovalCandidate), wanted, "body.candidates").values("pk")
        )
        with transaction.atomic():
            made = request_reclaim(chosen, actor=caller.user, reason=sent.reason.strip())
            people = made.removals.count()
            if people != len(wanted):
                detail = f"Only {people} of {len(wanted)} candidates are Ready. Nothing was requested; read them again."
                raise Problem(409, "not_all_ready", detail)
        return _done(made, people)

    return once.do(request, act)


@router.post("/requests/{pk}/approve", tags=TAGS, response=Done, summary="Approve a request, as a second person")
def approve(request: HttpRequest, pk: Id, sent: Approval) -> Any:
    """Only a token of a person, for some hours after its owner proved a second factor for it."""
    caller, row = _deciding(request), one_for(request, ReclaimRequest, pk)

    def act() -> Done:
        given = {"comment": sent.comment.strip(), "revision": sent.revision, "digest": sent.digest}
        people = decide.approve(row, actor=caller.user, **given)  # type: ignore[arg-type]  # as the schema says
        send_soon(row.profile_id)
        return _done(row, people)

    return once.do(request, act)


@router.post("/requests/{pk}/reject", tags=TAGS, response=Done, summary="Reject a request, as a second person")
def reject(request: HttpRequest, pk: Id, sent: Rejection) -> Any:
    """Its people are Ready again."""
    caller, row = _deciding(request), one_for(request, ReclaimRequest, pk)
    return once.do(request, lambda: _done(row, decide.reject(row, actor=caller.user, comment=sent.comment)))


def _deciding(request: HttpRequest) -> Caller:
    caller = caller_of(request)
    caller.refuse_without(DECIDE)
    caller.refuse_without_proof()
    return caller


@router.post("/requests/{pk}/withdraw", tags=TAGS, response=Done, summary="Withdraw an own request")
def withdraw(request: HttpRequest, pk: Id) -> Any:
    caller, row = caller_of(request), one_for(request, ReclaimRequest, pk)
    caller.refuse_without(REQUEST)

    def act() -> Done:
        people = row.removals.not_dropped().count()
        closing.cancel(row, actor=caller.user)
        return _done(row, people)

    return once.do(request, act)


@router.post("/history/{pk}/restore", tags=TAGS, response=Done, summary="Restore one person")
def restore(request: HttpRequest, pk: Id, sent: Reason) -> Any:
    """At once, as on the screen. The restore of several needs a second person."""
    caller, row = caller_of(request), one_for(request, Reclaim, pk)
    caller.refuse_without(RESTORE)

    def act() -> Done:
        queued = restores.restore(row, actor=caller.user, reason=sent.reason)
        send_soon(row.profile_id)
        return _done(ReclaimRequest.objects.get(removals__reclaim=queued), 1)

    return once.do(request, act)


@router.post("/restore-requests", tags=TAGS, response=Done, summary="Request the restore of several people")
def request_restore(request: HttpRequest, sent: Restores) -> Any:
    """Another person decides."""
    caller = caller_of(request)
    caller.refuse_without(RESTORE)

    def act() -> Done:
        known = all_of(rows_for(request, Reclaim), sorted(set(sent.reclaims)), "body.reclaims")
        chosen = Reclaim.objects.filter(pk__in=list(known.values_list("pk", flat=True)))
        made = restores.request_restore(chosen, actor=caller.user, reason=sent.reason)
        return _done(made, made.removals.count())

    return once.do(request, act)
