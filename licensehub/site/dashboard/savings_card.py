"""The card *Savings* of the overview: potential, approved and verified, in seats and in money."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse
from django.utils.translation import gettext_lazy, ngettext

from integrations.models import IntegrationProfile
from licensehub.ui.formatting import number
from licensehub.ui.lists.counts import Count
from licensehub.ui.names import joined
from licensehub.ui.time_zones import company_day
from subscriptions.money.currencies import amount_text
from subscriptions.money.savings import Group, Ledger, Stage

SEES, ADD = "subscriptions.view_price", "subscriptions.add_price"


def _potential(count: int) -> str:
    return ngettext("{seats} seat if all of them were reclaimed", "{seats} seats if all of them were reclaimed", count)


def _approved(count: int) -> str:
    return ngettext("{seats} seat approved, not yet taken back", "{seats} seats approved, not yet taken back", count)


def _verified(count: int) -> str:
    return ngettext(
        "{seats} seat read back as inactive this year", "{seats} seats read back as inactive this year", count
    )


STEPS = (
    (Stage.POTENTIAL, "savings", gettext_lazy("Potential"), _potential),
    (Stage.APPROVED, "approval_delegation", gettext_lazy("Approved"), _approved),
    (Stage.VERIFIED, "verified", gettext_lazy("Verified"), _verified),
)


def savings_card(
    profile: IntegrationProfile, user: User | AnonymousUser, *, last_counts: bool, attention: Count
) -> dict[str, Any] | None:
    """None for people who may not see savings. For `last_counts`, see `Ledger.groups`.

    `attention` is the number of candidates with attention required: they are inactive, but no step counts them.
    """
    if not user.has_perm(SEES):
        return None
    ledger = Ledger(list(IntegrationProfile.objects.of_organization(profile)), company_day().year)
    groups = ledger.groups([stage for stage, *_ in STEPS], last_counts=last_counts)
    address = f"{reverse('admin:subscriptions_savings')}?profile={profile.pk}"
    return {
        "steps": [
            {
                "icon": icon,
                "title": title,
                "amount": _amount(groups, stage) or number(_seats(groups, stage)),
                "text": _text(text(_seats(groups, stage)), groups, stage),
                "link": f"{address}&stage={stage.value}",
            }
            for stage, icon, title, text in STEPS
        ],
        "link": address,
        "attention": attention,
        "has_price": ledger.prices.any_price(),
        "add": reverse("admin:subscriptions_price_add") if user.has_perm(ADD) else "",
    }


def _amount(groups: list[Group], stage: Stage) -> str:
    """`$9,600 and €432`: currencies are never added."""
    sums = [(group.currency, sum((line.cells[stage].amount for line in group.lines), Decimal(0))) for group in groups]
    return joined([amount_text(amount, currency) for currency, amount in sums if currency])


def _text(text: str, groups: list[Group], stage: Stage) -> str:
    """The sentence of the card. If the amount leaves out seats without a price, it names them."""
    seats, count = _seats(groups, stage), _seats([group for group in groups if not group.currency], stage)
    found = text.format(seats=number(seats))
    if not count or count == seats:
        return found
    unpriced = ngettext("{text}; {count} of them has no price", "{text}; {count} of them have no price", count)
    return unpriced.format(text=found, count=number(count))


def _seats(groups: list[Group], stage: Stage) -> int:
    return sum(line.cells[stage].seats for group in groups for line in group.lines)
