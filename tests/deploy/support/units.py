"""Reads the unit files of `deploy/systemd`, and starts what they start, as systemd would on a host.

Only what these files use is understood: specifiers %i and %%, variables as ${NAME}, and drop-ins for a prefix.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

DEPLOY = Path(settings.BASE_DIR) / "deploy"
SYSTEMD = DEPLOY / "systemd"
COMMON = SYSTEMD / "licensehub-.service.d"


@dataclass
class Unit:
    """`values` are the lines of all sections, in their order; a line may come several times."""

    name: str
    values: dict[str, list[str]] = field(default_factory=dict)

    @property
    def instance(self) -> str:
        """The text between @ and the dot."""
        return self.name.partition("@")[2].removesuffix(".service")

    def one(self, key: str) -> str:
        [value] = self.values[key]
        return self._plain(value)

    def environment(self) -> dict[str, str]:
        """The variables that the unit sets itself, without those of its files."""
        words = [word for line in self.values.get("Environment", []) for word in shlex.split(self._plain(line))]
        return dict(word.split("=", 1) for word in words)

    def credentials(self) -> dict[str, str]:
        """Name -> path on the host."""
        return dict(line.split(":", 1) for line in self.values.get("LoadCredential", []))

    def writable(self) -> tuple[str, ...]:
        """All folders of the host that the process can write; ProtectSystem=strict leaves it no other."""
        return tuple(path for line in self.values.get("ReadWritePaths", []) for path in line.split())

    def command(self, environment: dict[str, str]) -> list[str]:
        """The words of ExecStart. Each ${NAME} is a part of one word."""
        words = shlex.split(self.one("ExecStart"))
        return [re.sub(r"\$\{(\w+)\}", lambda found: environment[found[1]], word) for word in words]

    def _plain(self, text: str) -> str:
        known = {"%%": "%", "%i": self.instance}
        return re.sub(r"%.", lambda found: known[found[0]], text)


def read(name: str) -> Unit:
    """A unit of the repository with its drop-ins, e.g. `licensehub-worker@download.service`."""
    unit = Unit(name)
    drop_ins = sorted(COMMON.glob("*.conf")) if name.endswith(".service") else []
    for path in [SYSTEMD / re.sub(r"@[^.]*", "@", name), *drop_ins]:
        for line in path.read_text().splitlines():
            key, sign, value = line.partition("=")
            if sign and not line.startswith(("#", ";")):
                unit.values.setdefault(key.strip(), []).append(value.strip())
    return unit


def folders() -> dict[str, tuple[str, str, str]]:
    """Path -> mode, user and group of each folder of `deploy/tmpfiles.d`."""
    lines = (DEPLOY / "tmpfiles.d" / "licensehub.conf").read_text().splitlines()
    found = [line.split() for line in lines if line.startswith("d ")]
    return {path: (mode, user, group) for _, path, mode, user, group in found}


def read_environment(path: Path) -> dict[str, str]:
    """A file of EnvironmentFile."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)
