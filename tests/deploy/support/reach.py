"""Tries what a process of one user of the scratch host could do to the others, if somebody took it over."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django

from tests.deploy.support.host import BASE, Host
from tests.deploy.support.units import folders, read

WEB, WORKER, BEAT, MANAGE = (f"licensehub-{name}" for name in ("web", "worker", "beat", "manage"))
NGINX = "www-data"
# Runs as the user, and prints which of the acts it was allowed.
PROBE = """
import json, os, socket, sys

def read(path):
    with open(path, "rb") as file:
        file.read(0 if path.endswith("/mem") else 1)

def change(path):
    os.close(os.open(path, os.O_RDWR))

def make(folder):
    path = os.path.join(folder, "made-by-the-probe")
    os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    os.unlink(path)

def signal(number):
    os.kill(int(number), 0)

def connect(path):
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(path)

allowed = []
for name, what in json.load(sys.stdin):
    try:
        globals()[name](what)
    except OSError:
        continue
    allowed.append([name, what])
print(json.dumps(allowed))
"""

WAITS = """
import os, sys
print(os.getpid(), os.environ["CREDENTIALS_DIRECTORY"], flush=True)
sys.stdin.read()
"""

# With Yama, no process reads the memory of another one, not even of its own user.
YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")
READABLE = ("environ",) if YAMA.exists() and YAMA.read_text().strip() != "0" else ("environ", "mem")
Act = tuple[str, str]


def tried(host: Host, user: str, acts: set[Act]) -> set[Act]:
    """Those of the acts that the user may do. Nothing is read-only for it: only owners and modes count."""
    assert host.users
    command = host.users.enter("", ["setpriv", *_as(host, user), sys.executable, "-I", "-c", PROBE])
    given = json.dumps(sorted(acts))
    done = subprocess.run(command, input=given, env=host.clean(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return {(name, what) for name, what in json.loads(done.stdout)}


def _as(host: Host, user: str) -> list[str]:
    group = "licensehub" if user != NGINX else NGINX
    return ["--reuid", user, "--regid", group, "--init-groups", "--inh-caps=-all", "--bounding-set=-all"]


def assert_apart(host: Host) -> None:
    """Each user reaches its own processes and files and nothing of the others: both are tried by the same program."""
    settings, web_socket = host.path("/etc/licensehub/licensehub.env"), host.path("/run/licensehub/web.sock")
    with a_command(host) as command:
        processes = [*_units(host), command]
        assert {user for user, *_ in processes} == {WEB, WORKER, BEAT, MANAGE}
        allowed = {user: _files(host, user) for user in (WEB, WORKER, BEAT, MANAGE, NGINX)}
        for user, number, credentials in processes:
            allowed[user] |= {("read", f"/proc/{number}/{what}") for what in READABLE}
            allowed[user] |= {("signal", number), *(("read", str(path)) for path in credentials.iterdir())}
        for user in (WEB, WORKER, BEAT, MANAGE):
            allowed[user].add(("read", str(settings)))
        allowed[NGINX].add(("connect", str(web_socket)))
        every = set().union(*allowed.values()) | _for_root_only(host)
        for user, expected in allowed.items():
            assert (found := tried(host, user, every)) == expected, f"{user}: {sorted(found ^ expected)}"


@contextmanager
def a_command(host: Host) -> Iterator[tuple[str, str, Path]]:
    """A command of `licensehub-manage` that is under way: user, number of the process, folder of its secrets."""
    assert host.users
    words = [str(host.path("/usr/local/sbin/licensehub-manage")), "shell", "--no-imports", "-c", WAITS]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(host.users.enter("", words), env=host.clean(), **pipes) as process:
        number, folder = process.stdout.readline().split()
        yield MANAGE, number, Path(folder)
        process.stdin.close()
        assert process.wait(timeout=60) == 0
    assert not Path(folder).exists()


def _units(host: Host) -> Iterator[tuple[str, str, Path]]:
    """User, number and folder of the credentials of each process."""
    for one in host.running:
        if one.name.startswith("licensehub-"):
            yield read(one.name).one("User"), str(one.process.pid), host.root / "run" / "credentials" / one.name


def _files(host: Host, user: str) -> set[Act]:
    """The acts on files that the user alone may do."""
    found = {("make", str(host.path(path))) for path, (_, owner, _) in folders().items() if owner == user}
    heads = host.path("/var/lib/licensehub").glob(f"{user.removeprefix('licensehub-')}/audit-head.*")
    found |= {("change", str(path)) for path in heads}
    if user == MANAGE:
        found.add(("change", str(host.path("/var/lib/licensehub/static/staticfiles.json"))))
    return found


def _for_root_only(host: Host) -> set[Act]:
    secrets = {("read", str(path)) for path in host.path("/etc/licensehub/secrets").rglob("*") if path.is_file()}
    made = {("make", str(host.path(path))) for path, (_, owner, _) in folders().items() if owner == "root"}
    changed = {host.path("/etc/licensehub/licensehub.env"), BASE / "manage.py", Path(django.__file__)}
    anchors = host.path("/var/lib/licensehub/anchors/audit-anchors.jsonl")
    # Where the file system cannot make a file append-only, the group can also shorten it.
    if "a" in subprocess.run(["lsattr", str(anchors)], capture_output=True, text=True).stdout.partition(" ")[0]:
        changed.add(anchors)
    return secrets | made | {("change", str(path)) for path in changed}
