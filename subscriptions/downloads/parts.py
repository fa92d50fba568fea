"""A run is made in parts: a task works on it for a limited time, well below the task's own limit.

Then it gives up the lease, and the next task continues at the saved cursor. So no time limit ends a download, however
many members an organization has, and other organizations are served meanwhile. A command works until the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.conf import settings

from integrations.connectors.contract import Connector, Usage
from subscriptions.models import DownloadRun
from subscriptions.turns import Turn

# After this share of a task's soft limit no call and no statement begins. The rest of the time is for those that have
# begun: one call may take `Limits.total`, and the next page is read ahead.
SHARE_OF_THE_LIMIT = 0.5


def part_seconds() -> float:
    """The number of seconds that one task works on a run."""
    return float(settings.CELERY_TASK_SOFT_TIME_LIMIT * SHARE_OF_THE_LIMIT)


class PartOver(Exception):
    """The time of this part is over. The next one begins at once, or in `resume_in` seconds."""

    def __init__(self, resume_in: float = 0.0) -> None:
        super().__init__("The time of this part is over.")
        self.resume_in = resume_in


class Part(Turn):
    """The time that this process may work on a run; without `seconds`, until its end."""

    def check(self) -> None:
        """Raise PartOver if the time is over. Call it where the work can be continued later."""
        if self.is_over():
            raise PartOver


@dataclass
class Work:
    """The values that the functions of one part share. `connector` is None if the connection cannot be used."""

    run: DownloadRun
    part: Part
    connector: Connector | None
    # The usage of the earlier parts.
    used_before: Usage = field(init=False)

    def __post_init__(self) -> None:
        self.used_before = Usage(self.run.requests, self.run.credits)

    def usage(self) -> dict[str, int]:
        """The usage of the run so far, as columns of its row."""
        used = self.connector.usage() if self.connector else Usage()
        return {
            "requests": self.used_before.requests + used.requests,
            "credits": self.used_before.credits + used.credits,
        }
