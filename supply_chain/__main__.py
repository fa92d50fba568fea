"""`python -m supply_chain sbom | release | licenses [--write] | vulnerabilities`. Exit code 1 says what is wrong."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from supply_chain import licenses
from supply_chain.packages import ROOT, Package, packages
from supply_chain.release import ReleaseError, release
from supply_chain.sbom import sbom
from supply_chain.vulnerabilities import audit

SBOM = ROOT / "var" / "licensehub.cdx.json"
RELEASES = ROOT / "var" / "release"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m supply_chain")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("sbom").add_argument("--output", type=Path, default=SBOM)
    commands.add_parser("release").add_argument("--output", type=Path, default=RELEASES)
    commands.add_parser("licenses").add_argument("--write", action="store_true")
    commands.add_parser("vulnerabilities")
    options = parser.parse_args()
    found = packages()
    if options.command == "sbom":
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(sbom(found))
        return _say(f"{len(found)} packages in {options.output}", wrong=False)
    if options.command == "release":
        try:
            return _say(*map(str, release(options.output, root=ROOT, materials=sbom(found))), wrong=False)
        except ReleaseError as problem:
            return _say(str(problem), wrong=True)
    return _licenses(found, write=options.write) if options.command == "licenses" else _vulnerabilities()


def _licenses(found: list[Package], *, write: bool) -> int:
    if problems := licenses.problems(found):
        return _say(*problems, wrong=True)
    if write:
        licenses.REPORT.write_text(licenses.report(found))
    elif not licenses.is_current(found):
        return _say("docs/licenses.md is not current: run `make licenses`.", wrong=True)
    return _say(f"{len(found)} packages, each with an allowed license.", wrong=False)


def _vulnerabilities() -> int:
    result = audit()
    if not result.reached:
        required = os.environ.get("AUDIT_REQUIRED", "") not in ("", "0")
        return _say("Not reached: the data on vulnerabilities. No package was looked up.", wrong=required)
    not_found = [f"{name}: not found in the data" for name in result.left_out]
    if not result.clean:
        return _say(*result.findings, *not_found, wrong=True)
    return _say(f"{result.packages} packages, no known vulnerability.", wrong=False)


def _say(*sentences: str, wrong: bool) -> int:
    stream = sys.stderr if wrong else sys.stdout
    stream.writelines(f"{sentence}\n" for sentence in sentences)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
