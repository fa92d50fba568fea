"""Check whether a whole download is plausible, before it may mark people as gone. If not, it is quarantined.

The text of the error becomes `DownloadRun.problem`: why the run was quarantined. The connector refuses
a single answer that cannot be right, with the same error `BadAnswer`.
"""

from __future__ import annotations

from typing import ClassVar

from django.db.models import Exists, OuterRef
from django.utils.text import capfirst

from integrations.connectors.contract import Allocation, BadAnswer, english
from subscriptions.bulk_sql import large_tables
from subscriptions.downloads.facts import activity_feed, staging
from subscriptions.models import DownloadRun, RunDoubt, Subscription

SHRINK_LIMIT = 0.20


class Doubtful(BadAnswer):
    """All pages of the right organization were read, but the result is in doubt. Two people may accept it."""

    doubt: ClassVar[RunDoubt]


class Shrunk(Doubtful):
    """Too many known members are missing."""

    doubt = RunDoubt.MEMBERS


class ActivityInDoubt(Doubtful):
    """The activity dates are no longer updated, or too many people would be inactive at once."""

    doubt = RunDoubt.ACTIVITY


CONTRADICTION = english(
    "{vendor}'s pages contradict each other about the member {member}. Nothing was changed. Run the download again."
)
OTHER_ORGANIZATION = english(
    "{vendor} answered for organization {other}, but this profile belongs to {expected}. Check which organization "
    "the token was made for."
)
EMPTY = english(
    "{vendor} answered with no members at all, which cannot be right. Nothing was changed. Run the download again; "
    "if it happens again, check that {check}."
)
SHRUNK = english("{missing} of {before} known members are missing from this download, more than {limit}.")
# Both sentences may stand in one field.
SHRUNK_AND_DOUBT = english(
    "{missing} of {before} known members are missing from this download, more than {limit}. {doubt}"
)
MOVED = english(
    "{repeated} members came twice, and {missing} known ones not at all, so the vendor's pages seem to have moved "
    "while they were read. Nothing was changed. Run the download again."
)


def drop_repeated(run: DownloadRun, *, repeated: int) -> None:
    """Keep one row of each member. Raises BadAnswer if pages contradict each other.

    `repeated` is the number of rows that came again on a later page.
    """
    if not repeated:
        return
    if contradiction := staging.contradiction(run):
        raise BadAnswer(CONTRADICTION.format(vendor=capfirst(run.profile.vendor), member=contradiction))
    staging.drop_repeated(run)
    run.read -= repeated


def check_plausible(run: DownloadRun, allocation: Allocation, *, repeated: int) -> None:
    """Raises BadAnswer when the download is not plausible."""
    vendor = capfirst(run.profile.vendor)
    if allocation.organization_id != run.profile.organization_id:
        raise BadAnswer(
            OTHER_ORGANIZATION.format(
                vendor=vendor, other=allocation.organization_id, expected=run.profile.organization_id
            )
        )
    if run.read == 0:
        raise BadAnswer(EMPTY.format(vendor=vendor, check=run.profile.texts.reader_check))
    known = Subscription.objects.filter(profile=run.profile, gone_at=None)
    there = run.members.filter(external_id=OuterRef("external_id"))
    with large_tables():
        before, missing = known.count(), known.exclude(Exists(there)).count()
    shrunk = _why_shrunk(before, missing, repeated=repeated)
    # The dates are checked also when people are missing: those who accept the download must know of both doubts.
    if doubt := activity_feed.why_doubtful(run):
        raise ActivityInDoubt(f"{shrunk} {doubt}".strip())
    if shrunk:
        raise Shrunk(shrunk)


def _why_shrunk(before: int, missing: int, *, repeated: int) -> str:
    """Empty when no more people are missing than may have left."""
    if missing > before * SHRINK_LIMIT:
        return SHRUNK.format(missing=f"{missing:,}", before=f"{before:,}", limit=f"{SHRINK_LIMIT:.0%}")
    # If the pages moved while they were read, missing members may have been skipped.
    if repeated and missing:
        return MOVED.format(repeated=repeated, missing=missing)
    return ""
