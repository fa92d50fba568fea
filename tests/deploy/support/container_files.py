"""Reads the Dockerfile and the compose file of `deploy/containers`, as far as these two go."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings

FOLDER = Path(settings.BASE_DIR) / "deploy" / "containers"
COMPOSE = FOLDER / "compose.yaml"


@dataclass
class Image:
    """The last stage of the Dockerfile. `copied` (sources in the repository -> target) and `runs` are of all stages."""

    variables: dict[str, str] = field(default_factory=dict)
    user: str = ""
    stop_signal: str = ""
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    copied: dict[str, str] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    stages: int = 0


@cache
def image() -> Image:
    found = Image()
    text = re.sub(r"\\\n\s*", "", (FOLDER / "Dockerfile").read_text())
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found = Image(copied=found.copied, runs=found.runs, stages=found.stages + 1)
        elif word == "ENV":
            found.variables |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif word == "USER":
            found.user = rest
        elif word == "STOPSIGNAL":
            found.stop_signal = rest
        elif word == "CMD":
            found.command = json.loads(rest)
        elif word == "HEALTHCHECK":
            found.health = json.loads(rest.partition("CMD ")[2])
        elif word == "COPY" and "--from" not in rest:
            *sources, target = rest.split()
            found.copied |= dict.fromkeys(sources, target)
        elif word == "RUN":
            found.runs.append(rest)
    return found


@cache
def compose() -> dict[str, Any]:
    """Read the file as Docker Compose does: `${NAME:-default}` is the default, other variables have a made-up value."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", COMPOSE.read_text())
    found: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{(\w+):\?[^}]*\}", r"value-of-\1", text))
    return {key: value for key, value in found.items() if not key.startswith("x-")}


def ours() -> dict[str, dict[str, Any]]:
    """The services that run the image of LicenseHub."""
    return {name: one for name, one in compose()["services"].items() if one["image"].startswith("licensehub:")}


def secrets_of(service: str) -> dict[str, Path]:
    """Name of the file in /run/secrets -> its path beside the compose file."""
    named = [one if isinstance(one, dict) else {"source": one} for one in ours()[service]["secrets"]]
    files = compose()["secrets"]
    return {one.get("target", one["source"]): Path(files[one["source"]]["file"]) for one in named}


def mounts_of(service: str) -> dict[str, tuple[str, str]]:
    """Folder -> volume (empty for one in memory) and rights, `rw` or `ro`."""
    one = compose()["services"][service]
    found = {path.partition(":")[0]: ("", "rw") for path in one.get("tmpfs", [])}
    for line in one.get("volumes", []):
        volume, folder, *rights = line.split(":")
        found[folder] = (volume, *(rights or ["rw"]))
    return found


def command_of(service: str) -> list[str]:
    return ours()[service].get("command") or image().command
