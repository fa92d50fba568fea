"""The digest of a request: what it asks for, and each person in it, as it was when somebody asked for it.

The audit event of the request carries it, and each later event of a change that LicenseHub itself made: a person was
dropped or taken back in, the cap was raised, the answers are in. An approval computes it again from the rows. A
difference means that somebody changed rows outside of LicenseHub.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple, Self

from licensehub.audit.actions import Action
from licensehub.audit.chain.offline_verifier import canonical
from licensehub.audit.chain.signed import NotSigned, newest_signed
from licensehub.audit.models import AuditEvent
from subscriptions.bulk_sql import planned_for
from subscriptions.candidates.locks import lock_audit
from subscriptions.models import ReclaimRequest, RequestedRemoval

# The events of a request that carry its digests.
CARRIES_DIGEST = (
    Action.REQUEST_OPENED,
    Action.RESTORE_REQUESTED,
    Action.REQUEST_READY,
    Action.REQUEST_CAP_RAISED,
    Action.PERSON_DROPPED,
    Action.PERSON_TAKEN_BACK_IN,
    Action.REJECTION_TAKEN_BACK,
    Action.REQUEST_APPROVED,
    Action.REQUEST_REJECTED,
)
CHUNK = 2000  # people


class RequestedPerson(NamedTuple):
    """One person of a request, as the row has it. The first six never change; the digest of the people covers them."""

    pk: int
    candidate_id: int
    subscription_id: int
    external_id: str
    restores_id: int | None
    evidence: str  # canonical JSON, which is computed once for the digest and for the signature
    name: str
    license: str
    is_dropped: bool

    @classmethod
    def of(cls, row: tuple[Any, ...]) -> Self:
        pk, candidate_id, subscription_id, external_id, restores_id, evidence, dropped_at = row
        # Somebody may have put anything into the row. The comparison finds it.
        facts = evidence if isinstance(evidence, dict) else {}
        return cls(
            pk,
            candidate_id,
            subscription_id,
            external_id,
            restores_id,
            evidence=canonical(evidence),
            name=str(facts.get("name") or facts.get("email") or f"Member {external_id}"),
            license=facts.get("license", ""),
            is_dropped=dropped_at is not None,
        )

    @property
    def frozen(self) -> str:
        """The `canonical` list of the first six columns."""
        restores = "null" if self.restores_id is None else self.restores_id
        ids = f"{self.pk},{self.candidate_id},{self.subscription_id},{canonical(self.external_id)},{restores}"
        return f"[{ids},{self.evidence}]"


class RequestRows(NamedTuple):
    """All people who ever were in a request, read once, and the digests of what was read."""

    people: list[RequestedPerson]
    people_digest: str
    digest: str

    @classmethod
    def of(cls, request: ReclaimRequest, people: Iterable[RequestedPerson]) -> Self:
        """`people` is everybody who ever was in the request, by the ids of the rows."""
        known = list(people)
        found = people_digest(known)
        dropped = (person.pk for person in known if person.is_dropped)
        return cls(known, found, request_digest(request, found, dropped))

    @property
    def not_dropped(self) -> list[RequestedPerson]:
        return [person for person in self.people if not person.is_dropped]


def people_of(request: ReclaimRequest) -> Iterator[RequestedPerson]:
    """Everybody who ever was in the request."""
    columns = (
        "pk",
        "candidate_id",
        "candidate__subscription_id",
        "candidate__subscription__external_id",
        "restores_id",
        "evidence",
        "dropped_at",
    )
    rows = request.removals.order_by("pk").values_list(*columns)
    with planned_for(request.removals.count()):
        yield from map(RequestedPerson.of, rows.iterator(chunk_size=CHUNK))


def people_digest(people: Iterable[RequestedPerson]) -> str:
    """SHA-256 over everybody who ever was in the request: ids, the vendor's id, the frozen evidence, what it restores.

    64 hexadecimal digits.
    """
    digest = sha256()
    for person in people:
        digest.update(person.frozen.encode())
    return digest.hexdigest()


def rows_of(request: ReclaimRequest) -> RequestRows:
    return RequestRows.of(request, people_of(request))


def request_digest(request: ReclaimRequest, people: str, dropped: Iterable[int]) -> str:
    """SHA-256 over the head of the request, the digest of its people, and who of them is dropped. 64 digits."""
    content = [
        request.pk,
        request.direction,
        request.profile_id,
        request.requested_by_id,
        request.cap,
        request.cap_raised_by_id,
        request.reason,
        request.repeats_id,
        people,
        sorted(dropped),
    ]
    return sha256(canonical(content).encode()).hexdigest()


def dropped_from(request: ReclaimRequest) -> set[int]:
    """The ids of the dropped people, as the rows have them."""
    return set(request.removals.filter(dropped_at__isnull=False).order_by().values_list("pk", flat=True))


def first_digests(request: ReclaimRequest) -> dict[str, str]:
    """The details that the first event of a request carries."""
    people = people_digest(people_of(request))
    return {"people_digest": people, "digest": request_digest(request, people, ())}


def next_digests(
    request: ReclaimRequest,
    *,
    dropped: Iterable[int] = (),
    back: Iterable[int] = (),
    former: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """The details that the event of a change carries, after the change was written.

    `dropped` and `back` are the people (ids) whom this change drops or takes back in, `former` the columns of the
    request before it. Rows that somebody else has changed before are never signed: then the digest is empty.
    """
    lock_audit()
    row, now = ReclaimRequest.objects.get(pk=request.pk), dropped_from(request)
    signed = signed_digests(request) or {"people_digest": "", "digest": ""}
    people = signed["people_digest"]
    digest = request_digest(row, people, now)
    for column, value in (former or {}).items():
        setattr(row, column, value)
    is_intact = request_digest(row, people, (now - set(dropped)) | set(back)) == signed["digest"]
    return {"people_digest": people, "digest": digest if is_intact else ""}


def signed_digests(request: ReclaimRequest) -> dict[str, Any] | None:
    """The details of the newest event with digests; None without one, or if somebody has changed it."""
    events = AuditEvent.objects.filter(target_type=ReclaimRequest._meta.label_lower, target_id=request.pk)
    try:
        newest = newest_signed(events.filter(action__in=CARRIES_DIGEST).order_by("-sequence")[:1])
    except NotSigned:
        return None
    return newest.data if newest and "digest" in newest.data else None


def shown_digest(request: ReclaimRequest, removals: Iterable[RequestedRemoval]) -> str:
    """The digest of the rows that a page shows: everybody in the request, each with candidate and subscription."""
    people = []
    for row in sorted(removals, key=lambda removal: removal.pk):
        subscription = row.candidate.subscription
        ids = (row.pk, row.candidate_id, subscription.pk, subscription.external_id, row.restores_id)
        people.append(RequestedPerson.of((*ids, row.evidence, row.dropped_at)))
    return RequestRows.of(request, people).digest


def is_as_signed(request: ReclaimRequest, rows: RequestRows) -> bool:
    """Whether the digests of the rows are those of the newest signed event. The caller holds `lock_audit`."""
    signed = signed_digests(request)
    return signed is not None and (rows.people_digest, rows.digest) == (signed["people_digest"], signed["digest"])


def approval_of(request: ReclaimRequest) -> dict[str, str]:
    """The details of a decision that a send compares with the row; without `valid_until` if it is not approved."""
    moments = {"decided_at": request.decided_at, "valid_until": request.valid_until}
    return {name: moment.isoformat() for name, moment in moments.items() if moment}
