"""The page of one subscription: why it is a candidate or not, its activity, its events, and the effect of a reclaim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from licensehub.translations.stored import translated
from licensehub.ui.formatting import ago, badge, day, day_and_time, number
from subscriptions.activity.confirmation import confirmation_of, newest_runs
from subscriptions.activity.reactivation import let_back_in, times_let_back_in
from subscriptions.activity.snapshots import changes_of
from subscriptions.admin.approvals.permissions import REQUEST
from subscriptions.admin.rules.protections.protect import ADD
from subscriptions.admin.subscriptions.events import events_of
from subscriptions.admin.subscriptions.timeline import timeline
from subscriptions.admin.widgets.badges import candidate_badge
from subscriptions.eligibility.clauses import checks, explain, lead
from subscriptions.eligibility.sentences import in_days, team_admins_checked, vendor_says_now
from subscriptions.eligibility.terms import Terms, terms_of
from subscriptions.models import (
    CandidateState,
    Direction,
    Protection,
    ProtectionKind,
    Reclaim,
    ReclaimRule,
    ReclaimState,
    RemovalCandidate,
    Subscription,
    Verdict,
)
from subscriptions.money.beside import amount_of
from subscriptions.reclaims import switches
from subscriptions.reclaims.switches import Operation

VERDICTS = {
    Verdict.NOT_EVALUATED: ("neutral", "hourglass_empty"),
    Verdict.GONE: ("neutral", "logout"),
    Verdict.DEACTIVATED: ("neutral", "block"),
    Verdict.UNKNOWN: ("warning", "rule"),
    Verdict.NOT_IN_SCOPE: ("neutral", "remove_circle"),
    Verdict.CANNOT_BE_REMOVED: ("neutral", "shield_person"),
    Verdict.PROTECTED: ("neutral", "verified_user"),
    Verdict.COOLING_DOWN: ("neutral", "pause_circle"),
    Verdict.IN_GRACE: ("info", "person_add"),
    Verdict.ACTIVE: ("ok", "check_circle"),
    Verdict.ADMIN_ROLE: ("info", "admin_panel_settings"),
    Verdict.DATES_WENT_BACK: ("warning", "history"),
    Verdict.NEVER_ACTIVE: ("neutral", "hourglass_empty"),
    Verdict.CANDIDATE: ("warning", "person_search"),
}
MARKS = {
    True: ("check", "ok", gettext_lazy("passed")),
    False: ("close", "stop", gettext_lazy("decided here")),
    None: ("remove", "later", gettext_lazy("not asked")),
}


def verdict_badge(verdict: Verdict) -> SafeString:
    tone, icon = VERDICTS[verdict]
    return badge(str(verdict.label), tone=tone, icon=icon)


def context_of(row: Subscription, rows: Sequence[Subscription], request: HttpRequest) -> dict[str, Any]:
    """`rows` are all rows of this person."""
    terms = terms_of(row.profile)
    changes, reclaims = {one: changes_of(one) for one in rows}, _reclaims_of(rows)
    found = RemovalCandidate.objects.filter(subscription__in=rows)
    candidates = list(found.select_related("run").order_by("-created_at", "-pk"))
    candidate = next((found for found in candidates if found.is_open and found.subscription_id == row.pk), None)
    return {
        "row": row,
        "initials": _initials(row.display_name),
        "lead": lead(row, terms),
        "why": explain(row, terms),
        "icon": VERDICTS[row.verdict][1],
        "verdict_tone": VERDICTS[row.verdict][0],
        "badge": candidate_badge(candidate) if candidate else verdict_badge(row.verdict),
        "checks": _checks(row, terms),
        "terms": terms,
        "confirmed": confirmation_of(row, newest_runs().get(row.profile_id)),
        "facts": _facts(row),
        "timeline": timeline(row, terms.threshold_for(row.license), changes, reclaims),
        "events": events_of(candidates, reclaims, changes),
        "in_history": _in_history(row, len(reclaims)),
        "other_rows": [(_relation(other, row), other) for other in rows if other.pk != row.pk],
        "times_reclaimed": sum(
            item.state == ReclaimState.DONE and item.direction == Direction.DEACTIVATE for item in reclaims
        ),
        "user_answer": _answer_so_far(row, candidate),
        "has_seat": row.active and row.gone_at is None,
        "impact": _impact(row),
        "let_back_in": let_back_in(times_let_back_in([row.pk]).get(row.pk, 0)),
        "may_protect": may_protect(row, request),
        **request_button(row, candidate, request),
    }


def _reclaims_of(rows: Sequence[Subscription]) -> list[Reclaim]:
    """Most people have none: to look first takes a fraction of the time of a statement about four tables."""
    found = Reclaim.objects.filter(subscription__in=rows)
    people = ("removal__request__decided_by", "removal__request__requested_by")
    return list(found.select_related(*people)) if found.exists() else []


def _relation(other: Subscription, row: Subscription) -> str:
    """The relation of another row of the same person to this one. A later row has a higher id."""
    if other.pk > row.pk:
        return _("Made again later")
    if other.profile_id != row.profile_id and other.external_id == row.external_id:
        return _("The same ID in a profile that is archived")
    return _("A former account with the same address")


def _initials(name: str) -> str:
    words = [word for word in name.split() if word[:1].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper() or "?"


def _checks(row: Subscription, terms: Terms) -> list[dict[str, str]]:
    lines = []
    for check in checks(row, terms):
        icon, tone, result = MARKS[check.passed]
        lines.append({"label": check.label, "fact": check.fact, "icon": icon, "tone": tone, "result": str(result)})
    return lines


def _last_activity(row: Subscription) -> str:
    if row.last_activity_at:
        return day(row.last_activity_at)
    return _("Unknown") if row.implausible_dates else _("Never")


def _facts(row: Subscription) -> list[tuple[str, str, str]]:
    return [
        (_("License"), row.license_label, amount_of({(row.profile_id, row.license): 1})),
        (_("Assigned since"), day(row.license_assigned_at), ago(row.license_assigned_at)),
        (_("Last activity"), _last_activity(row), vendor_says_now(row) or ago(row.last_activity_at)),
        (_("Role"), row.role_label, ""),
        *([(_("Admin roles"), row.admin_roles_label, "")] if row.admin_roles else []),
        (_("Department"), row.department or "–", ""),
        (_("Cost center"), row.cost_center or "–", ""),
        *([(_("Division"), row.division, "")] if row.division else []),
        *([(_("Employee number"), row.employee_number, "")] if row.employee_number else []),
        *([(_("Manager"), manager, "")] if (manager := manager_of(row)) else []),
        (
            _("Sign-in"),
            _("Left the organization") if row.gone_at else _("Active") if row.active else _("Deactivated"),
            "",
        ),
        (row.profile.texts.member_id, row.external_id, ""),
    ]


def manager_of(row: Subscription) -> str:
    """The name of the manager. If the directory has only a reference, the name comes from the known members."""
    if row.manager or not row.manager_id:
        return row.manager
    found = Subscription.objects.filter(profile=row.profile_id, external_id=row.manager_id).first()
    return found.display_name if found else row.manager_id


def request_button(row: Subscription, candidate: RemovalCandidate | None, request: HttpRequest) -> dict[str, Any]:
    """Whether the button is shown, and why it is disabled."""
    if candidate is None or not request.user.has_perm(REQUEST):
        return {"may_request": False}
    why_not = switches.note(row.profile, Operation.REQUEST)
    if candidate.state != CandidateState.READY:
        why_not = _("This candidate is “{state}”.").format(state=candidate.get_state_display())
    return {"may_request": True, "why_not_request": why_not, "candidate": candidate}


def may_protect(row: Subscription, request: HttpRequest) -> bool:
    """A person with a protection of their own needs no other."""
    if row.gone_at or not request.user.has_perm(ADD):
        return False
    return not Protection.objects.covering(row).filter(kind=ProtectionKind.PERSON).exists()


def _in_history(row: Subscription, count: int) -> dict[str, str]:
    """The link to this person's reclaims in History; empty when there are none."""
    if not count:
        return {}
    address = f"{reverse('admin:subscriptions_reclaim_changelist')}?{urlencode({'q': row.email})}"
    return {
        "link": address,
        "label": ngettext("{} entry in History", "{} entries in History", count).format(number(count)),
    }


def _answer_so_far(row: Subscription, candidate: RemovalCandidate | None) -> str:
    """Whether this person was asked to keep or release the seat, and the answer; empty when nobody is asked."""
    if candidate is None:
        return ""
    removal = candidate.removals.not_dropped().select_related("request").last()
    if removal and removal.request.answers_until:
        until = day_and_time(removal.request.answers_until)
        if removal.answer:
            moment = removal.answered_at
            return _("{answer}, said on {day_and_time} ({ago}).").format(
                answer=removal.get_answer_display(), day_and_time=day_and_time(moment), ago=ago(moment)
            )
        return _(
            "Asked with {request}; no answer. The person can answer until {until}. A later Keep still counts "
            "until the seat is deactivated."
        ).format(request=removal.request, until=until)
    # The list of subscriptions has read the rule with the profile.
    rule: ReclaimRule | None = getattr(row.profile, "rule", None)
    if rule is None or not rule.notify_user:
        return ""
    wait = in_days(rule.days_to_answer)
    return _("Not asked yet. A request asks the person first, and waits {wait} for Keep or Release.").format(wait=wait)


def _impact(row: Subscription) -> list[tuple[str, str]]:
    """Known effects only. A fact that is not checked is marked so."""
    if row.gone_at:
        return [("logout", _("Left the organization, so there is nothing to reclaim."))]
    if not row.active:
        return [
            (
                "lock",
                _("{no_sign_in} until the account is activated again.").format(no_sign_in=row.profile.texts.no_sign_in),
            )
        ]
    if not row.reclaimable:
        return [
            (
                "shield_person",
                translated(row.why_not)
                or _("{vendor} does not let this seat be taken back.").format(vendor=capfirst(row.profile.vendor)),
            )
        ]
    return [
        ("lock", _("{no_sign_in} until the seat is restored.").format(no_sign_in=row.profile.texts.no_sign_in)),
        ("dashboard", row.profile.texts.person_stays),
        ("groups", _team_admin(row)),
    ]


def _team_admin(row: Subscription) -> str:
    if row.sole_admin_of:
        return _("The only admin of “{sole_admin_of}”: {vendor} refuses until the team has another.").format(
            sole_admin_of=row.sole_admin_of, vendor=row.profile.vendor
        )
    if team_admins_checked(row.profile):
        return _("Not the only admin of any team.")
    return _("Whether this person is the only admin of a team is not checked; {vendor} refuses if so.").format(
        vendor=row.profile.vendor
    )
