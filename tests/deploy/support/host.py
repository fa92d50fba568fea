"""A host in a scratch folder: the files of `deploy/` at their places, with other paths and unprivileged ports."""

from __future__ import annotations

import getpass
import grp
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.conf import settings

from tests.deploy.support.units import DEPLOY, Unit, folders, read, read_environment
from tests.deploy.support.users import Users

BASE = Path(settings.BASE_DIR)
# The folders of a host, where a path begins.
PLACES = re.compile(r"(?<![\w./-])/(?:opt/licensehub/\.venv/bin|opt/licensehub|etc/licensehub|run|var)(?=/|\s|$)")

TEMPORARY = "/tmp"  # noqa: S108 - a folder of the scratch host
# Hands a socket to a program as systemd does: https://www.freedesktop.org/software/systemd/man/sd_listen_fds.html
HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[2], sys.argv[2:])
"""


@dataclass
class Process:
    """A process that the host runs, with its output in a file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_seconds: float

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> int:
        """Stop the process as systemd does; returns the exit code. Raises if it does not end in time."""
        self.process.terminate()
        try:
            return self.process.wait(timeout=self.stop_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@dataclass
class Host:
    root: Path
    http: int
    https: int
    running: list[Process] = field(default_factory=list)
    # None: all processes run as the user of the test.
    users: Users | None = None
    # Name of a socket unit -> its socket, which stays open until the host stops.
    sockets: dict[str, socket.socket] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return f"https://localhost:{self.https}"

    def make(self) -> None:
        """The folders of tmpfiles.d, and the files that an admin copies."""
        for folder in (*folders(), "/var/log/nginx", TEMPORARY):
            self.path(folder).mkdir(parents=True, exist_ok=True)
        self.path(TEMPORARY).chmod(0o1777)
        for name in ("licensehub.env", "worker-short.env"):
            text = (DEPLOY / "etc" / name).read_text()
            text = text.replace("https://licensehub.example.com", self.base)
            file = self.path(f"/etc/licensehub/{name}")
            file.write_text(text.replace("licensehub.example.com", "localhost"))
            self._give(file, "root", 0o640)
        script = self.path("/usr/local/sbin/licensehub-manage")
        script.parent.mkdir(parents=True)
        text = self.here((DEPLOY / "bin" / "licensehub-manage").read_text())
        if not self.users:
            text = text.replace("user=licensehub-manage\n", f"user={getpass.getuser()}\n")
        script.write_text(text)
        script.chmod(0o755)

    def _give(self, path: Path, user: str, mode: int) -> None:
        """To a user of the host and their group, if the host has users of its own."""
        path.chmod(mode)
        if self.users:
            os.chown(path, self.users.uid(user), self.path("/var/lib/licensehub").stat().st_gid)

    def path(self, path: str) -> Path:
        """The place of a path of the host."""
        return self.root / path.lstrip("/")

    def here(self, text: str) -> str:
        """The text of a file or a command, with the places of this host."""
        return PLACES.sub(lambda found: self._place(found[0]), text)

    def _place(self, path: str) -> str:
        if path == "/opt/licensehub/.venv/bin":
            return str(Path(sys.executable).parent)
        return str(BASE) if path == "/opt/licensehub" else f"{self.root}{path}"

    def manage(self, *words: str, **variables: str) -> str:
        """`licensehub-manage` on the host, which must succeed."""
        command = [str(self.path("/usr/local/sbin/licensehub-manage")), *words]
        command = self.users.enter("", command) if self.users else command
        done = subprocess.run(command, env={**self.clean(), **variables}, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"licensehub-manage {shlex.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def clean(self) -> dict[str, str]:
        """The environment that a service gets: nothing of the settings of the tests."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "LANG": "C.UTF-8", "TMPDIR": str(self.path(TEMPORARY))}

    def start_unit(self, name: str) -> Process:
        """Start what the unit file says, with its variables and its credentials only."""
        unit = read(name)
        environment = {**self.clean(), **{key: self.here(text) for key, text in unit.environment().items()}}
        if "EnvironmentFile" in unit.values:
            # The minus says that it may be missing.
            path = self.path(unit.one("EnvironmentFile").removeprefix("-"))
            environment |= read_environment(path) if path.exists() else {}
        environment["CREDENTIALS_DIRECTORY"] = str(self._credentials(unit))
        command = [self.here(word) for word in unit.command(environment)]
        if self.users:
            command = self.users.enter(unit.one("User"), command, (*unit.writable(), TEMPORARY))
        handed: tuple[int, ...] = ()
        if "Requires" in unit.values:
            handed = (self._socket(unit.one("Requires")).fileno(),)
            command = [sys.executable, "-I", "-c", HAND_OVER, str(*handed), *command]
        folder = self.here(unit.one("WorkingDirectory"))
        seconds = float(unit.one("TimeoutStopSec"))
        return self.start(name, command, environment, folder, stop_seconds=seconds, pass_fds=handed)

    def start(
        self,
        name: str,
        command: list[str],
        environment: dict[str, str],
        folder: str,
        *,
        stop_seconds: float = 20,
        pass_fds: tuple[int, ...] = (),
    ) -> Process:
        log = self.root / f"{name}.log"
        how: dict[str, Any] = {"stderr": subprocess.STDOUT, "start_new_session": True, "pass_fds": pass_fds}
        with log.open("ab") as out:
            process = subprocess.Popen(command, env=environment, cwd=folder, stdout=out, **how)
        self.running.append(Process(name, process, log, stop_seconds))
        return self.running[-1]

    def restart_unit(self, name: str) -> Process:
        """`systemctl restart NAME`: the process must end without an error before the next one starts."""
        [former] = [one for one in self.running if one.name == name]
        self.running.remove(former)
        assert former.stop() == 0, former.text()
        return self.start_unit(name)

    def _socket(self, name: str) -> socket.socket:
        """The socket of a unit, which systemd makes before the first start of the service and keeps."""
        if name not in self.sockets:
            unit = read(name)
            made = self.sockets[name] = socket.socket(socket.AF_UNIX)
            path = self.path(unit.one("ListenStream"))
            made.bind(str(path))
            path.chmod(int(unit.one("SocketMode"), 8))
            if self.users:
                assert unit.one("SocketUser") == "root"
                os.chown(path, 0, grp.getgrnam(unit.one("SocketGroup")).gr_gid)
            made.listen(socket.SOMAXCONN)
        return self.sockets[name]

    def _credentials(self, unit: Unit) -> Path:
        folder = self.root / "run" / "credentials" / unit.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, source in unit.credentials().items():
            file = folder / name
            file.write_bytes(self.path(source).read_bytes())
            self._give(file, unit.one("User"), 0o400)
        self._give(folder, unit.one("User"), 0o500)
        return folder

    def wait_until(self, condition: Callable[[], object], what: str, seconds: float = 60, pause: float = 0.2) -> None:
        """Fails with the logs, also when a process ends by itself. `pause` is between two looks."""
        deadline = time.monotonic() + seconds
        while not condition():
            ended = [one.name for one in self.running if one.process.poll() is not None]
            if ended or time.monotonic() > deadline:
                logs = "\n".join(f"--- {one.name}\n{one.text()[-3000:]}" for one in self.running)
                pytest.fail(f"{what} did not happen. Ended by themselves: {ended}\n{logs}")
            time.sleep(pause)

    def stop(self) -> dict[str, int]:
        """Stop all in the opposite order. Name -> exit code."""
        codes = {}
        while self.running:
            one = self.running.pop()
            codes[one.name] = one.stop()
        while self.sockets:
            self.sockets.popitem()[1].close()
        return codes


def write_certificate(folder: Path) -> Path:
    """A certificate for localhost that signs itself; nginx and the visitors read it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begins = datetime.now(UTC) - timedelta(hours=1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "privkey.pem").write_bytes(key.private_bytes(*plain))
    (folder / "fullchain.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder / "fullchain.pem"
