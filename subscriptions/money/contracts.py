"""Enter and change a contract, and the days on which it is remembered."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.database.clock import database_now
from licensehub.ui.time_zones import company_day
from subscriptions.accounts.scope import refuse_outside
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import Contract
from subscriptions.money.prices import MIN_DAY

# A mail reminds so many days before the last day of notice.
REMINDERS = (120, 90, 60, 30)
# A term that is longer is a typing error.
MAX_TERM = timedelta(days=10 * 366)


@dataclass(frozen=True, slots=True)
class ContractInput:
    license: str
    seats: int
    starts: date
    renews_on: date
    notice_by: date
    reference: str = ""
    true_up: str = ""
    owner: User | None = None


def check_input(wanted: ContractInput) -> None:
    """Raises Refused with the first thing that is wrong."""
    if wanted.seats < 1:
        raise Refused(_("Enter the number of seats that were bought, at least 1."))
    if wanted.starts < MIN_DAY:
        raise Refused(_("This day is before the year 2000. Check the year."))
    if wanted.renews_on <= wanted.starts:
        raise Refused(_("The renewal is after the first day of the term."))
    if wanted.renews_on - wanted.starts > MAX_TERM:
        raise Refused(_("This term is longer than ten years. Check the years."))
    if wanted.notice_by > wanted.renews_on:
        raise Refused(_("The last day of notice is not after the renewal."))


def save_contract(profile: IntegrationProfile, wanted: ContractInput, *, seen: str, actor: User) -> Contract:
    """Enter or change the contract of a profile. `seen` is `version_of` the contract that the person saw.

    Raises Refused for values that cannot be right, NotActionable when somebody changed it meanwhile.
    """
    refuse_outside(actor, profile.pk)
    check_input(wanted)
    values = {**asdict(replace(wanted, owner=None)), "owner": wanted.owner}
    with transaction.atomic():
        IntegrationProfile.objects.select_for_update().get(pk=profile.pk)
        row = Contract.objects.filter(profile=profile).first()
        if version_of(row) != seen:
            raise NotActionable(
                _("Somebody has changed this contract meanwhile. Look at it again. Nothing was changed.")
            )
        before = _data(row) if row else {}
        row = row or Contract(profile=profile)
        for name, value in values.items():
            setattr(row, name, value)
        row.changed_by, row.changed_at = actor, database_now()
        row.save()
        action = Action.CONTRACT_CHANGED if before else Action.CONTRACT_ENTERED
        record(action, actor=actor, target=row, data={**_data(row), "before": before})
    return row


def version_of(row: Contract | None) -> str:
    """A word that another one follows with each change."""
    return row.changed_at.isoformat() if row else "none"


def _data(row: Contract) -> dict[str, Any]:
    return {
        "license": row.license,
        "seats": row.seats,
        "starts": row.starts.isoformat(),
        "renews_on": row.renews_on.isoformat(),
        "notice_by": row.notice_by.isoformat(),
        "reference": row.reference,
        "true_up": row.true_up,
        "owner": row.owner.get_username() if row.owner else "",
    }


def organization_word(profile: IntegrationProfile) -> str:
    """A word that all profiles of one organization have in common."""
    return f"{profile.kind}:{profile.organization_id or profile.pk}"


def next_renewals() -> dict[str, date]:
    """`organization_word` -> the renewal of its contract, as far as it is in the future."""
    rows = Contract.objects.filter(renews_on__gt=company_day()).select_related("profile").order_by("-renews_on")
    return {organization_word(row.profile): row.renews_on for row in rows}


def reminder_due(row: Contract, *, today: date) -> int | None:
    """The reminder that is due: 60 on the days from 60 to 31 before the last day of notice. None before and after."""
    left = (row.notice_by - today).days
    due = [days for days in REMINDERS if 0 <= left <= days]
    return min(due, default=None)
