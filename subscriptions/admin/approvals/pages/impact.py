"""The effect of an approval, for the person who decides. Facts that are not checked are marked so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.connectors.contract import Texts
from licensehub.ui.formatting import number
from subscriptions.eligibility.sentences import team_admins_checked
from subscriptions.models import ReclaimRequest, RequestedRemoval, Subscription
from subscriptions.money.prices import Money, PriceList, money_of

# The card names this many departments, and adds up the others.
DEPARTMENTS = 8


@dataclass(frozen=True, slots=True)
class ImpactLine:
    """`lead` is shown in bold; `icon` and `tone` as for a badge; `action` is an action that History offers."""

    icon: str
    tone: str
    lead: str
    text: str
    action: str = ""


def impact_of(request: ReclaimRequest, people: list[Subscription]) -> list[ImpactLine]:
    """For a request that waits or is approved. `people` are those who were not dropped."""
    texts = request.profile.texts
    lines = [
        ImpactLine(
            "lock",
            "neutral",
            texts.impact_sign_in,
            _("gives access back, for one person or for several."),
            _("Restore"),
        ),
        ImpactLine("dashboard", "neutral", *texts.impact_stays),
        _refused_by_vendor(texts, people),
        _last_admins(request, people),
        ImpactLine(
            "visibility",
            "neutral",
            _("Each is looked up once more,"),
            _("seconds before the deactivation. People who are active again keep the seat."),
        ),
    ]
    return sorted(lines, key=lambda line: line.tone != "warning")


def _last_admins(request: ReclaimRequest, people: Iterable[Subscription]) -> ImpactLine:
    """The only admins of teams that the last complete download found, if the connection may read them."""
    teams = [row.sole_admin_of for row in people if row.sole_admin_of]
    if teams:
        who = ngettext(
            "{count} is the only admin of a team.", "{count} are the only admins of their teams.", len(teams)
        )
        names = ", ".join(_("“{name}”").format(name=name) for name in teams[:3])
        if len(teams) > 3:
            names = _("{names} and {count} more").format(names=names, count=number(len(teams) - 3))
        text = _("{vendor} refuses until {names} has another. Drop, or add an admin first.").format(
            vendor=capfirst(request.profile.vendor), names=names
        )
        return ImpactLine("shield_person", "warning", who.format(count=number(len(teams))), text)
    if team_admins_checked(request.profile):
        return ImpactLine("check", "ok", _("Nobody is the only admin of a team,"), _("according to the last download."))
    return ImpactLine(
        "help",
        "neutral",
        _("Only admins of teams: not checked."),
        _("{vendor} refuses such a person; the others go on.").format(vendor=capfirst(request.profile.vendor)),
    )


def _refused_by_vendor(texts: Texts, people: Iterable[Subscription]) -> ImpactLine:
    refused = sum(not row.reclaimable for row in people)
    if refused:
        return ImpactLine(
            "block",
            "warning",
            ngettext("{count} is {role} now.", "{count} are {role} now.", refused).format(
                count=number(refused), role=texts.refused_role
            ),
            _("They are left out when LicenseHub checks again before it sends."),
        )
    return ImpactLine("check", "ok", *texts.nobody_refused)


@dataclass(frozen=True, slots=True)
class DepartmentLine:
    """Some seats of the request. `percent` is their part of all its seats; `money` is what they cost for a year."""

    name: str
    seats: int
    percent: int
    money: Money


def departments_of(
    request: ReclaimRequest, standing: list[RequestedRemoval], prices: PriceList, day: date | None
) -> list[DepartmentLine]:
    """The seats of each department at the time of the request, the largest first, at the prices of a day or of today.

    `standing` are the people who were not dropped. The lines add up to all their seats: the small departments are one
    line, and those without a department are the last one.
    """
    found: dict[str, Counter[tuple[int, str]]] = {}
    for removal in standing:
        seats = found.setdefault(removal.evidence["department"], Counter())
        seats[request.profile_id, removal.evidence["license"]] += 1
    unknown = found.pop("", None)
    named = sorted(found.items(), key=lambda item: (-item[1].total(), item[0]))
    lines, others = named[:DEPARTMENTS], named[DEPARTMENTS:]
    if others:
        name = ngettext("{count} other department", "{count} other departments", len(others))
        lines.append((name.format(count=number(len(others))), sum((seats for _name, seats in others), Counter())))
    if unknown:
        lines.append((_("No department known"), unknown))
    return [
        DepartmentLine(
            name, seats.total(), round(100 * seats.total() / len(standing)), money_of(prices, seats, day=day)
        )
        for name, seats in lines
    ]
