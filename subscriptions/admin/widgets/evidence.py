"""Frozen evidence for the screens, and what changed about a person since it was frozen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.connectors.contract import normalized
from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from licensehub.translations.stored import translated
from licensehub.ui.csv_file import Column, Moment
from licensehub.ui.formatting import EMPTY, ago, day, day_ago, day_and_time
from subscriptions.activity.confirmation import Confirmation, confirmation_of, newest_runs
from subscriptions.eligibility.sentences import inactive_since, vendor_says_now
from subscriptions.eligibility.terms import Terms
from subscriptions.models import CandidateState, RemovalCandidate, RequestedRemoval, Subscription, Verdict
from subscriptions.models.reclaims.candidate import CLOSED


def moment(evidence: Mapping[str, Any], name: str) -> datetime | None:
    """A date of the evidence, which is JSON."""
    return datetime.fromisoformat(evidence[name]) if evidence.get(name) else None


def person_of(evidence: Mapping[str, Any]) -> str:
    return str(
        evidence["name"] or evidence["email"] or _("Member {external_id}").format(external_id=evidence["external_id"])
    )


def now_called(evidence: Mapping[str, Any], row: Subscription) -> str:
    """`now: Pat Miller, pat.miller@northwind.example`: the differences to the evidence; empty without any."""
    new = name_and_email_now(evidence, row)
    return _("now: {name_and_email}").format(name_and_email=new) if new else ""


def name_and_email_now(evidence: Mapping[str, Any], row: Subscription) -> str:
    """The name and the address that differ from the evidence; empty without any."""
    name = row.name if evidence["name"] and row.name and row.name != evidence["name"] else ""
    email = row.email if normalized(row.email) != normalized(evidence["email"]) else ""
    if not email and evidence["email"] and not row.email:
        email = _("without an address")
    return ", ".join(filter(None, (name, email)))


def last_activity(evidence: Mapping[str, Any]) -> SafeString:
    assigned = moment(evidence, "license_assigned_at")
    hint = _("licensed since {day}").format(day=day(assigned)) if assigned else _("no activity seen")
    return day_ago(moment(evidence, "last_activity_at"), hint=hint)


def why_now(row: RemovalCandidate) -> str:
    """The reason of a candidate with the days of now, which go on while it waits.

    A closed candidate has the reason of its day, and so has one that a person made in a review.
    """
    evidence = row.evidence
    if row.state in CLOSED or "review" in evidence:
        return translated(str(evidence["why"]))
    last = moment(evidence, "last_activity_at")
    return inactive_since(
        last or moment(evidence, "license_assigned_at"),
        never=last is None,
        threshold=Terms.from_json(evidence["terms"]).threshold_for(evidence["license"]),
        now=database_now(),
    )


def license_label(profile: IntegrationProfile, license: str) -> str:
    return profile.license_label(license)


def admin_roles(evidence: Mapping[str, Any]) -> tuple[str, ...]:
    """Empty for evidence that was frozen before LicenseHub read admin roles."""
    return tuple(evidence.get("admin_roles", ()))


def facts(profile: IntegrationProfile, evidence: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The evidence as label and fact, in the words of the vendor."""
    terms = Terms.from_json(evidence["terms"])
    return [
        (_("Last activity"), _day_and_ago(moment(evidence, "last_activity_at"), never=_("Never"))),
        (_("License"), license_label(profile, evidence["license"])),
        (_("License assigned"), _day_and_ago(moment(evidence, "license_assigned_at"), never=_("Unknown"))),
        (
            _("Role"),
            ", ".join(
                (translated(profile.connector.roles.get(evidence["role"], evidence["role"])), *admin_roles(evidence))
            ),
        ),
        (_("Department"), evidence["department"] or EMPTY),
        (profile.texts.member_id, evidence["external_id"]),
        (
            _("Threshold"),
            _("{threshold_for} days, rule version {version}").format(
                threshold_for=terms.threshold_for(evidence["license"]), version=terms.version
            ),
        ),
        (_("Found by"), found_by(evidence)),
    ]


def found_by(evidence: Mapping[str, Any]) -> str:
    """`download D-0002 of Nov 27, 2026, 15:31; unchanged since Nov 3, 2026`

    Evidence that was frozen before LicenseHub kept the moment of the download does not show it.
    """
    confirmed, facts_at = moment(evidence, "confirmed_at"), moment(evidence, "facts_at")
    text = _("download {number} of {moment}") if confirmed else _("download {number}")
    found = text.format(number=run_number(evidence), moment=day_and_time(confirmed))
    if not facts_at or facts_at == confirmed:
        return found
    return _("{found}; unchanged since {day}").format(found=found, day=day(facts_at))


def confirmed_columns(person: Callable[[Any], Subscription]) -> tuple[Column, ...]:
    """The columns of a file about the last confirmation of the facts of each row's person."""
    runs = newest_runs()

    def of(row: Any) -> Confirmation:
        subscription = person(row)
        return confirmation_of(subscription, runs.get(subscription.profile_id))

    return (
        (_("Confirmed by"), lambda row: of(row).by),
        (_("Confirmed at"), Moment(lambda row: of(row).at)),
        (_("Unchanged since"), Moment(lambda row: of(row).unchanged_since or of(row).at)),
    )


def run_number(evidence: Mapping[str, Any]) -> str:
    return f"D-{evidence['run']:04d}"


def _day_and_ago(when: datetime | None, *, never: str) -> str:
    return f"{day(when)} · {ago(when)}" if when else never


def fingerprint(people: Iterable[RequestedRemoval]) -> str:
    """Eight characters that differ as soon as one person, or one fact about them, differs."""
    content = [[person.pk, person.evidence] for person in people]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{digest[:4]} {digest[4:8]}"


@dataclass(frozen=True, slots=True)
class Change:
    """A change since the evidence was frozen. `tone` as for a badge; "ok" is a reason to keep the seat."""

    text: str | Promise
    detail: str = ""
    tone: str = "neutral"
    icon: str = "check"

    @property
    def changed(self) -> bool:
        return self.icon != "check"


NO_CHANGE = Change(gettext_lazy("No change"))


def change_since(candidate: RemovalCandidate, evidence: Mapping[str, Any]) -> Change:
    """Compares the current facts with the frozen ones. Needs no query if the related rows are loaded."""
    row = candidate.subscription
    return (
        _away(row)
        or _other_facts(row, evidence)
        or _other_verdict(row)
        or _closed(candidate)
        or _renamed(row, evidence)
        or NO_CHANGE
    )


def _away(row: Subscription) -> Change | None:
    if row.gone_at:
        return Change(_("Left the organization"), _("since {day}").format(day=day(row.gone_at)), "ok", "person_off")
    if not row.active:
        return Change(
            _("Deactivated at {vendor}").format(vendor=row.profile.vendor),
            _("seen {day}").format(day=day(row.facts_at)),
            "ok",
            "person_off",
        )
    return None


def _other_facts(row: Subscription, evidence: Mapping[str, Any]) -> Change | None:
    if row.last_activity_at and row.last_activity_at != moment(evidence, "last_activity_at"):
        return Change(
            _("Active again {day}").format(day=day(row.last_activity_at)), ago(row.last_activity_at), "ok", "login"
        )
    if row.license != evidence["license"]:
        was = license_label(row.profile, evidence["license"])
        return Change(
            _("License changed"),
            _("{was}, now {license_label}").format(was=was, license_label=row.license_label),
            "warning",
            "swap_horiz",
        )
    if row.role != evidence["role"]:
        return Change(_("Role changed"), _("now {role_label}").format(role_label=row.role_label), "warning", "badge")
    if row.admin_roles != admin_roles(evidence):
        return Change(
            _("Admin roles changed"),
            _("now {roles}").format(roles=row.admin_roles_label) if row.admin_roles_label else _("now none"),
            "warning",
            "admin_panel_settings",
        )
    return None


def _other_verdict(row: Subscription) -> Change | None:
    if row.verdict in (Verdict.CANDIDATE, Verdict.NOT_EVALUATED):
        return None
    unclear = vendor_says_now(row) or row.implausible_dates
    detail = translated(row.cooldown_reason or row.why_not) or unclear or _("by the current rule")
    return Change(str(row.verdict.label), detail, "warning", "rule")


def _renamed(row: Subscription, evidence: Mapping[str, Any]) -> Change | None:
    if not now_called(evidence, row):
        return None
    moved = normalized(row.email) != normalized(evidence["email"])
    return Change(_("Another address") if moved else _("Another name"), tone="warning", icon="person_edit")


def _closed(candidate: RemovalCandidate) -> Change | None:
    if candidate.is_open or candidate.state == CandidateState.CLOSED_COMPLETE:
        return None
    return Change(candidate.get_close_reason_display(), day(candidate.state_changed_at), "warning", "do_not_disturb_on")
