"""The moment when the facts of a person were last confirmed, and since when they are the same.

A download writes only what changed. So the facts of a person who does nothing are old, and each complete download
confirms them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max
from django.utils.translation import gettext as _

from licensehub.ui.formatting import ago, day, day_and_time
from subscriptions.models import DownloadRun, Subscription


@dataclass(frozen=True, slots=True)
class Confirmation:
    """`by` is the number of a download, or LOOKED_UP. `unchanged_since` is None where the facts are as new as `at`."""

    by: str
    at: datetime
    unchanged_since: datetime | None

    @property
    def sentence(self) -> str:
        """`Confirmed by D-0002, 26 minutes ago; unchanged since Nov 3, 2026`"""
        return self._sentence(ago(self.at))

    @property
    def with_time(self) -> str:
        """The same, with the day and the time of the download in place of how long ago it was."""
        return self._sentence(day_and_time(self.at))

    @property
    def below_the_download(self) -> str:
        """`unchanged since Nov 3, 2026`, in a list that names the download once; empty for facts as new as it."""
        if self.by == LOOKED_UP:
            return self.sentence
        since = self.unchanged_since
        return _("unchanged since {day}").format(day=day(since)) if since else ""

    def _sentence(self, when: str) -> str:
        if self.by == LOOKED_UP:
            return _("Looked up {when}").format(when=when)
        if self.unchanged_since is None:
            return _("Confirmed by {run}, {when}").format(run=self.by, when=when)
        said = _("Confirmed by {run}, {when}; unchanged since {day}")
        return said.format(run=self.by, when=when, day=day(self.unchanged_since))


LOOKED_UP = "a look-up"


def newest_runs() -> dict[int, DownloadRun]:
    """The id of each profile -> its newest download whose facts are written."""
    with_facts = DownloadRun.objects.with_facts().order_by()
    newest = with_facts.values("profile").annotate(last=Max("pk")).values("last")
    runs = DownloadRun.objects.filter(pk__in=newest).only("profile_id", "started_at", "finished_at")
    return {run.profile_id: run for run in runs}


def confirmation_of(row: Subscription, run: DownloadRun | None) -> Confirmation:
    """`run` is the newest download of the profile whose facts are written.

    Facts that were read after its start, e.g. before a send, are newer than what it read.
    """
    read_at = run.finished_at or run.started_at if run else row.facts_at
    if run is None or (row.facts_at > run.started_at and row.facts_at != read_at):
        return Confirmation(LOOKED_UP, row.facts_at, None)
    return Confirmation(run.number, read_at, row.facts_at if row.facts_at < read_at else None)
