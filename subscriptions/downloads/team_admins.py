"""The people who are the only admin of a team: the vendor refuses to deactivate them.

They are found page by page after the facts of a run, gathered in SoleTeamAdmin, and written when all teams are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from integrations.connectors.contract import Team, english
from integrations.models import IntegrationProfile
from subscriptions.models import DownloadRun, SoleTeamAdmin, Subscription
from subscriptions.models.subscription import HELD

BATCH = 500
MAX_LENGTH = 500
ONE_MORE_TEAM = english("{teams} and {count} more team")
MORE_TEAMS = english("{teams} and {count} more teams")


def gather(run: DownloadRun, teams: Iterable[Team]) -> None:
    """Store the teams that have one active admin. Call it in the transaction that saves the cursor."""
    teams = list(teams)
    ids = {external_id for team in teams for external_id in team.admins}
    known = Subscription.objects.filter(profile=run.profile_id, external_id__in=ids)
    away = set(known.exclude(HELD).values_list("external_id", flat=True))
    active = [(team.name, team.admins - away) for team in teams]
    SoleTeamAdmin.objects.bulk_create(
        SoleTeamAdmin(run=run, external_id=next(iter(admins)), team=name) for name, admins in active if len(admins) == 1
    )


def write_gathered(run: DownloadRun) -> int:
    """Write the only admins that all pages have shown. Returns how many rows were written."""
    teams: dict[str, tuple[str, ...]] = {}
    for external_id, team in run.sole_team_admins.order_by("team", "pk").values_list("external_id", "team"):
        teams[external_id] = (*teams.get(external_id, ()), team)
    return write_sole_admins(run.profile, teams)


def forget(profile: IntegrationProfile) -> None:
    """Delete the gathered rows of earlier runs. Those of a run stay until the next run begins to gather."""
    SoleTeamAdmin.objects.filter(run__in=DownloadRun.objects.filter(profile=profile).values("pk")).delete()


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
        text = ", ".join(names[:kept])
        if left:
            text = (MORE_TEAMS if left > 1 else ONE_MORE_TEAM).format(teams=text, count=left)
        if len(text) <= MAX_LENGTH:
            return text
    return names[0][:MAX_LENGTH] if names else ""
