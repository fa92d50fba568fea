"""The image and the compose file of `deploy/containers`: linted, and with as few rights as possible."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from compose_spec import PyCompose
from django.conf import settings

from licensehub.environment import SECRETS
from tests.deploy.container_files import FOLDER, command_of, compose, image, ours, secrets_of
from tests.deploy.units import read_environment

BASE = Path(settings.BASE_DIR)
KEYS = {"SECRET_KEY", "CREDENTIAL_KEYS", "APPROVAL_KEY", "AUDIT_KEY", "ANCHOR_KEYS"}


def test_the_linters_find_nothing() -> None:
    hadolint = [str(Path(sys.executable).parent / "hadolint"), "--failure-threshold", "info"]
    done = subprocess.run([*hadolint, str(FOLDER / "Dockerfile")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    PyCompose.from_yaml(yaml.safe_dump(compose()))
    # It would find a misspelled word.
    wrong = {**compose(), "services": {"web": {**compose()["services"]["web"], "read_onl": True}}}
    with pytest.raises(ValueError, match="read_onl"):
        PyCompose.from_yaml(yaml.safe_dump(wrong))


def test_each_container_can_do_as_little_as_possible() -> None:
    assert image().stages == 2 and image().user == "10001:10001" and image().stop_signal == "SIGTERM"
    for name, one in compose()["services"].items():
        assert one["read_only"] is True and one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert "ports" not in one or name == "caddy", name
    assert not {name for name in image().variables if name in SECRETS}
    assert not {name for name in read_environment(FOLDER / "licensehub.env") if name in SECRETS}
    # The owner of the tables is known to the service that migrates, the keys to those who need them.
    assert [name for name in ours() if "DATABASE_OWNER_URL" in secrets_of(name)] == ["migrate"]
    assert not KEYS & set(secrets_of("beat"))
    assert compose()["networks"]["inside"] == {"internal": True}
    assert [name for name, one in compose()["services"].items() if one["networks"] == ["outside"]] == ["caddy"]


def test_the_image_has_what_runs_and_nothing_else() -> None:
    kept = {line[1:] for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(image().copied) == kept
    assert {name for name in kept if not (BASE / name).exists()} == set()
    assert not kept & {".env", ".git", "var", "tests", "deploy"}


def test_each_command_starts_a_program_of_the_image() -> None:
    """The programs of the virtual environment come first in the PATH of the image."""
    assert image().variables["PATH"].startswith("/opt/licensehub/.venv/bin:")
    programs = {name: command_of(name)[0] for name in ours()} | {"health check": image().health[0]}
    assert programs.pop("migrate") == "sh"
    missing = {name for name, program in programs.items() if not (Path(sys.executable).parent / program).exists()}
    assert missing == set()
