"""Ask pip-audit for known vulnerabilities of the packages, where its data can be reached."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supply_chain.packages import REQUIREMENTS, ROOT

# In an environment of its own: it needs other versions of some packages than LicenseHub does.
AUDITOR = ROOT / "requirements-audit.txt"
SECONDS = 600
_NETWORK = re.compile(
    r"ConnectionError|ProxyError|ConnectTimeout|ReadTimeout|SSLError|Failed to fetch|error sending request"
)


@dataclass(slots=True)
class Audit:
    """`reached` is False where no package could be looked up; then `findings` and `left_out` are empty."""

    reached: bool
    packages: int = 0
    findings: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return self.reached and not self.findings and not self.left_out


def audit() -> Audit:
    """Look all packages up. Raises `RuntimeError` when pip-audit fails for another reason than the network."""
    uv = str(Path(sys.executable).with_name("uv"))
    alone = [
        "run",
        "--no-project",
        "--isolated",
        "--quiet",
        "--python",
        sys.executable,
        "--with-requirements",
        str(AUDITOR),
    ]
    asked = ["pip-audit", "--requirement", str(REQUIREMENTS), "--disable-pip", "--require-hashes", "--format", "json"]
    command = [uv, *alone, *asked, "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)  # noqa: S603 - our own command
    return read(done.stdout, done.stderr)


def read(answer: str, errors: str) -> Audit:
    """Read the answer of pip-audit: `answer` is its JSON document, empty when it could not finish."""
    if not answer.strip():
        if _NETWORK.search(errors):
            return Audit(reached=False)
        raise RuntimeError(f"pip-audit failed: {errors.strip()[-500:]}")
    packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    # A package index without such data says "not found" to each.
    left_out = [package["name"] for package in packages if "skip_reason" in package]
    if len(left_out) == len(packages):
        return Audit(reached=False)
    findings = [
        f"{one['name']} {one['version']}: {found['id']}, fixed in {', '.join(found['fix_versions']) or 'none yet'}"
        for one in packages
        for found in one.get("vulns", ())
    ]
    return Audit(reached=True, packages=len(packages), findings=findings, left_out=left_out)
