"""The scope of one evidence pack: one request, one person, or one period.

For a reader whose roles hold for some profiles only, it has the rows of these profiles and the events about such rows.

The events that say that a pack was made or downloaded are in no pack. Else a second pack of the same state would be
another file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final

from django.apps import apps
from django.db.models import ForeignKey, IntegerField, Max, Min, Model, Q, QuerySet
from django.utils import timezone

from integrations.connectors.contract import normalized
from integrations.scopes.visibility import ProfileManager, Profiles, seen_by, visible
from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent
from subscriptions.activity.person_rows import rows_of_person
from subscriptions.models import (
    Notice,
    Protection,
    ProtectionKind,
    Reclaim,
    ReclaimRequest,
    RemovalCandidate,
    RequestedRemoval,
    Subscription,
)

# A pack with more is made by a worker. The extract has a line for each event between the first and the last one.
LONG_PEOPLE: Final = 200
LONG_EVENTS: Final = 5000
OF_PACKS: Final = (Action.EVIDENCE_PACK_MADE, Action.EVIDENCE_PACK_DOWNLOADED)


class Subject(StrEnum):
    REQUEST = "request"
    PERSON = "person"
    PERIOD = "period"


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows of one pack. `name` is a part of the file's name; `target` is the row that the pack is about.

    `profiles` are those of its reader; None for all. A restore, and a request that repeats a send in doubt, belong to
    the request that they follow.
    """

    subject: Subject
    name: str
    requests: QuerySet[ReclaimRequest]
    removals: QuerySet[RequestedRemoval]
    events: QuerySet[AuditEvent]
    profiles: Profiles
    target: Model | None = None
    days: tuple[date, date] | None = None

    @property
    def reclaims(self) -> QuerySet[Reclaim]:
        return Reclaim.objects.filter(removal__in=self.removals.order_by().values("pk")).order_by("pk")

    @property
    def notices(self) -> QuerySet[Notice]:
        return Notice.objects.filter(removal__in=self.removals.order_by().values("pk")).order_by("pk")

    def last_event(self) -> int:
        """The sequence of the newest event of this scope; 0 without any."""
        return self.events.order_by().aggregate(last=Max("sequence"))["last"] or 0

    def is_long(self) -> bool:
        """Whether its pack may take longer than a page: many people, or events that are far apart in the chain."""
        if self.removals.order_by()[LONG_PEOPLE : LONG_PEOPLE + 1].exists():
            return True
        ends = self.events.order_by().aggregate(first=Min("sequence"), last=Max("sequence"))
        return (ends["last"] or 0) - (ends["first"] or 0) > LONG_EVENTS


def scope_of_request(request: ReclaimRequest) -> Scope:
    requests = ReclaimRequest.objects.filter(pk__in=_with_followers({request.pk})).order_by("pk")
    removals = RequestedRemoval.objects.filter(request__in=requests.order_by().values("pk")).order_by("pk")
    candidates = RemovalCandidate.objects.filter(removals__in=removals.order_by().values("pk"))
    about = _about(ReclaimRequest, requests) | _about(Reclaim, Reclaim.objects.filter(removal__in=_ids(removals)))
    events = _events(about | _about(RemovalCandidate, candidates))
    return Scope(Subject.REQUEST, request.number, requests, removals, events, visible(), request)


def scope_of_person(row: Subscription) -> Scope:
    """The scope has all rows of this person: one who was deleted and made again has several."""
    rows = rows_of_person(row)
    ids = [one.pk for one in rows]
    candidates = RemovalCandidate.objects.filter(subscription__in=ids)
    removals = RequestedRemoval.objects.filter(candidate__in=_ids(candidates)).order_by("pk")
    requests = ReclaimRequest.objects.filter(removals__in=_ids(removals)).distinct().order_by("pk")
    people = Subscription.objects.filter(pk__in=ids)
    about = _about(Subscription, people) | _about(RemovalCandidate, candidates) | _about(ReclaimRequest, requests)
    about |= _about(Reclaim, Reclaim.objects.filter(subscription__in=ids))
    events = _events(about | _about(Protection, protections_of_person(rows)))
    return Scope(Subject.PERSON, f"person-{row.external_id}", requests, removals, events, visible(), row)


def scope_of_period(first: date, last: date) -> Scope:
    """From the begin of the first day to the end of the last one, in the time zone of the company.

    The requests that were made or decided in it, or of which something was sent in it; and all events in it, e.g. about
    accounts. For a reader with some profiles: the events about rows of these profiles.
    """
    begin, end = _begin(first), _begin(last + timedelta(days=1))
    sent = Reclaim.objects.filter(Q(sending_at__gte=begin, sending_at__lt=end) | _within("finished_at", begin, end))
    of_period = _within("requested_at", begin, end) | _within("decided_at", begin, end)
    requests = ReclaimRequest.objects.filter(of_period | Q(pk__in=sent.order_by().values("removal__request")))
    removals = RequestedRemoval.objects.filter(request__in=_ids(requests)).order_by("pk")
    name = f"{first:%Y-%m-%d}-to-{last:%Y-%m-%d}"
    profiles, of_days = visible(), _within("at", begin, end)
    events = _events(of_days if profiles is None else of_days & _about_profiles(profiles))
    return Scope(Subject.PERIOD, name, requests.order_by("pk"), removals, events, profiles, days=(first, last))


def protections_of_person(rows: list[Subscription]) -> QuerySet[Protection]:
    """Protections that name this person, in force or not."""
    ids = Q(external_id__in=[row.external_id for row in rows])
    addresses = Q(value__in=[normalized(row.email) for row in rows if row.email])
    profiles = {row.profile_id for row in rows}
    return Protection.objects.filter(ids | addresses, kind=ProtectionKind.PERSON, profile__in=profiles).order_by("pk")


def _with_followers(known: set[int]) -> set[int]:
    """The requests that restore what these have reclaimed, or that repeat what they have sent."""
    follows = Q(removals__restores__removal__request__in=known) | Q(repeats__removal__request__in=known)
    found = known | set(ReclaimRequest.objects.filter(follows).order_by().values_list("pk", flat=True))
    return known if found == known else _with_followers(found)


def _events(which: Q) -> QuerySet[AuditEvent]:
    return AuditEvent.objects.filter(which).exclude(action__in=OF_PACKS).order_by("sequence")


def _about(model: type[Model], rows: QuerySet[Any]) -> Q:
    return Q(target_type=model._meta.label_lower, target_id__in=_ids(rows))


def _about_profiles(profiles: frozenset[int]) -> Q:
    """The events about rows of these profiles, of any model. An event has one number for its row."""
    found = Q(pk__in=[])
    with seen_by(lambda: profiles):
        for model in apps.get_models():
            if isinstance(model._default_manager, ProfileManager) and _has_a_number(model):
                found |= _about(model, model._default_manager.all())
    return found


def _has_a_number(model: type[Model]) -> bool:
    key = model._meta.pk
    return isinstance(key.target_field if isinstance(key, ForeignKey) else key, IntegerField)


def _ids(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows.order_by().values("pk")


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=timezone.get_default_timezone())


def _within(column: str, begin: datetime, end: datetime) -> Q:
    return Q(**{f"{column}__gte": begin, f"{column}__lt": end})
