"""The software bill of materials in CycloneDX: all packages with hashes, licenses, and which one needs which.

The same requirements give the same bytes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from supply_chain.licenses import license_of
from supply_chain.packages import DIRECT, REQUIREMENTS, ROOT, Package


def sbom(found: list[Package]) -> str:
    """The document as JSON text."""
    tool = str(Path(sys.executable).with_name("cyclonedx-py"))
    command = [tool, "requirements", "--output-reproducible", "--of", "JSON", str(REQUIREMENTS)]
    # A date in the document would make each one another.
    env = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    done = subprocess.run(command, capture_output=True, check=True, env=env)  # noqa: S603 - our own command
    document: dict[str, Any] = json.loads(done.stdout)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    root = f"pkg:pypi/{project['name']}@{project['version']}"
    document["metadata"]["component"] = {
        "type": "application",
        "bom-ref": root,
        "name": project["name"],
        "version": project["version"],
        "description": project["description"],
    }
    by_name = {package.name: package for package in found}
    for component in document["components"]:
        package = by_name[component["name"]]
        component.pop("description", None)  # the line of the requirements
        component |= {"bom-ref": package.purl, "licenses": [{"expression": license_of(package)}]}
    document["dependencies"] = _dependencies(root, found)
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _dependencies(root: str, found: list[Package]) -> list[dict[str, Any]]:
    parents = {DIRECT: root} | {package.name: package.purl for package in found}
    return [
        {"ref": ref, "dependsOn": sorted(child.purl for child in found if name in child.needed_by)}
        for name, ref in parents.items()
    ]
