"""The packages that LicenseHub needs at run time, as the compiled file of requirements pins them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements.txt"
DIRECT = "-r requirements.in"
_PIN = re.compile(r"(?P<name>[a-z0-9._-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]+?))? \\?$")
_VIA = re.compile(r"    #   (?P<one>\S.*)|    # via (?P<only>\S.*)")


@dataclass(slots=True)
class Package:
    """`marker` is empty for packages that every machine has; `needed_by` has names of packages, or `DIRECT`."""

    name: str
    version: str
    marker: str = ""
    needed_by: list[str] = field(default_factory=list)

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def packages(text: str = "") -> list[Package]:
    """All packages of the compiled file, sorted by name."""
    found: list[Package] = []
    for line in (text or REQUIREMENTS.read_text()).splitlines():
        if pin := _PIN.match(line):
            found.append(Package(pin["name"], pin["version"], pin["marker"] or ""))
        elif via := _VIA.match(line):
            found[-1].needed_by.append(via["one"] or via["only"])
    return found
