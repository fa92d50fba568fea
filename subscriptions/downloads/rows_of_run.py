"""The people behind the numbers of a download: those whom it found for the first time, changed, or marked as gone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from licensehub.ui.lists import search_results
from licensehub.ui.lists.id_filter import IdIn, IdList, is_id
from subscriptions.models import ActivitySnapshot, DownloadRun

# A list sorts up to so many rows in memory, by any column.
MAX_SORTED = search_results.STOP


class Part(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class RowsOfRun:
    """The subscriptions behind one number of a run whose facts are written."""

    run: DownloadRun
    part: Part

    @classmethod
    def of(cls, value: str) -> Self | None:
        """`gone-12`: the people whom run 12 marked as gone. None if there are no such rows, or they are not kept."""
        part, _dash, pk = value.partition("-")
        run = DownloadRun.objects.with_facts().filter(pk=pk).first() if is_id(pk) else None
        found = cls(run, Part(part)) if run and part in list(Part) else None
        return found if found and found.are_kept else None

    @property
    def value(self) -> str:
        return f"{self.part}-{self.run.pk}"

    @property
    def number(self) -> int:
        return int(getattr(self.run, self.part))

    @property
    def are_many(self) -> bool:
        """Whether they are too many to sort. A list reads them by their ids, since another order may find them late."""
        return self.number > MAX_SORTED

    @property
    def are_kept(self) -> bool:
        """Whether the changes of this run are kept. A thinned month keeps those of its last run only."""
        return self.part == Part.NEW or not self.run.thinned

    @property
    def label(self) -> str:
        labels = {
            Part.NEW: _("New in {run}"),
            Part.CHANGED: _("Changed by {run}"),
            Part.GONE: _("Gone since {run}"),
        }
        return labels[self.part].format(run=self.run)

    def condition(self) -> Q | IdIn:
        """The condition for `filter` of subscriptions."""
        if self.part == Part.NEW:
            return Q(first_run=self.run, pk__gt=self.run.new_after, pk__lte=self.run.new_until)
        if self.are_many:
            return Q(pk__in=self._ids())
        return IdIn("pk", IdList.of(self._ids()))

    def _ids(self) -> QuerySet[ActivitySnapshot, int]:
        """A run writes a snapshot for each person whom it changes or marks as gone."""
        left = Q(gone=False)
        rows = ActivitySnapshot.objects.filter(left if self.part == Part.GONE else ~left, run=self.run)
        return rows.order_by().values_list("subscription_id", flat=True)
