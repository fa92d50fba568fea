"""The effect of an approval, for the person who decides. Facts that are not checked are marked so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.text import capfirst
from django.utils.translation import ngettext

from integrations.connectors.contract import Texts
from subscriptions.eligibility.sentences import team_admins_checked
from subscriptions.models import ReclaimRequest, Subscription


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
            "gives access back, for one person or for several.",
            "Restore",
        ),
        ImpactLine("dashboard", "neutral", *texts.impact_stays),
        _refused_by_vendor(texts, people),
        _last_admins(request, people),
        ImpactLine(
            "visibility",
            "neutral",
            "Each is looked up once more,",
            "seconds before the deactivation. People who are active again keep the seat.",
        ),
    ]
    return sorted(lines, key=lambda line: line.tone != "warning")


def _last_admins(request: ReclaimRequest, people: Iterable[Subscription]) -> ImpactLine:
    """The last admins that the last complete download found, if the connection is allowed to read them."""
    teams = [row.sole_admin_of for row in people if row.sole_admin_of]
    if teams:
        who = f"{_are(len(teams))} the last admin of a team."
        names = ", ".join(f"“{names}”" for names in teams[:3])
        more = f" and {len(teams) - 3} more" if len(teams) > 3 else ""
        text = (
            f"{capfirst(request.profile.vendor)} refuses until {names}{more} has another. Drop, or add an admin first."
        )
        return ImpactLine("shield_person", "warning", who, text)
    if team_admins_checked(request.profile):
        return ImpactLine("check", "ok", "Nobody is the last admin of a team,", "according to the last download.")
    return ImpactLine(
        "help",
        "neutral",
        "Last admin of a team: not checked.",
        f"{capfirst(request.profile.vendor)} refuses such a person; the others go on.",
    )


def _refused_by_vendor(texts: Texts, people: Iterable[Subscription]) -> ImpactLine:
    refused = sum(not row.reclaimable for row in people)
    if refused:
        who = _are(refused)
        return ImpactLine(
            "block",
            "warning",
            f"{who} {texts.refused_role} now.",
            "They are left out when LicenseHub checks again before it sends.",
        )
    return ImpactLine("check", "ok", *texts.nobody_refused)


def _are(count: int) -> str:
    """`1 is`, `2 are`."""
    return ngettext("{:,} is", "{:,} are", count).format(count)
