"""The processes: exactly one scheduler that really schedules, and workers of this version for each queue.

A process that answers proves little. So a scheduler is believed by its messages that have arrived, and a worker by the
rows that it writes into the database.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import timedelta
from typing import Final

from integrations.connectors.contract import english, english_plural
from integrations.installation.processes import Processes, last_sign
from integrations.models import Heartbeat
from licensehub.build import version
from licensehub.logs.known_secrets import keys_mark
from licensehub.operations import queues
from licensehub.operations.doctor.findings import Context, Finding, Level, Step, check

STUCK: Final = timedelta(minutes=5)
SLOW: Final = timedelta(minutes=2)
NOT_LOST: Final = english("Work that is due waits in the database and is not lost. It begins when this is repaired.")
RESTART_WORKERS: Final = Step(
    english("Restart the workers of this host."), "sudo systemctl restart 'licensehub-worker@*'"
)
START_BEAT: Final = Step(english("Start it on one host, and look at its log."), "sudo systemctl start licensehub-beat")
# A silent worker was perhaps taken away. It is shown for so long.
MISSED_FOR: Final = timedelta(hours=2)


@check("scheduler")
def scheduler(context: Context) -> Finding:
    return scheduler_finding(context.processes)


def scheduler_finding(known: Processes) -> Finding:
    """Exactly one scheduler is at work, and its messages arrive. Reads nothing else."""
    beats = known.schedulers
    if not beats:
        gone = [last_sign(row) for row in known.rows if row.kind == "beat"]
        return Finding(
            Level.ACT,
            english("No scheduler runs"),
            "0",
            english("No download, mail or reclaim starts by itself."),
            NOT_LOST,
            (START_BEAT,),
            max(gone, default=None),
        )
    if len(beats) > 1:
        return _several(beats)
    (one,) = beats
    if known.schedules(one) or known.is_young(one):
        value = english("1, on {host}").format(host=one.host)
        return Finding(Level.OK, english("One scheduler runs, and its messages arrive"), value)
    if not known.workers:
        return Finding(Level.LOOK, english("No worker runs, so it is not known whether the scheduler works"), "1")
    return _schedules_nothing(one)


def _schedules_nothing(one: Heartbeat) -> Finding:
    return Finding(
        Level.ACT,
        english("The scheduler runs, but schedules nothing"),
        english("1, on {host}").format(host=one.host),
        english("It is alive, but none of its messages has arrived for minutes."),
        NOT_LOST,
        (
            Step(english("Restart it, and look at its log."), "sudo systemctl restart licensehub-beat"),
            Step(
                english(
                    "If that does not help, compare its REDIS_URL and BROKER_KEY with those of the workers, and check "
                    "that its tasks are switched on."
                )
            ),
        ),
        one.scheduled_at or one.started_at,
    )


def _several(beats: list[Heartbeat]) -> Finding:
    names = ", ".join(row.name for row in beats)
    return Finding(
        Level.ACT,
        english_plural("{count} scheduler runs", "{count} schedulers run", len(beats)).format(count=len(beats)),
        str(len(beats)),
        english("Each scheduler starts all work: {names}.").format(names=names),
        english("No seat is reclaimed twice, since a worker claims each item. Tasks run more often than they need to."),
        (Step(english("Stop all but one, and disable the others."), "sudo systemctl disable --now licensehub-beat"),),
        max(row.started_at for row in beats),
    )


@check("workers")
def workers(context: Context) -> Finding:
    return workers_finding(context.processes)


def workers_finding(known: Processes) -> Finding:
    """Workers live, run the version of this process, and have its keys. Reads nothing else."""
    alive = known.workers
    if not alive:
        gone = [last_sign(row) for row in known.silent_workers]
        return Finding(
            Level.ACT,
            english("No worker runs"),
            "0",
            waits=NOT_LOST,
            steps=(RESTART_WORKERS,),
            since=max(gone, default=None),
        )
    value = english_plural("{count} on {hosts} host", "{count} on {hosts} hosts", len({row.host for row in alive}))
    value = value.format(count=len(alive), hosts=len({row.host for row in alive}))
    if foreign := [row for row in alive if row.facts.get("keys") != keys_mark()]:
        return _other_keys(foreign, value)
    if old := [row for row in [*alive, *known.schedulers] if row.version and row.version != version()]:
        return _other_version(old, value)
    if silent := [row for row in known.silent_workers if known.now - last_sign(row) < MISSED_FOR]:
        return _silent(silent, value)
    return Finding(Level.OK, english("All workers live and run this version"), value)


def _other_keys(foreign: list[Heartbeat], value: str) -> Finding:
    names = english("Other keys: {names}.").format(names=", ".join(row.name for row in foreign))
    compare = english("Compare SECRET_KEY, APPROVAL_KEY, AUDIT_KEY, BROKER_KEY and CREDENTIAL_KEYS on all hosts.")
    waits = english("This worker sends no approval that it cannot check, and uses no token that it cannot read.")
    title = english("A worker has other keys than this process")
    return Finding(Level.ACT, title, value, names, waits, (Step(compare),))


def _silent(silent: list[Heartbeat], value: str) -> Finding:
    look = english(
        "Look at its host and its log. If you have removed this worker for good, LicenseHub forgets it after two hours."
    )
    return Finding(
        Level.LOOK,
        english("A worker does not report"),
        value,
        english("No report since then: {names}.").format(names=", ".join(row.name for row in silent)),
        english("Its tasks are not lost: the other workers do them."),
        (Step(look),),
        min(last_sign(row) for row in silent),
    )


def _other_version(old: list[Heartbeat], value: str) -> Finding:
    listed = "; ".join(f"{row.name}: {row.version}" for row in old)
    return Finding(
        Level.ACT,
        english("A process runs another version"),
        value,
        english("This process runs {version}. Others: {listed}.").format(version=version(), listed=listed),
        english("Two versions may decide differently, so let all processes run the same version soon."),
        (
            Step(
                english("Restart the workers, the scheduler and the web processes of all hosts."),
                "sudo systemctl restart 'licensehub-*'",
            ),
            Step(english("If that does not help, a host was not updated.")),
        ),
    )


@check("queues")
def served_queues(context: Context) -> Finding:
    """Each queue has a worker, and no message waits for long."""
    known, names = context.processes, queues.queue_names()
    context.memory["paces"] = {name: asdict(pace) for name, pace in queues.paces().items()}
    value = english_plural("{count} queue", "{count} queues", len(names)).format(count=len(names))
    try:
        waiting = {one.queue: one for one in queues.waiting()}
    except queues.NoBroker:
        context.memory["waiting"] = {}
        return Finding(
            Level.ACT, english("The queues cannot be read, since the broker does not answer"), waits=NOT_LOST
        )
    context.memory["waiting"] = {one.queue: {"count": one.count, "oldest": one.oldest} for one in waiting.values()}
    counts = Counter({name: len(known.serving(name)) for name in names})
    alone = [name for name in names if not counts[name]]
    if alone and known.workers:
        return _not_served({name: waiting[name].count for name in alone}, value)
    slowest = max(waiting.values(), key=lambda one: one.oldest, default=None)
    if slowest is None or slowest.oldest < SLOW.total_seconds():
        return Finding(Level.OK, english("Each queue is served"), value)
    return _slow(slowest, value)


def _not_served(counts: dict[str, int], value: str) -> Finding:
    """Queue -> messages that wait there."""
    listed = ", ".join(f"{name} ({count})" for name, count in counts.items())
    first = next(iter(counts))
    start = Step(
        english("Start a worker for this queue, or add the queue to the list of a worker."),
        f"sudo systemctl start licensehub-worker@{first}",
    )
    title = english("No worker serves the queue {name}").format(name=first)
    detail = english("No worker has this queue in its list. Waiting messages: {listed}.").format(listed=listed)
    return Finding(Level.ACT, title, value, detail, NOT_LOST, (start,))


def _slow(slowest: queues.Waiting, value: str) -> Finding:
    is_stuck = slowest.oldest >= STUCK.total_seconds()
    detail = english_plural(
        "{count} message waits, for {minutes} minutes.",
        "{count} messages wait, the oldest for {minutes} minutes.",
        slowest.count,
    ).format(count=slowest.count, minutes=int(slowest.oldest // 60))
    look = (
        Step(
            english("Look at the log of its workers, and restart a worker that hangs."),
            "sudo journalctl -u 'licensehub-worker@*' -n 100",
        ),
        Step(english("If they work all the time, start more of them: docs/deploy.md.")),
    )
    title = english("Messages wait in the queue {name}").format(name=slowest.queue)
    return Finding(Level.ACT if is_stuck else Level.LOOK, title, value, detail, NOT_LOST, look)
