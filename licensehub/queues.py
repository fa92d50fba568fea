"""The queues of Celery, and the one table that says which task waits in which of them.

A queue holds work of one kind, so that a long download delays no mail and no reclaim. A worker serves all of them, or
those that `--queues` names. docs/configuration.md says how to divide them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kombu import Exchange, Queue

# For a task that the table does not name, e.g. one of a library.
DEFAULT: Final = "default"

# Queue -> its tasks. A test finds a task that is missing here.
TASKS: Final[Mapping[str, tuple[str, ...]]] = {
    # Reads whole organizations, or works on all rows of one: minutes.
    "download": (
        "subscriptions.tasks.download_daily",
        "subscriptions.tasks.download_due",
        "subscriptions.tasks.follow_up",
        "subscriptions.tasks.evaluate_again",
        "subscriptions.tasks.count_people",
        "subscriptions.tasks.reconcile_ledger",
        "subscriptions.tasks.make_evidence_pack",
        "subscriptions.tasks.thin_history",
    ),
    # Sends what is approved.
    "reclaim": ("subscriptions.tasks.reclaim",),
    # Waits for mail servers, and for the hosts of webhooks.
    "mail": (
        "subscriptions.tasks.ask_people",
        "subscriptions.tasks.notify_colleagues",
        "subscriptions.tasks.read_bounce_mailbox",
        "subscriptions.tasks.deliver_webhooks",
        "licensehub.operations.tasks.send_mail_trial",
    ),
    # Short work, and the sweep that enqueues all other work.
    DEFAULT: (
        "subscriptions.tasks.sweep",
        "subscriptions.tasks.reconcile_all",
        "integrations.tasks.validate_nightly",
        "integrations.tasks.validate_again",
        "licensehub.audit.tasks.anchor_hourly",
        "licensehub.audit.tasks.send_outside",
        "licensehub.operations.tasks.check_installation",
        "licensehub.operations.tasks.run_all_checks",
    ),
}
ROUTES: Final = {task: {"queue": queue} for queue, tasks in TASKS.items() for task in tasks}


def declared() -> list[Queue]:
    """The queues for Celery's setting. A worker without `--queues` serves them all."""
    return [Queue(name, Exchange(name, type="direct"), routing_key=name) for name in TASKS]
