"""All rows of one person: a person who was deleted and made again, or whose profile was made again, has several."""

from __future__ import annotations

from subscriptions.models import Reclaim, Subscription
from subscriptions.models.reclaims.reclaim import VERIFIED

# Enough for a person who is made again each month for ten years.
MAX_ROWS = 120


def rows_of_person(row: Subscription) -> list[Subscription]:
    """This row, its former rows and those that came after it, the newest first. One query for each."""
    former, found = row, [row]
    while former.former_id and len(found) < MAX_ROWS:
        former = Subscription.objects.select_related("profile").get(pk=former.former_id)
        found.append(former)
    while len(found) < MAX_ROWS and (later := _later_than(found[0])):
        found.insert(0, later)
    return found


def _later_than(row: Subscription) -> Subscription | None:
    """Most rows have none, so the columns are named only for those that do: that takes longer than to look."""
    later = Subscription.objects.filter(former=row).order_by("-pk")
    return later.select_related("profile").first() if later.exists() else None


def times_reclaimed(item: Reclaim) -> int:
    """The number of this reclaim among those of the same person that took a seat: 3 for the third."""
    taken = Reclaim.objects.filter(VERIFIED, pk__lt=item.pk)
    return taken.filter(subscription__in=rows_of_person(item.subscription)).count() + 1
