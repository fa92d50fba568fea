"""The license of each package: from its metadata, or read by a person where the metadata does not name it in SPDX."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from supply_chain.packages import DIRECT, ROOT, Package

REPORT = ROOT / "docs" / "licenses.md"
# SPDX ids that LicenseHub may be delivered with. Each permits use in a company without publishing one's own code. The
# LGPL and the MPL do so as long as the package itself is not changed; it is installed as it is published.
ALLOWED = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "LGPL-3.0-only",
        "LGPL-3.0-or-later",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "MPL-2.0",
        "PSF-2.0",
    }
)
# Names that old metadata has for one license only.
SPDX = {
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "New BSD": "BSD-3-Clause",
}
# Read in the package's own license file: its metadata says only "BSD" or the like, or it is not on every machine.
READ_BY_A_PERSON = {
    "amqp": "BSD-3-Clause",
    "async-timeout": "Apache-2.0",
    "billiard": "BSD-3-Clause",
    "colorama": "BSD-3-Clause",
    "django-celery-beat": "BSD-3-Clause",
    "django-csp": "BSD-3-Clause",
    "fido2": "BSD-2-Clause AND Apache-2.0 AND MPL-2.0",
    "isodate": "BSD-3-Clause",
    "prompt-toolkit": "BSD-3-Clause",
    "python-crontab": "LGPL-3.0-or-later",
    "python-dateutil": "Apache-2.0 AND BSD-3-Clause",
    "qrcode": "BSD-3-Clause AND MIT",
    "reportlab": "BSD-3-Clause",
    "sqlparse": "BSD-3-Clause",
    "valkey": "MIT",
    "vine": "BSD-3-Clause",
}
_IDS = re.compile(r"[A-Za-z0-9.+-]+")
_OPERATORS = frozenset({"AND", "OR", "WITH"})
HEADER = """# Licenses

Every package that LicenseHub needs at run time, with its license as SPDX names it. `make licenses` writes this page
from `requirements.txt`. CI fails when it is not current, or when a package has a license outside of this list:
{allowed}.

The licenses of the packages that only development needs are not listed: nobody gets those packages with LicenseHub.

| package | version | license | needed by |
|---|---|---|---|
"""


def license_of(package: Package) -> str:
    """An SPDX expression; empty where nobody has said which."""
    if package.name in READ_BY_A_PERSON:
        return READ_BY_A_PERSON[package.name]
    try:
        declared = metadata.metadata(package.name)
    except metadata.PackageNotFoundError:
        return ""
    if "License-Expression" in declared:
        return declared["License-Expression"]
    classifiers = [line for line in declared.get_all("Classifier") or () if line.startswith("License ::")]
    names = [*(declared.get_all("License") or ()), *(line.rsplit(" :: ", 1)[-1] for line in classifiers)]
    known = {SPDX.get(name, name) for name in names} & ALLOWED
    # Several names may mean "all of them" or "one of them": a person reads that.
    return known.pop() if len(known) == 1 else ""


def problems(found: list[Package]) -> list[str]:
    """A sentence for each package without a license, or with one that is not allowed."""
    sentences = []
    for package in found:
        expression = license_of(package)
        foreign = sorted(set(_IDS.findall(expression)) - _OPERATORS - ALLOWED)
        if not expression:
            sentences.append(f"{package.name}: its license is not known. Read it, and add it to READ_BY_A_PERSON.")
        elif foreign:
            sentences.append(f"{package.name}: {', '.join(foreign)} is not in ALLOWED.")
    return sentences


def report(found: list[Package]) -> str:
    """The page `docs/licenses.md`."""
    lines = [HEADER.format(allowed=", ".join(sorted(ALLOWED)))]
    for one in found:
        needed_by = ", ".join("LicenseHub" if parent == DIRECT else parent for parent in one.needed_by)
        lines.append(f"| {one.name} | {one.version} | {license_of(one)} | {needed_by} |\n")
    return "".join(lines)


def is_current(found: list[Package], page: Path = REPORT) -> bool:
    return page.exists() and page.read_text() == report(found)
