"""One subscription's page: why it is a candidate or not, its activity, its history, and what taking it back means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import ngettext

from licensehub.ui.formatting import ago, badge, day, day_and_time
from subscriptions.admin.subscriptions.timeline import timeline
from subscriptions.admin.widgets.badges import candidate_badge, outcome_sentence
from subscriptions.eligibility.clauses import Check, checks, explain
from subscriptions.eligibility.sentences import protections_of, team_admins_checked
from subscriptions.eligibility.terms import terms_of
from subscriptions.models import (
    CandidateState,
    Direction,
    Notice,
    NoticeKind,
    NoticeState,
    ProtectionKind,
    Reclaim,
    ReclaimRule,
    RemovalCandidate,
    RequestedRemoval,
    Subscription,
    Verdict,
)
from subscriptions.reclaims import switches
from subscriptions.reclaims.switches import Operation

REQUEST = "subscriptions.request_removalcandidate"
PROTECT = "subscriptions.add_protection"
VERDICTS = {
    Verdict.NOT_EVALUATED: ("neutral", "hourglass_empty"),
    Verdict.GONE: ("neutral", "logout"),
    Verdict.DEACTIVATED: ("neutral", "block"),
    Verdict.UNKNOWN: ("warning", "help"),
    Verdict.NOT_IN_SCOPE: ("neutral", "remove_circle"),
    Verdict.CANNOT_BE_REMOVED: ("neutral", "shield_person"),
    Verdict.PROTECTED: ("neutral", "verified_user"),
    Verdict.COOLING_DOWN: ("neutral", "pause_circle"),
    Verdict.IN_GRACE: ("info", "person_add"),
    Verdict.ACTIVE: ("ok", "check_circle"),
    Verdict.NEVER_ACTIVE: ("warning", "help"),
    Verdict.CANDIDATE: ("warning", "person_search"),
}
MARKS = {
    True: ("check", "ok", "passed"),
    False: ("close", "stop", "decided here"),
    None: ("remove", "later", "not asked"),
}


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the history."""

    icon: str
    tone: str
    title: str
    text: str
    link: str = ""
    link_label: str = ""


def verdict_badge(verdict: Verdict) -> SafeString:
    tone, icon = VERDICTS[verdict]
    return badge(verdict.label, tone=tone, icon=icon)


def context_of(row: Subscription, request: HttpRequest) -> dict[str, Any]:
    terms = terms_of(row.profile)
    candidates = list(row.candidates.select_related("run").order_by("-created_at", "-pk"))
    candidate = next((found for found in candidates if found.is_open), None)
    reclaims = list(row.reclaims.select_related("removal__request__decided_by", "removal__request__requested_by"))
    return {
        "row": row,
        "initials": _initials(row.display_name),
        "why": explain(row, terms),
        "icon": VERDICTS[row.verdict][1],
        "verdict_tone": VERDICTS[row.verdict][0],
        "badge": candidate_badge(candidate) if candidate else verdict_badge(row.verdict),
        "checks": [_clause(check) for check in checks(row, terms)],
        "terms": terms,
        "facts_at": day_and_time(row.facts_at),
        "facts_ago": ago(row.facts_at),
        "facts": _facts(row),
        "timeline": timeline(row, terms.threshold_for(row.license)),
        "events": _history(candidates, reclaims),
        "in_history": _in_history(row, len(reclaims)),
        "user_answer": _answer_so_far(row, candidate),
        "candidate": candidate,
        "has_seat": row.active and row.gone_at is None,
        "impact": _impact(row),
        "may_protect": _may_protect(row, request),
        **_request_button(row, candidate, request),
    }


def _initials(name: str) -> str:
    words = [word for word in name.split() if word[:1].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper() or "?"


def _clause(check: Check) -> dict[str, str]:
    icon, tone, result = MARKS[check.passed]
    return {"label": check.label, "fact": check.fact, "icon": icon, "tone": tone, "result": result}


def _facts(row: Subscription) -> list[tuple[str, str, str]]:
    return [
        ("License", row.license_label, ""),
        ("Assigned since", day(row.license_assigned_at), ago(row.license_assigned_at)),
        ("Last activity", day(row.last_activity_at) if row.last_activity_at else "Never", ago(row.last_activity_at)),
        ("Role", row.role_label, ""),
        ("Department", row.department or "–", ""),
        ("Cost center", row.cost_center or "–", ""),
        ("Sign-in", "Left the organization" if row.gone_at else "Active" if row.active else "Deactivated", ""),
        (row.profile.texts.member_id, row.external_id, ""),
    ]


def _request_button(row: Subscription, candidate: RemovalCandidate | None, request: HttpRequest) -> dict[str, Any]:
    """Whether the button is shown, and why it is not to be pressed."""
    if candidate is None or not request.user.has_perm(REQUEST):
        return {"may_request": False}
    return {"may_request": True, "why_not_request": _why_not_request(row, candidate)}


def _may_protect(row: Subscription, request: HttpRequest) -> bool:
    """Whoever has a protection of their own needs no other."""
    if row.gone_at or not request.user.has_perm(PROTECT):
        return False
    return all(found.kind != ProtectionKind.PERSON for found in protections_of(row))


def _why_not_request(row: Subscription, candidate: RemovalCandidate) -> str:
    if candidate.state != CandidateState.READY:
        return f"This candidate is “{candidate.get_state_display()}”."
    return switches.note(row.profile, Operation.REQUEST)


def _history(candidates: list[RemovalCandidate], reclaims: list[Reclaim]) -> list[Event]:
    """The newest first."""
    found = [(item.created_at, _became(item)) for item in candidates]
    found += [(item.state_changed_at, _closed(item)) for item in candidates if not item.is_open]
    found += [(item.finished_at or item.queued_at, _sent(item)) for item in reclaims]
    found += _asked_and_answered(candidates)
    return [event for _, event in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _became(candidate: RemovalCandidate) -> Event:
    return Event(
        "person_search",
        "info",
        "Became a candidate",
        f"on {day(candidate.created_at)}, {ago(candidate.created_at)}, found by",
        _page("subscriptions_downloadrun_change", candidate.run_id),
        str(candidate.run),
    )


def _closed(candidate: RemovalCandidate) -> Event:
    reason = candidate.get_close_reason_display() or "no reason noted"
    words = f"on {day(candidate.state_changed_at)}, {ago(candidate.state_changed_at)}: {reason}."
    return Event("flag", "neutral", candidate.get_state_display(), words)


def _sent(item: Reclaim) -> Event:
    request = item.removal.request
    approver = f"approved by {request.decided_by.get_username()}" if request.decided_by else "not approved"
    if item.direction == Direction.REACTIVATE and request.requested_by:
        approver = f"asked by {request.requested_by.get_username()}"
    moment = item.finished_at or item.queued_at
    words = f"on {day(moment)}, {ago(moment)}, {approver}. {outcome_sentence(item)}"
    tone = "ok" if item.state == "done" else "neutral"
    title = f"{item.get_direction_display()}: {item.get_state_display().lower()}"
    icon = "event_seat" if item.direction == Direction.DEACTIVATE else "undo"
    return Event(icon, tone, title, words, _page("subscriptions_reclaimrequest_change", request.pk), request.number)


def _asked_and_answered(candidates: list[RemovalCandidate]) -> list[tuple[datetime, Event]]:
    notices = Notice.objects.filter(removal__candidate__in=candidates).select_related("removal__request")
    people = RequestedRemoval.objects.filter(candidate__in=candidates, answered_at__isnull=False)
    found = [(item.sent_at or item.due_at, _asked(item)) for item in notices]
    return found + [
        (person.answered_at, _answered(person)) for person in people.select_related("request") if person.answered_at
    ]


def _asked(notice: Notice) -> Event:
    title = "Reminded by mail" if notice.kind == NoticeKind.REMINDER else "Asked by mail"
    if notice.state == NoticeState.SENT:
        return Event(
            "mail", "info", title, f"on {day(notice.sent_at)}, {ago(notice.sent_at)}.", *_request(notice.removal)
        )
    state = NoticeState(notice.state)
    words = f"{state.label}. {notice.problem}".strip()
    lost = state in (NoticeState.FAILED, NoticeState.IN_DOUBT)
    return Event("mail", "warning" if lost else "neutral", title, words, *_request(notice.removal))


def _answered(person: RequestedRemoval) -> Event:
    words = f"on {day(person.answered_at)}, {ago(person.answered_at)}: {person.get_answer_display()}."
    return Event("reply", "info", "Answered", words, *_request(person))


def _request(person: RequestedRemoval) -> tuple[str, str]:
    return _page("subscriptions_reclaimrequest_change", person.request_id), person.request.number


def _page(name: str, pk: int) -> str:
    try:
        return reverse(f"admin:{name}", args=[pk])
    except NoReverseMatch:
        return ""


def _in_history(row: Subscription, count: int) -> dict[str, str]:
    """The link to this person's lines there; empty where there is none."""
    if not count:
        return {}
    address = f"{reverse('admin:subscriptions_reclaim_changelist')}?{urlencode({'q': row.email})}"
    return {"link": address, "label": f"{count} {ngettext('entry', 'entries', count)} in History"}


def _answer_so_far(row: Subscription, candidate: RemovalCandidate | None) -> str:
    """Whether this person was asked, and what came of it; empty where nobody is asked."""
    removal = candidate.removals.not_dropped().select_related("request").last() if candidate else None
    if removal and removal.request.answers_until:
        until = day_and_time(removal.request.answers_until)
        if removal.answer:
            moment = removal.answered_at
            return f"{removal.get_answer_display()}, said on {day_and_time(moment)} ({ago(moment)})."
        return (
            f"Asked with {removal.request}; no answer. The person can answer until {until}. A later Keep still counts "
            "until the seat is deactivated."
        )
    rule = ReclaimRule.objects.filter(profile=row.profile_id, notify_user=True).first()
    if rule is None or candidate is None:
        return ""
    return f"Not asked yet. A request asks the person first, and waits {rule.days_to_answer} days for Keep or Release."


def _impact(row: Subscription) -> list[tuple[str, str]]:
    """Only what is known. What cannot be checked is marked as unchecked."""
    if row.gone_at:
        return [("logout", "Left the organization, so there is nothing to reclaim.")]
    if not row.active:
        return [("lock", f"{row.profile.texts.no_sign_in} until the account is activated again.")]
    if not row.reclaimable:
        return [
            ("shield_person", row.why_not or f"{capfirst(row.profile.vendor)} does not let this seat be taken back.")
        ]
    return [
        ("lock", f"{row.profile.texts.no_sign_in} until the seat is restored."),
        ("dashboard", row.profile.texts.person_stays),
        ("groups", _team_admin(row)),
    ]


def _team_admin(row: Subscription) -> str:
    if row.sole_admin_of:
        return f"The only admin of “{row.sole_admin_of}”: {row.profile.vendor} refuses until the team has another."
    if team_admins_checked(row.profile):
        return "Not the only admin of any team."
    return f"Whether this person is the only admin of a team is not checked; {row.profile.vendor} refuses if so."
