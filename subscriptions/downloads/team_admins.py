"""Write who is the only admin of a team, after a complete run: the vendor refuses to deactivate such a person."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import ngettext

from integrations.models import IntegrationProfile
from subscriptions.models import Subscription

BATCH = 500
MAX_LENGTH = 500


def write_sole_admins(profile: IntegrationProfile, teams: Mapping[str, tuple[str, ...]]) -> int:
    """Write the teams of each only admin, where they differ. Returns how many rows were written.

    `teams`: external id -> names of the teams. A person who is not in it is the only admin of no team.
    """
    marked = Subscription.objects.filter(profile=profile).exclude(sole_admin_of="").only("external_id", "sole_admin_of")
    rows = {row.external_id: row for row in marked} | _named(profile, list(teams))
    changed = []
    for row in rows.values():
        text = _listed(teams.get(row.external_id, ()))
        if row.sole_admin_of != text:
            row.sole_admin_of = text
            changed.append(row)
    return Subscription.objects.bulk_update(changed, ["sole_admin_of"], batch_size=BATCH) if changed else 0


def _named(profile: IntegrationProfile, ids: list[str]) -> dict[str, Subscription]:
    found: dict[str, Subscription] = {}
    for start in range(0, len(ids), BATCH):
        rows = Subscription.objects.filter(profile=profile, external_id__in=ids[start : start + BATCH])
        found |= {row.external_id: row for row in rows.only("external_id", "sole_admin_of")}
    return found


def _listed(names: tuple[str, ...]) -> str:
    """The names that fit, and the number of the others: `Design, Research and 12 more teams`."""
    for kept in range(len(names), 0, -1):
        left = len(names) - kept
        more = f" and {left} more {ngettext('team', 'teams', left)}" if left else ""
        text = ", ".join(names[:kept]) + more
        if len(text) <= MAX_LENGTH:
            return text
    return names[0][:MAX_LENGTH] if names else ""
