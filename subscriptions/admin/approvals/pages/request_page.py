"""The context of the page of a reclaim request: state, people, caps, impact, and what the reader may do."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.scopes.account_scopes import names_in_scope
from licensehub.database.clock import database_now
from licensehub.translations.stored import translated
from licensehub.ui.formatting import ago, day, left, name_of, number
from licensehub.ui.time_zones import company_day
from subscriptions.accounts.origins import origin_of
from subscriptions.admin.approvals.answers import answer_counts
from subscriptions.admin.approvals.keeping import kept_people
from subscriptions.admin.approvals.pages.cap_meters import cap_status
from subscriptions.admin.approvals.pages.impact import departments_of, impact_of
from subscriptions.admin.approvals.pages.people import basis, confirmed_by, people_of, table_of, tiles
from subscriptions.admin.approvals.pages.progress import progress_of
from subscriptions.admin.approvals.permissions import is_overdue, may_dry_run, permissions_for, why_not_raise
from subscriptions.admin.reclaims.steps import requester_of
from subscriptions.admin.widgets.badges import request_badge
from subscriptions.approvals.deciders import deciders_of
from subscriptions.approvals.decides_for import decides_for
from subscriptions.candidates.request_digest import shown_digest
from subscriptions.models import ReclaimRequest, RequestedRemoval, RequestState
from subscriptions.models.reclaims.request import WAITING
from subscriptions.money.beside import all_prices
from subscriptions.money.prices import money_of
from subscriptions.notifications.notified import notified_about
from subscriptions.schedules.working_days import until, window_text


def page_context(request: ReclaimRequest, user: User | AnonymousUser, *, changed: bool = False) -> dict[str, Any]:
    """`changed`: while the request waits, the table has only the people with news. All else is about everybody."""
    people = people_of(request)
    standing = [person.removal for person in people if not person.is_dropped]
    waits = request.state in WAITING
    changed = changed and waits
    decision = _decision(request, user, standing)
    seats = Counter((request.profile_id, str(removal.evidence["license"])) for removal in standing)
    # A decided request keeps the prices of the day of its decision.
    prices, priced_on = all_prices(), company_day(request.decided_at) if request.decided_at else None
    digest = shown_digest(request, [person.removal for person in people])
    # For the mark of a request that was changed outside of LicenseHub.
    if not any("erased" in person.removal.evidence for person in people):
        request.digest_now = digest  # type: ignore[attr-defined]  # read by the comparison
    return {
        **_header(request),
        **table_of([person for person in people if person.has_news] if changed else people, request),
        "changed": changed,
        **decision,
        "waits": waits,
        "digest": digest,
        "progress": progress_of(request),
        "notified": notified_about(request),
        # A reader who may decide is one of them.
        "nobody_decides": waits and not decision["may"].decide and not deciders_of(request).exists(),
        "ended": why_empty(request) if request.state == RequestState.EMPTY else "",
        "tiles": tiles(people),
        "confirmed": confirmed_by(people) if waits else "",
        "saves": money_of(prices, seats, day=priced_on),
        "departments": departments_of(request, standing, prices, priced_on),
        "basis": basis(people),
        "answers": answer_counts(request, [person.removal for person in people]),
        "impact": impact_of(request, [removal.candidate.subscription for removal in standing])
        if waits or request.state == RequestState.APPROVED
        else [],
    }


def _header(request: ReclaimRequest) -> dict[str, Any]:
    return {
        "reclaim_request": request,
        "requested_ago": ago(request.requested_at),
        "expires": until(request.expires_at) if request.state == RequestState.OPEN else "",
        "window": window_text(),
        "answers_ago": left(request.answers_until),
        "badge": request_badge(request),
        "is_open": request.state == RequestState.OPEN,
        "is_collecting": request.state == RequestState.COLLECTING,
        "overdue": is_overdue(request),
        "requester": _requester(request),
        "decider": name_of(request.decided_by),
        "raiser": name_of(request.cap_raised_by),
    }


def _requester(request: ReclaimRequest) -> SafeString | str:
    """The name of the requester, which opens a mail about this request."""
    user, name = request.requested_by, requester_of(request)
    if not user or not user.email:
        return name
    mail = f"mailto:{quote(user.email)}?{urlencode({'subject': f'LicenseHub {request.number}'}, quote_via=quote)}"
    return format_html('<a class="lh-text-link" href="{}">{}</a>', mail, name)


def why_empty(request: ReclaimRequest) -> str:
    """The reasons why people left it: `Active again (2), dropped by a user (1)`, the most frequent reason first."""
    reasons = Counter(
        translated(reason).strip(" .") or _("dropped by a user")
        for reason in request.removals.values_list("drop_reason", flat=True)
    )
    return ", ".join(f"{reason} ({number(count)})" for reason, count in reasons.most_common())


def account_age(user: User, at: datetime) -> str:
    """Say when and by whom the account was made that decides at this moment."""
    origin = origin_of(user)
    days = max(0, (at - origin.made_at).days)
    if not origin.made_by:
        text = ngettext(
            "Account made on {day}, {count} day before this decision.",
            "Account made on {day}, {count} days before this decision.",
            days,
        )
    else:
        text = ngettext(
            "Account made on {day} by {name}, {count} day before this decision.",
            "Account made on {day} by {name}, {count} days before this decision.",
            days,
        )
    return text.format(day=day(origin.made_at), name=origin.made_by, count=number(days))


def profiles_of_decider(request: ReclaimRequest, deciding: User) -> str:
    """`Decides for: EU`. Of a decision that was made, as its event says."""
    said = decides_for([request]).get(request.pk) or ", ".join(names_in_scope(deciding)) or _("all profiles")
    return _("Decides for: {profiles}").format(profiles=said)


def _decision(request: ReclaimRequest, user: User | AnonymousUser, standing: list[RequestedRemoval]) -> dict[str, Any]:
    caps = cap_status(request, len(standing))
    may = permissions_for(request, user)
    deciding = request.decided_by or (user if may.decide and isinstance(user, User) else None)
    return {
        "account_age": account_age(deciding, request.decided_at or database_now()) if deciding else "",
        "decides_for": profiles_of_decider(request, deciding) if deciding else "",
        "caps": caps,
        "why_not_raise": why_not_raise(request, user) if caps and caps.refusal else "",
        "may": may,
        "may_dry_run": may_dry_run(request, user),
        "reader": name_of(user),  # type: ignore[arg-type]  # only accounts see the page
        "kept": kept_people(request.kept_as, request.kept_until, len(standing)) if request.kept_as and standing else "",
        "reject_attrs": format_html(
            'formaction="{}"', reverse("admin:subscriptions_reclaimrequest_reject", args=[request.pk])
        ),
    }
