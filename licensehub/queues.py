"""The queues of the broker, and the queue of each task. docs/configuration.md says what each of them is for.

A worker serves all queues, or those that it is started with: `celery -A licensehub worker --queues reclaim,mail`.
"""

from __future__ import annotations

from typing import Final

from kombu import Queue

DEFAULT: Final = "default"

# Each task stands here once; a test holds it.
TASKS: Final = {
    # Minutes of reading, from a vendor or the database.
    "download": (
        "subscriptions.tasks.download_daily",
        "subscriptions.tasks.download_due",
        "subscriptions.tasks.follow_up",
        "subscriptions.tasks.evaluate_again",
        "subscriptions.tasks.count_people",
        "subscriptions.tasks.reconcile_ledger",
        "subscriptions.tasks.thin_history",
    ),
    "reclaim": ("subscriptions.tasks.reclaim",),
    # A mail server may be slow.
    "mail": (
        "subscriptions.tasks.ask_people",
        "subscriptions.tasks.read_bounce_mailbox",
        "licensehub.operations.tasks.send_mail_trial",
        "subscriptions.tasks.notify_colleagues",
    ),
    # What enqueues all other work, and what takes seconds.
    DEFAULT: (
        "subscriptions.tasks.sweep",
        "subscriptions.tasks.reconcile_all",
        "integrations.tasks.validate_nightly",
        "licensehub.audit.tasks.anchor_hourly",
        "licensehub.audit.tasks.send_outside",
        "licensehub.operations.tasks.check_installation",
        "licensehub.operations.tasks.run_all_checks",
    ),
}
ROUTES: Final = {task: {"queue": queue} for queue, tasks in TASKS.items() for task in tasks}


def declared() -> list[Queue]:
    """The queues for Celery."""
    return [Queue(queue) for queue in TASKS]
