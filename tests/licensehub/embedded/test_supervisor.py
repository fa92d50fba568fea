"""The embedded mode's supervisor, with small child processes: all run, or none."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest

from licensehub.embedded import broker
from licensehub.embedded.errors import CannotRunError
from licensehub.embedded.processes import free_port, require_free, require_writable_var

# The supervisor needs the main thread, and forks. So it runs in a process of its own, like `manage.py run`.
PROGRAM = """
import os, sys, time
from pathlib import Path
import django
django.setup()
from licensehub.embedded.errors import CannotRunError
from licensehub.embedded.processes import Child
from licensehub.embedded.supervisor import Supervisor

folder = Path(sys.argv[1])
def child(name, code, last=False):
    note = f"import os,signal,sys,time; open({str(folder / name)!r},'w').write(str(os.getpid()));"
    return Child(name, [sys.executable, "-c", note + code], stops_last=last)

def ends(name):
    note = f"open({str(folder / 'order')!r},'a').write('{name} ')"
    return f"signal.signal(signal.SIGTERM, lambda *_: ({note}, sys.exit(0)));"
FOREVER = "print('up', flush=True); time.sleep(600)"
def ready(*names):
    while not all((folder / name).exists() and (folder / name).read_text() for name in names):
        time.sleep(0.05)
    time.sleep(0.3)
"""


def start(tmp_path, code: str) -> subprocess.Popen[str]:
    program = PROGRAM + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def runs(tmp_path, name: str) -> bool:
    """Whether the process runs. A zombie does not."""
    command = ["ps", "-o", "stat=", "-p", (tmp_path / name).read_text()]
    state = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


def test_the_foreground_gives_the_exit_code_and_stops_all(tmp_path):
    process = start(
        tmp_path,
        """
        children = [child("broker", ends("broker") + FOREVER, last=True), child("web", ends("web") + FOREVER)]
        sys.exit(Supervisor(children, logs=folder / "logs").run(lambda: ready("broker", "web") or 7))
        """,
    )
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (7, "")
    assert (tmp_path / "order").read_text() == "web broker "
    assert "up" in (tmp_path / "logs" / "web.log").read_text()
    assert not runs(tmp_path, "web")
    assert not runs(tmp_path, "broker")


def test_an_error_of_the_foreground_is_raised_after_all_have_stopped(tmp_path):
    process = start(
        tmp_path,
        """
        def fail():
            ready("web")
            raise CannotRunError("the foreground's own sentence")
        try:
            Supervisor([child("web", FOREVER)], logs=folder / "logs").run(fail)
        except CannotRunError as problem:
            print(problem)
        """,
    )
    assert process.communicate(timeout=60)[0] == "the foreground's own sentence\n"
    assert not runs(tmp_path, "web")


def test_a_dead_child_stops_all(tmp_path):
    process = start(
        tmp_path,
        """
        try:
            Supervisor([child("web", FOREVER), child("worker", "time.sleep(1); sys.exit(0)")]).run()
        except CannotRunError as problem:
            print(problem)
            sys.exit(1)
        """,
    )
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "The process worker ended by itself" in output
    assert not runs(tmp_path, "web")


@pytest.mark.parametrize(
    ("number", "foreground", "expected"),
    [(signal.SIGINT, "None", 0), (signal.SIGTERM, "None", 0), (signal.SIGINT, "lambda: time.sleep(60)", 130)],
)
def test_a_signal_stops_all_with_grandchildren(tmp_path, number, foreground, expected):
    process = start(
        tmp_path,
        f"""
        grand = f"import subprocess; subprocess.Popen([sys.executable, '-c', {{child('grand', FOREVER).argv[2]!r}}]);"
        sys.exit(Supervisor([child("web", grand + FOREVER)]).run({foreground}))
        """,
    )
    deadline = time.monotonic() + 30
    while not all((tmp_path / name).exists() for name in ("web", "grand")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == expected
    assert not runs(tmp_path, "web")
    assert not runs(tmp_path, "grand")


def test_a_killed_child_takes_its_own_children_along(tmp_path):
    process = start(
        tmp_path,
        """
        grand = f"import subprocess; subprocess.Popen([sys.executable, '-c', {child('grand', FOREVER).argv[2]!r}]);"
        def kill():
            ready("worker", "grand")
            os.kill(int((folder / "worker").read_text()), 9)
        try:
            Supervisor([child("worker", grand + FOREVER)], logs=folder / "logs").run(kill)
        except CannotRunError as problem:
            print(problem)
        """,
    )
    output, _ = process.communicate(timeout=60)
    assert "The process worker ended by itself" in output
    assert not runs(tmp_path, "grand")


def test_a_port_in_use_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(CannotRunError, match=rf"^Port {port} on 127\.0\.0\.1 cannot be used .*WEB_PORT"):
            require_free(port)
    require_free(free_port())


def test_an_unwritable_folder_is_one_sentence(settings):
    settings.VAR_DIR = settings.VAR_DIR.__class__("/dev/null/var")
    with pytest.raises(CannotRunError, match="LICENSEHUB_VAR"):
        require_writable_var()


def test_a_second_broker_is_refused(valkey_server, tmp_path):
    with pytest.raises(CannotRunError, match="already answers"):
        broker.prepare(valkey_server, tmp_path)
    assert valkey_server.parent.stat().st_mode & 0o777 == 0o700


def test_a_link_in_the_place_of_the_runtime_folder_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CannotRunError, match="belongs to somebody else"):
        broker.own_folder(tmp_path / "run")


def test_a_broker_that_does_not_run_is_asked_once(tmp_path, monkeypatch):
    """redis-py would try again for seconds by default, and the start of LicenseHub would wait for that."""
    monkeypatch.setattr("redis.retry.sleep", lambda seconds: pytest.fail(f"It waits {seconds} s."))
    assert not broker.answers(tmp_path / "valkey.sock")
