"""What an approval will cause, in the words of the person who decides; what is not checked is said to be so."""

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
    """`lead` is the part that carries the weight; `icon` and `tone` as for a badge; `action` is what History offers."""

    icon: str
    tone: str
    lead: str
    text: str
    action: str = ""


def impact_of(request: ReclaimRequest, people: list[Subscription]) -> list[ImpactLine]:
    """Of a request that may still be approved, or was. `people` are those who stand."""
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
    """Named from what the last complete download found, where the connection may ask for it at all."""
    teams = [row.sole_admin_of for row in people if row.sole_admin_of]
    if teams:
        who = f"{_are(len(teams))} the last admin of a team."
        names = ", ".join(f"“{names}”" for names in teams[:3])
        more = f" and {len(teams) - 3} more" if len(teams) > 3 else ""
        words = (
            f"{capfirst(request.profile.vendor)} refuses until {names}{more} has another. Drop, or add an admin first."
        )
        return ImpactLine("shield_person", "warning", who, words)
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
    return f"{count:,} {ngettext('is', 'are', count)}"
