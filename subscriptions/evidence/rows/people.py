"""Compare the people of requests with the audit: who was requested, dropped, and taken back in, and their answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from contextlib import nullcontext
from datetime import datetime
from hashlib import sha256
from itertools import groupby
from typing import Any, NamedTuple

from licensehub.audit.actions import Action
from licensehub.audit.chain.signed import is_genuine
from licensehub.audit.models import AuditEvent
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.bulk_sql import FEW, large_tables
from subscriptions.candidates.request_digest import CARRIES_DIGEST, RequestedPerson, request_digest
from subscriptions.candidates.signed_answers import NO_ANSWER, SignedAnswer, answer_in
from subscriptions.evidence.rows.findings import RowFinding
from subscriptions.models import ReclaimRequest, RemovalCandidate, RequestedRemoval, RequestState
from subscriptions.reclaims.signed.signatures import has_signature_of

REQUESTS_AT_ONCE = 200
CHUNK = 2000  # people
PERSON, REQUEST = RequestedRemoval._meta.label_lower, ReclaimRequest._meta.label_lower


# By candidate and number of the request, with the sequence of the event.
Answers = dict[tuple[int, str], tuple[SignedAnswer, int]]


class Shown(NamedTuple):
    """The columns of one person. The names are those of the query."""

    request_id: int
    pk: int
    candidate_id: int
    candidate__subscription_id: int
    candidate__subscription__external_id: str
    restores_id: int | None
    evidence: dict[str, Any]
    answer: str
    answered_at: datetime | None
    dropped_at: datetime | None
    dropped_by_id: int | None
    reclaim__signature: str | None

    @property
    def frozen(self) -> str:
        """The text that the digest of the people covers."""
        return RequestedPerson.of((*self[1:7], self.dropped_at)).frozen


class Dropped(NamedTuple):
    """The newest event about a person who was dropped or taken back in."""

    dropped: bool
    by: int | None
    sequence: int


class Audited:
    """The values that the events have for the people of some requests. Texts that were erased have none."""

    def __init__(self, requests: list[ReclaimRequest], candidates: IdList, erased_people: Set[int]) -> None:
        self.erased_people = erased_people
        self.dropped: dict[int, Dropped] = {}
        self.digests: dict[int, AuditEvent] = {}
        self.erased: set[int] = set()
        ids = IdList.of(row.pk for row in requests)
        of_requests = AuditEvent.objects.filter(IdIn("target_id", ids), target_type=REQUEST, action__in=CARRIES_DIGEST)
        with large_tables():
            for event in of_requests.order_by("sequence").iterator(chunk_size=CHUNK):
                self._add(event)
            self.answers, _erased = _signed_answers(candidates)

    def _add(self, event: AuditEvent) -> None:
        if not is_genuine(event):
            return  # the comparison of requests reports it
        if not event.data:
            self.erased.add(event.target_id)
            return
        if "digest" in event.data:
            self.digests[event.target_id] = event
        if event.action in (Action.PERSON_DROPPED, Action.PERSON_TAKEN_BACK_IN) and "removal" in event.data:
            out = event.action == Action.PERSON_DROPPED
            by = event.actor_id if out else None
            self.dropped[event.data["removal"]] = Dropped(out, by, event.sequence)


def _signed_answers(candidates: IdList) -> tuple[Answers, set[int]]:
    """The newest answer of each candidate in each request, and the candidates with an answer whose text was erased."""
    answers: Answers = {}
    erased = set()
    answered = AuditEvent.objects.filter(
        IdIn("target_id", candidates), target_type=RemovalCandidate._meta.label_lower, action=Action.PERSON_ANSWERED
    )
    for event in answered.order_by("sequence").iterator(chunk_size=CHUNK):
        if not is_genuine(event):
            continue
        if event.data:
            answers[event.target_id, event.data["request"]] = (answer_in(event), event.sequence)
        else:
            erased.add(event.target_id)
    return answers, erased


def erased_people() -> set[int]:
    """The ids of the subscriptions whose person LicenseHub has erased. Their evidence is empty then."""
    events = AuditEvent.objects.filter(action=Action.PERSON_ERASED).iterator(chunk_size=CHUNK)
    return {event.target_id for event in events if is_genuine(event)}


def verify_people() -> Iterator[RowFinding]:
    """All differences in the people of all requests, some hundred requests at a time."""
    before, erased = 0, erased_people()
    while requests := list(ReclaimRequest.objects.filter(pk__gt=before).order_by("pk")[:REQUESTS_AT_ONCE]):
        yield from _differing(requests, erased)
        before = requests[-1].pk


def findings_of_answers(request: ReclaimRequest, people: Iterable[RequestedRemoval]) -> dict[int, list[RowFinding]]:
    """Return the answers that were changed outside of LicenseHub, by the id of the person's row. One query."""
    candidates = IdList.of(person.candidate_id for person in people)
    with large_tables() if candidates.number > FEW else nullcontext():
        answers, erased = _signed_answers(candidates)
    found: dict[int, list[RowFinding]] = {}
    for person in people:
        if person.candidate_id in erased or "erased" in person.evidence:
            continue
        if differing := list(_compare_answer(person.pk, person.candidate_id, _given(person), request, answers)):
            found[person.pk] = differing
    return found


def _differing(requests: list[ReclaimRequest], erased: Set[int]) -> Iterator[RowFinding]:
    by_pk = {row.pk: row for row in requests}
    people = RequestedRemoval.objects.filter(IdIn("request", IdList.of(by_pk)))
    audited = Audited(requests, IdList.of(people.order_by().values_list("candidate", flat=True)), erased)
    with large_tables():
        shown = people.order_by("request_id", "pk").values_list(*Shown._fields).iterator(chunk_size=CHUNK)
        for pk, group in groupby((Shown(*row) for row in shown), key=lambda person: person.request_id):
            yield from _compare(by_pk.pop(pk), group, audited)
    for row in by_pk.values():
        yield from _compare(row, (), audited)


def _compare(request: ReclaimRequest, people: Iterable[Shown], audited: Audited) -> Iterator[RowFinding]:
    digest, dropped, is_erased = sha256(), list[int](), request.pk in audited.erased
    for person in people:
        if person.candidate__subscription_id in audited.erased_people:
            is_erased = True
            continue
        digest.update(person.frozen.encode())
        if person.dropped_at:
            dropped.append(person.pk)
        if request.pk not in audited.erased:
            yield from _compare_person(person, request, audited)
    newest = audited.digests.get(request.pk)
    if newest is None or is_erased:
        return
    if newest.data["people_digest"] != digest.hexdigest():
        yield RowFinding(REQUEST, request.pk, "people", digest.hexdigest(), newest.data["people_digest"], newest.pk)
    elif newest.data["digest"] != (found := request_digest(request, digest.hexdigest(), dropped)):
        yield RowFinding(REQUEST, request.pk, "digest", found, newest.data["digest"], newest.pk)


def _compare_person(person: Shown, request: ReclaimRequest, audited: Audited) -> Iterator[RowFinding]:
    is_dropped = person.dropped_at is not None
    said = audited.dropped.get(person.pk, Dropped(False, None, 0))
    if is_dropped != said.dropped:
        yield RowFinding(PERSON, person.pk, "dropped", is_dropped, said.dropped, said.sequence or None)
    elif person.dropped_by_id != said.by:
        yield RowFinding(PERSON, person.pk, "dropped_by_id", person.dropped_by_id, said.by, said.sequence)
    yield from _compare_answer(person.pk, person.candidate_id, _given(person), request, audited.answers)
    approved = request.state == RequestState.APPROVED and not is_dropped
    signature = person.reclaim__signature or ""
    if approved and not has_signature_of(person, request, signature):
        yield RowFinding(PERSON, person.pk, "signature", signature, "another", None)


def _compare_answer(
    pk: int, candidate: int, given: SignedAnswer, request: ReclaimRequest, answers: Answers
) -> Iterator[RowFinding]:
    answer, sequence = answers.get((candidate, request.number), (NO_ANSWER, 0))
    if given != answer:
        shown, signed = (f"{one} {at.isoformat(' ', 'seconds') if at else ''}".strip() for one, at in (given, answer))
        yield RowFinding(PERSON, pk, "answer", shown, signed, sequence or None)


def _given(person: Shown | RequestedRemoval) -> SignedAnswer:
    return SignedAnswer(person.answer, person.answered_at)
