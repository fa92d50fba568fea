"""The people of a request to reclaim: the table, the figures above it, and what the list is based on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from licensehub.translations.stored import translated
from licensehub.ui.csv_file import Column, Moment
from licensehub.ui.formatting import day, name_of
from subscriptions.activity.confirmation import LOOKED_UP, Confirmation, confirmation_of, newest_runs
from subscriptions.activity.reactivation import let_back_in, times_let_back_in
from subscriptions.admin.approvals.answers import Reply, reply_of
from subscriptions.admin.approvals.keeping import kept_sentence
from subscriptions.admin.widgets.badges import outcome_sentence, reclaim_badge
from subscriptions.admin.widgets.evidence import (
    Change,
    admin_roles,
    change_since,
    fingerprint,
    last_activity,
    license_label,
    moment,
    name_and_email_now,
    now_called,
    person_of,
    run_number,
)
from subscriptions.eligibility.terms import Terms
from subscriptions.evidence.rows.findings import RowFinding
from subscriptions.evidence.rows.people import findings_of_answers
from subscriptions.models import Answer, Reclaim, ReclaimRequest, ReclaimState, RequestedRemoval
from subscriptions.models.reclaims.request import WAITING

# The page shows this many people openly, and this many others, all without a change, folded. The export has them all.
SHOWN = 30
FOLDED = 500


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the request, and what changed about them since."""

    removal: RequestedRemoval
    change: Change
    # When the facts of today were confirmed.
    confirmed: Confirmation
    # What somebody changed about them in the database.
    outside: list[RowFinding] = field(default_factory=list)

    @property
    def is_dropped(self) -> bool:
        return self.removal.dropped_at is not None

    @property
    def is_changed(self) -> bool:
        return self.is_dropped or self.change.changed

    @property
    def has_failed(self) -> bool:
        """Refused by the vendor, tampered, or in doubt."""
        failed = (ReclaimState.FAILED, ReclaimState.TAMPERED, ReclaimState.IN_DOUBT)
        return self.reclaim is not None and self.reclaim.state in failed

    @property
    def has_news(self) -> bool:
        """Since the request: changed, dropped, wants to keep the seat, could not be sent, or changed outside."""
        return self.has_failed or self.is_changed or self.removal.answer == Answer.KEEP or bool(self.outside)

    @property
    def comes_first(self) -> bool:
        """Shown at the top of the list."""
        return self.has_news or bool(self.review)

    @property
    def review(self) -> str:
        """The reason why an admin made this person a candidate after a review; empty for all others."""
        made = self.removal.evidence.get("review")
        if not made:
            return ""
        text = _("Needed review: {needed}. {by} made this person a candidate: “{reason}”")
        return text.format(**{**made, "needed": translated(made["needed"])})

    @property
    def now(self) -> str:
        """`now: ...` if the name or the address has changed since the request; else empty."""
        return now_called(self.removal.evidence, self.removal.candidate.subscription)

    @property
    def named_now(self) -> str:
        """The name and address that differ from the evidence, without the word `now:`; empty without any."""
        return name_and_email_now(self.removal.evidence, self.removal.candidate.subscription)

    @property
    def reclaim(self) -> Reclaim | None:
        return getattr(self.removal, "reclaim", None)


PEOPLE_COLUMNS: tuple[Column, ...] = (
    (gettext_lazy("Person"), lambda person: person_of(person.removal.evidence)),
    (gettext_lazy("E-mail"), lambda person: person.removal.evidence["email"]),
    (gettext_lazy("Now"), lambda person: person.named_now),
    (gettext_lazy("Department"), lambda person: person.removal.evidence["department"]),
    (gettext_lazy("License"), lambda person: person.removal.evidence["license"]),
    (gettext_lazy("Admin roles"), lambda person: ", ".join(admin_roles(person.removal.evidence))),
    (gettext_lazy("Last activity"), Moment(lambda person: moment(person.removal.evidence, "last_activity_at"))),
    (gettext_lazy("Idle days"), lambda person: person.removal.evidence["idle_days"]),
    (gettext_lazy("After review"), lambda person: person.review),
    (gettext_lazy("Since the request"), lambda person: person.change.text),
    (gettext_lazy("Confirmed by"), lambda person: person.confirmed.by),
    (gettext_lazy("Confirmed at"), Moment(lambda person: person.confirmed.at)),
    (gettext_lazy("Unchanged since"), Moment(lambda person: person.confirmed.unchanged_since or person.confirmed.at)),
    (gettext_lazy("Answer"), lambda person: person.removal.get_answer_display()),
    (gettext_lazy("Dropped"), Moment(lambda person: person.removal.dropped_at)),
    (gettext_lazy("Outcome"), lambda person: outcome_sentence(person.reclaim) if person.reclaim else ""),
)


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One line of the people's table."""

    removal: RequestedRemoval
    name: str
    second: str
    now: str
    let_back_in: str
    review: str
    last_activity: SafeString
    license: str
    admin_roles: str
    change: Change
    is_changed: bool
    reply: Reply | None
    dropped: str
    # A user dropped this person while the request waits.
    can_come_back: bool
    reclaim: Reclaim | None
    badge: SafeString | str
    outcome: str
    outside: list[RowFinding]


def people_of(request: ReclaimRequest) -> list[Person]:
    """People with news come first: those who changed, were dropped, or want to keep the seat."""
    removals = (
        request.removals.select_related("candidate__subscription__evaluation", "dropped_by", "reclaim")
        .defer("candidate__evidence")
        .order_by("candidate__subscription__idle_since", "pk")
    )
    people, run, outside = [], newest_runs().get(request.profile_id), findings_of_answers(request, removals)
    for removal in removals:
        row = removal.candidate.subscription
        row.profile = request.profile
        change = _dropped_by_hand(removal) or change_since(removal.candidate, removal.evidence)
        people.append(Person(removal, change, confirmation_of(row, run), outside.get(removal.pk, [])))
    return sorted(people, key=lambda person: (not person.outside, not person.has_failed, not person.comes_first))


def _dropped_by_hand(removal: RequestedRemoval) -> Change | None:
    """The drop by a person, with its reason. The changed verdict only follows from what was chosen then."""
    if removal.dropped_at is None or removal.dropped_by is None:
        return None
    return Change(removal.drop_reason or _("Stays"), day(removal.dropped_at), "neutral", "person_remove")


def table_of(people: list[Person], request: ReclaimRequest) -> dict[str, Any]:
    """All people with news are on the page, however many they are; only people without news are left to the export."""
    head = max(SHOWN, sum(person.comes_first for person in people))
    shown, others = people[:head], people[head:]
    on_page = [*shown, *others[:FOLDED]]
    times = times_let_back_in(person.removal.candidate.subscription_id for person in on_page)
    rows = [_row(person, request, times.get(person.removal.candidate.subscription_id, 0)) for person in on_page]
    return {
        "shown": rows[:head],
        "folded": rows[head:],
        "export_only": len(others[FOLDED:]),
    }


def _row(person: Person, request: ReclaimRequest, times: int) -> PersonRow:
    """`times`: how often this person was let back in after a reclaim."""
    removal, evidence, item = person.removal, person.removal.evidence, person.reclaim
    name = person_of(evidence)
    dropped_by = name_of(removal.dropped_by) if removal.dropped_by else "LicenseHub"
    return PersonRow(
        removal=removal,
        name=name,
        second=evidence["department"] or (evidence["email"] if evidence["email"] != name else ""),
        now=person.now,
        let_back_in=let_back_in(times),
        review=person.review,
        last_activity=last_activity(evidence),
        license=license_label(request.profile, evidence["license"]),
        admin_roles=", ".join(admin_roles(evidence)),
        change=person.change
        if person.is_changed
        else replace(person.change, detail=person.confirmed.below_the_download),
        is_changed=person.is_changed,
        reply=reply_of(removal, request),
        dropped=_dropped(removal, dropped_by) if person.is_dropped else "",
        can_come_back=request.state in WAITING and removal.dropped_by_id is not None,
        reclaim=item,
        badge=reclaim_badge(item) if item else "",
        outcome=outcome_sentence(item) if item else "",
        outside=person.outside,
    )


def _dropped(removal: RequestedRemoval, by: str) -> str:
    if not removal.kept_as:
        return _("dropped by {name}").format(name=by)
    kept = kept_sentence(removal.kept_as, removal.kept_until)
    return _("dropped by {name}, {kept}").format(name=by, kept=kept)


def confirmed_by(people: Iterable[Person]) -> str:
    """`Confirmed by D-0002, 2 minutes ago`, for all of them who were not looked up since; else empty."""
    found = (person.confirmed for person in people if person.confirmed.by != LOOKED_UP)
    return next((replace(confirmed, unchanged_since=None).sentence for confirmed in found), "")


def tiles(people: list[Person]) -> dict[str, Any]:
    """The figures above the table. Dropped people are counted only in `requested` and `dropped`."""
    standing = [person for person in people if not person.is_dropped]
    idle = [person.removal.evidence["idle_days"] for person in standing]
    return {
        "seats": len(standing),
        "requested": len(people),
        "dropped": len(people) - len(standing),
        "median": int(median(idle)) if idle else None,
        "shortest": min(idle, default=None),
        "longest": max(idle, default=None),
        "changed": sum(person.has_news for person in people),
        "reclaimed": sum(bool(person.reclaim and person.reclaim.state == ReclaimState.DONE) for person in standing),
        "under_way": sum(bool(person.reclaim and person.reclaim.finished_at is None) for person in standing),
    }


def basis(people: Iterable[Person]) -> dict[str, Any]:
    """The versions of the rule and the downloads that the list is based on, and its fingerprint."""
    removals = [person.removal for person in people]
    terms = [removal.evidence["terms"] for removal in removals]
    pairs = zip(terms, removals, strict=True)
    thresholds = {(json.dumps(frozen, sort_keys=True), removal.evidence["license"]) for frozen, removal in pairs}
    return {
        "versions": sorted({frozen["version"] for frozen in terms}),
        "thresholds": sorted(
            {Terms.from_json(json.loads(frozen)).threshold_for(license) for frozen, license in thresholds}
        ),
        "runs": sorted({(removal.evidence["run"], run_number(removal.evidence)) for removal in removals}),
        "fingerprint": fingerprint(sorted(removals, key=lambda removal: removal.pk)),
    }
