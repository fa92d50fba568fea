"""The image and the services of `deploy/containers` in a scratch folder, without a container engine.

The commands are those of the Dockerfile and the compose file, with other places and ports. Two are not run: the images
of others are not fetched, and pip does not install: the packages of the tests have the same versions and hashes. For
root, the processes run as the user of the image, and can write into the volumes of their service only.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from licensehub.embedded import broker
from tests.deploy.support.container_files import FOLDER, command_of, compose, image, mounts_of, ours, secrets_of
from tests.deploy.support.host import BASE, TEMPORARY, Host, Process
from tests.deploy.support.units import read_environment
from tests.deploy.support.users import Users, missing

CODE, DATA, SOCKET = "/opt/licensehub", "/data", "/run/licensehub"
PLACES = re.compile(r"(?<![\w./-])/(?:opt/licensehub|run/(?:secrets|licensehub)|data|tmp)(?=[/:\s]|$)")
PIP = ".venv/bin/pip install --require-hashes --requirement requirements.txt"


@dataclass
class Containers:
    """`web` and `broker` are their ports. Secrets are in the place of those of a host."""

    host: Host
    web: int
    broker: int
    users: Users | None = None

    # --- The image ---

    def build(self) -> None:
        """Build as `docker build` does, from the same files."""
        for folder in ("/run/secrets", CODE, TEMPORARY):
            self.host.path(folder).mkdir(parents=True)
        self.host.path(TEMPORARY).chmod(0o1777)
        for source, target in image().copied.items():
            self._copy(BASE / source, self.host.path(CODE) / target)
        install, compile_all, make_user = image().runs
        make_venv, pip = install.split(" && ")
        assert pip == PIP
        self._run_in_code(make_venv)
        self._add_packages()
        self._run_in_code(compile_all)
        self._make_user(make_user)

    def _copy(self, source: Path, target: Path) -> None:
        """Copy as COPY does, without the files that Dockerfile.dockerignore names."""
        ignored = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
        patterns = [line.removeprefix("**/") for line in ignored if line.startswith("**/")]
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(*patterns))
        else:
            shutil.copy(source, target)

    def _run_in_code(self, command: str) -> None:
        environment = {**self.host.clean(), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.host.path(CODE), env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    def _add_packages(self) -> None:
        """In the place of pip: the packages of the tests, and the programs that start by the Python of the image."""
        venv = self.host.path(CODE) / ".venv"
        [folder] = venv.glob("lib/*/site-packages")
        (folder / "packages.pth").write_text(sysconfig.get_path("purelib"))
        for name in ("gunicorn", "celery"):
            text = (Path(sys.executable).parent / name).read_text()
            (venv / "bin" / name).write_text(f"#!{venv / 'bin' / 'python'}\n{text.partition(chr(10))[2]}")
            (venv / "bin" / name).chmod(0o755)

    def _make_user(self, command: str) -> None:
        """In files of the scratch folder, if the test is root."""
        users = Users(self.host.root)
        if not (reason := missing()):
            self.host.root.chmod(0o755)
            self.host.path("/etc").mkdir()
            for name in ("passwd", "group"):
                shutil.copy(Path("/etc", name), self.host.path("/etc") / name)
            reason = users.refused()
        if reason:
            sys.__stderr__.write(f"\n!!! The containers run as the user of the test: {reason}\n")
            for folder in {folder for service in ours() for folder in mounts_of(service)} - {TEMPORARY}:
                self.host.path(folder).mkdir(parents=True)
            return
        self.users = users
        for one in self.place(command).split(" && "):
            # The others write into the files that a process of the scratch folder sees as those of /etc.
            here = re.sub(r"^(groupadd|useradd) ", rf"\1 --prefix {self.host.root} ", one)
            words = self.users.enter("", ["sh", "-c", here]) if here == one else ["sh", "-c", here]
            done = subprocess.run(words, env=self.host.clean(), capture_output=True, text=True)
            assert done.returncode == 0, f"{here}\n{done.stderr}"

    # --- The services ---

    def place(self, text: str, service: str = "") -> str:
        """The text of a file with the places and ports of this scratch folder."""
        text = PLACES.sub(lambda found: f"{self.host.root}{found[0]}", text)
        text = re.sub(r"(/run/secrets)(?=/|$)", rf"\1/{service}", text)
        return re.sub(r"\b(?:0\.0\.0\.0|127\.0\.0\.1):8000\b", f"127.0.0.1:{self.web}", text)

    def give_secrets(self, service: str) -> None:
        """The files in /run/secrets: each belongs to the user of the image, as docs/deploy-containers.md says."""
        folder = self.host.path(f"/run/secrets/{service}")
        folder.mkdir()
        for name, source in secrets_of(service).items():
            shutil.copy(self.host.path("/etc/licensehub") / source, folder / name)
            if self.users:
                shutil.chown(folder / name, self.users.uid("licensehub"))

    def run(self, service: str, command: list[str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command of the service, or another one as `docker compose exec` does, to its end."""
        words = self._words(command or command_of(service), service)
        env, place = self._environment(service), self.host.path(CODE)
        return subprocess.run(words, cwd=place, env=env, capture_output=True, text=True, timeout=180)

    def start(self, service: str, number: int = 1) -> Process:
        words, environment = self._words(command_of(service), service), self._environment(service)
        stops = float(compose()["services"][service]["stop_grace_period"].removesuffix("s"))
        return self.host.start(f"{service}-{number}", words, environment, str(self.host.path(CODE)), stop_seconds=stops)

    def restart(self, service: str) -> None:
        """Start it again, like `docker compose up` after an update. The former process must end without an error."""
        [former] = [one for one in self.host.running if one.name == f"{service}-1"]
        self.host.running.remove(former)
        assert former.stop() == 0, former.text()
        self.start(service)

    def start_broker(self) -> Process:
        """With the command of the compose file, and the configuration that `make_secrets.py` wrote."""
        places = {
            "valkey-server": str(broker.binary()),
            "/run/secrets/valkey.conf": str(self.host.path("/etc/licensehub/secrets/redis.conf")),
            "0.0.0.0": "127.0.0.1",  # noqa: S104 - it is replaced
            DATA: str(self.host.root / "valkey"),
        }
        (self.host.root / "valkey").mkdir()
        words = [places.get(word, word) for word in compose()["services"]["valkey"]["command"]]
        return self.host.start("valkey", [*words, "--port", str(self.broker)], self.host.clean(), str(self.host.root))

    def _words(self, command: list[str], service: str) -> list[str]:
        words = [self.place(word, service) for word in command]
        writable = [folder for folder, (_, rights) in mounts_of(service).items() if rights == "rw"]
        return self.users.enter("licensehub", words, tuple(writable)) if self.users else words

    def _environment(self, service: str) -> dict[str, str]:
        given = {**image().variables, **ours()[service].get("environment", {})}
        placed = {name: self.place(text, service) for name, text in given.items()}
        return {**self.host.clean(), **placed, **read_environment(self.host.root / "site.env")}
