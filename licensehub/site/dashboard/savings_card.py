"""The card *Savings* of the overview: potential, approved and verified, in seats and in money."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse
from django.utils.translation import ngettext

from integrations.models import IntegrationProfile
from licensehub.ui.time_zones import company_day
from subscriptions.money.currencies import amount_text
from subscriptions.money.savings import Group, Ledger, Stage

SEES, ADD = "subscriptions.view_price", "subscriptions.add_price"
STEPS = (
    (Stage.POTENTIAL, "savings", "Potential", "{} if all of them were reclaimed"),
    (Stage.APPROVED, "approval_delegation", "Approved", "{} approved, not yet taken back"),
    (Stage.VERIFIED, "verified", "Verified", "{} read back as inactive this year"),
)


def savings_card(profile: IntegrationProfile, user: User | AnonymousUser) -> dict[str, Any] | None:
    """None for people who may not see savings."""
    if not user.has_perm(SEES):
        return None
    ledger = Ledger(list(IntegrationProfile.objects.of_organization(profile)), company_day().year)
    groups = ledger.groups([stage for stage, *_ in STEPS])
    address = f"{reverse('admin:subscriptions_savings')}?profile={profile.pk}"
    return {
        "steps": [
            {
                "icon": icon,
                "title": title,
                "amount": _amount(groups, stage) or f"{_seats(groups, stage):,}",
                "text": text.format(_seats_text(_seats(groups, stage))) + _unpriced(groups, stage),
                "link": f"{address}&stage={stage.value}",
            }
            for stage, icon, title, text in STEPS
        ],
        "link": address,
        "has_price": ledger.prices.any_price(),
        "add": reverse("admin:subscriptions_price_add") if user.has_perm(ADD) else "",
    }


def _amount(groups: list[Group], stage: Stage) -> str:
    """`$9,600 and €432`: currencies are never added."""
    sums = [(group.currency, sum((line.cells[stage].amount for line in group.lines), Decimal(0))) for group in groups]
    return " and ".join(amount_text(amount, currency) for currency, amount in sums if currency)


def _unpriced(groups: list[Group], stage: Stage) -> str:
    """`; 2 of them have no price`, beside an amount that leaves these seats out."""
    count = _seats([group for group in groups if not group.currency], stage)
    if not count or count == _seats(groups, stage):
        return ""
    return f"; {count:,} of them {ngettext('has', 'have', count)} no price"


def _seats(groups: list[Group], stage: Stage) -> int:
    return sum(line.cells[stage].seats for group in groups for line in group.lines)


def _seats_text(count: int) -> str:
    return f"{count:,} seat{'' if count == 1 else 's'}"
