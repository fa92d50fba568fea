"""The facts about one person in the mail and on the page *My license*. It has only facts that this person knows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.connectors.contract import Texts
from licensehub.database.clock import database_now
from licensehub.ui.formatting import ago, day
from subscriptions.company.company import company, contact, logo_address
from subscriptions.company.texts import Wording, wording
from subscriptions.eligibility.terms import Terms
from subscriptions.models import Company, NoticeKind, RequestedRemoval
from subscriptions.notices.answers import keep_is_final


def shared_context(
    person: RequestedRemoval, *, deadline: datetime, kind: NoticeKind = NoticeKind.ASK
) -> dict[str, Any]:
    """The values for the templates of both: `templates/notices/` and `templates/self_service/`."""
    evidence = person.evidence
    last = evidence["last_activity_at"]
    common = common_context(
        company(),
        texts=person.request.profile.texts,
        organization=person.request.profile.organization_label,
        # The first word of the name may be the family name, as in “Müller, Ana”.
        first_name=person.candidate.subscription.given_name.strip(" ,;"),
        last_activity=parse_datetime(last) if last else None,
        deadline=deadline,
        kind=kind,
    )
    return {
        **common,
        "email": evidence["email"],
        "keep_days": Terms.from_json(evidence["terms"]).threshold_for(evidence["license"]),
        "keep_is_final": keep_is_final(person),
    }


def common_context(
    row: Company,
    *,
    texts: Texts,
    organization: str,
    first_name: str,
    last_activity: datetime | None,
    deadline: datetime,
    kind: NoticeKind,
) -> dict[str, Any]:
    """The context that mail, page and preview share: the company, the time and the texts. The preview has no person."""
    over, activity = deadline <= database_now(), texts.never_used
    if last_activity:
        activity = texts.last_used.format(day=day(last_activity), ago=ago(last_activity))
    context: dict[str, Any] = {
        **company_context(row),
        "organization": row.name or organization,
        "texts": texts,
        "first_name": first_name,
        "last_activity": last_activity,
        "activity": activity,
        "deadline": deadline,
        "deadline_in": _deadline_in(deadline),
        "over": over,
    }
    # A text of the company may name the days that are left. After the deadline it would be wrong.
    own = {} if over else row.texts
    return {**context, "wording": _wording(kind, context, own)}


def company_context(row: Company | None = None) -> dict[str, str]:
    """The name, the logo and the contact, for every page behind a link. The name is empty where nobody entered one."""
    row = row or company()
    return {"organization": row.name, "logo": logo_address(row), **contact(row)}


def _wording(kind: NoticeKind, context: Mapping[str, Any], own: Mapping[str, str]) -> Wording:
    texts: Texts = context["texts"]
    days = max(1, _days_left(context["deadline"]))
    values = {
        "name": context["first_name"],
        "license": _("{product}license").format(product=texts.license),
        "company": context["organization"],
        "activity": context["activity"],
        "days": ngettext("{days} day", "{days} days", days).format(days=days),
        "deadline": date_format(timezone.localtime(context["deadline"]), "DEADLINE_FORMAT"),
        "contact": context["contact_name"],
    }
    return wording(kind, values, own)


def _days_left(deadline: datetime) -> int:
    return (timezone.localdate(deadline) - timezone.localdate()).days


def _deadline_in(deadline: datetime) -> str:
    days = _days_left(deadline)
    if days > 1:
        return ngettext("in {} day", "in {} days", days).format(days)
    return _("tomorrow") if days == 1 else _("today")
