"""Runs the processes of the embedded mode together: when one ends, all end."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import honcho.manager
import honcho.printer
import honcho.process
import requests
from django.conf import settings
from django.db import connections

from licensehub.embedded.errors import CannotRunError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from licensehub.embedded.processes import Child

STOP_SECONDS: Final = 20.0
BROKER_STOP_SECONDS: Final = 5.0
INTERRUPTED: Final = 130

# `_Manager._stop_in_order` stops the processes; honcho's own wait is so long that it never comes first.
honcho.manager.KILL_WAIT = 10 * STOP_SECONDS


class Supervisor:
    """`run` starts the children and returns when every one of them has ended.

    With `logs`, each child writes into `<logs>/<name>.log` instead of onto the terminal. `foreground` runs in a
    thread once the children are started: an int that it returns stops everything and becomes the exit code,
    None leaves the children running, and an exception stops everything and is raised again from `run`.
    `stopping` is set as soon as stopping begins, so that a waiting foreground can end.
    """

    def __init__(self, children: list[Child], *, logs: Path | None = None) -> None:
        self.stopping = threading.Event()
        self._children = children
        self._logs = logs
        self._result: int | None = None
        self._problem: BaseException | None = None
        self._finished = threading.Event()

    def run(self, foreground: Callable[[], int | None] | None = None) -> int:
        """Serve until Ctrl-C, SIGTERM, the end of `foreground`, or the death of a child."""
        manager = self._manager(foreground)
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            manager.loop()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return self._outcome(manager)

    def _manager(self, foreground: Callable[[], int | None] | None) -> _Manager:
        printer = LogFiles(self._logs) if self._logs else honcho.printer.Printer(sys.stdout)
        manager = _Manager(printer, self._children, self.stopping)
        if foreground is None:
            self._finished.set()
        else:
            manager.when_started = lambda: self._start(foreground, manager)
        return manager

    def _start(self, foreground: Callable[[], int | None], manager: _Manager) -> None:
        threading.Thread(target=self._drive, args=(foreground, manager), name="foreground", daemon=True).start()

    def _drive(self, foreground: Callable[[], int | None], manager: _Manager) -> None:
        try:
            self._result = foreground()
        except BaseException as problem:  # noqa: BLE001 - raised again by run() in the main thread
            self._problem = problem
        finally:
            connections.close_all()
            # An error that comes from stopping is not reported.
            if not self.stopping.is_set():
                self._finished.set()
                if self._problem is not None or self._result is not None:
                    manager.terminate()

    def _outcome(self, manager: _Manager) -> int:
        if self._finished.is_set() and self._problem is not None:
            raise self._problem
        if self._finished.is_set() and self._result is not None:
            return self._result
        if manager.died:
            where = f"; see {self._logs / manager.died}.log" if self._logs else ""
            raise CannotRunError(f"The process {manager.died} ended by itself, so all others were stopped{where}.")
        return 0 if self._finished.is_set() else INTERRUPTED


class _Manager(honcho.manager.Manager):  # type: ignore[misc]  # honcho has no types
    """honcho's manager, which stops the processes in an order.

    honcho sends SIGTERM to whole process groups at once. Then the processes that run the worker's tasks would end
    before Celery can finish the tasks, and the broker before the worker has given its tasks back.
    """

    def __init__(self, printer: Any, children: list[Child], stopping: threading.Event) -> None:
        super().__init__(printer)
        self._process_ctor = _Process
        self.died = ""
        self.when_started: Callable[[], None] | None = None
        self._stopping = stopping
        self._last = {child.name for child in children if child.stops_last}
        for child in children:
            # `exec`, so that the pid is the program's and not its shell's.
            environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
            command = f"exec {shlex.join(child.argv)}"
            self.add_process(child.name, command, env=environment, cwd=str(settings.BASE_DIR))

    def _start(self) -> None:
        super()._start()
        if self.when_started is not None:
            # Only now: a process that is forked beside a running thread may inherit a held lock.
            self.when_started()

    def terminate(self) -> None:
        """Begin to stop; honcho calls this from its signal handler and when a child has ended."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self.returncode not in (signal.SIGINT + 128, signal.SIGTERM + 128):
            self.died = next((name for name, facts in self._processes.items() if "returncode" in facts), "")
        threading.Thread(target=self._stop_in_order, name="stopping").start()

    def _stop_in_order(self) -> None:
        self._wait_until(self._all_started, STOP_SECONDS)
        self._stop(set(self._processes) - self._last, STOP_SECONDS)
        self._stop(self._last, BROKER_STOP_SECONDS)

    def _stop(self, names: set[str], seconds: float) -> None:
        """Ask the leaders to stop, and kill those that still run then, with all their children."""
        for pid in self._running(names):
            _signal(os.kill, pid, signal.SIGTERM)
        self._wait_until(lambda: not self._running(names), seconds)
        for pid in self._running(names):
            _signal(os.killpg, pid, signal.SIGKILL)

    def _running(self, names: set[str]) -> list[int]:
        facts = [self._processes[name] for name in names]
        return [fact["pid"] for fact in facts if fact.get("pid") and "returncode" not in fact]

    def _wait_until(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.05)


class _Process(honcho.process.Process):  # type: ignore[misc]  # honcho has no types
    """honcho reports the end of a child when no process holds its output open."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._child_ctor = _Leader


class _Leader(honcho.process.Popen):  # type: ignore[misc]  # honcho has no types
    """Ends the processes that the leader started when it has died: they would hide its death."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        threading.Thread(target=self._end_group, daemon=True).start()

    def _end_group(self) -> None:
        self.wait()
        _signal(os.killpg, self.pid, signal.SIGKILL)


def _signal(send: Callable[[int, int], None], pid: int, number: signal.Signals) -> None:
    """Signal a process that may have ended meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        send(pid, number)


class LogFiles:
    """A printer for honcho that writes the lines of each process into a file of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self.width = 0

    def write(self, message: Any) -> None:
        """One line, with the day and the time in front."""
        data = message.data
        line = data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)
        with (self.folder / f"{message.name}.log").open("a", encoding="utf-8") as file:
            file.write(f"{message.time:%Y-%m-%d %H:%M:%S} {line.rstrip()}\n")


def wait_for_http(url: str, seconds: float = 60, stopping: threading.Event | None = None) -> None:
    """Wait until this address on our own machine answers with success."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not (stopping and stopping.is_set()):
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            if requests.get(url, timeout=5, allow_redirects=False).ok:
                return
        time.sleep(0.2)
    raise CannotRunError(f"{url} did not answer within {seconds:.0f} seconds.")
