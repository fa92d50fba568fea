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
from tests.deploy.support.container_files import FOLDER, command_of, compose, image, mounts_of, ours, secrets_of
from tests.deploy.support.units import read, read_environment
from tests.deploy.test_files import UNITS

BASE = Path(settings.BASE_DIR)


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
        assert one["mem_limit"] and one["pids_limit"] and one["logging"] == {"driver": "local"}, name
        assert not {"privileged", "devices", "pid", "ipc", "network_mode", "userns_mode", "group_add"} & set(one), name
        # Caddy is root without any other capability: its image has no user.
        caddy = name == "caddy"
        assert one.get("cap_add", []) == (["NET_BIND_SERVICE"] if caddy else []) and ("ports" in one) == caddy, name
        user = one.get("user", image().user if name in ours() else "")
        assert user == "" if caddy else user not in ("", "0", "0:0", "root"), name
    assert not {name for name in image().variables if name in SECRETS}
    assert not {name for name in read_environment(FOLDER / "licensehub.env") if name in SECRETS}


def test_nobody_but_web_and_workers_reaches_others() -> None:
    """Caddy reaches web by a socket that no other service has: nobody else can name the address of a visitor."""
    members = {
        network: {name for name, one in compose()["services"].items() if network in one["networks"]}
        for network in compose()["networks"]
    }
    assert members == {
        "inside": {"migrate", "web", "worker", "beat", "postgres", "valkey"},
        "outside": {"web", "worker"},
        "front": {"caddy"},
    }
    assert compose()["networks"] == {"inside": {"internal": True}, "outside": None, "front": None}
    listens = [word for flag, word in zip(command_of("web"), command_of("web")[1:], strict=False) if flag == "--bind"]
    assert listens == ["unix:/run/licensehub/web.sock", "127.0.0.1:8000"]


def test_each_volume_is_written_by_those_who_must() -> None:
    mounted = [(name, *mount) for name in compose()["services"] for mount in mounts_of(name).values()]
    written = {f"{volume} by {name}" for name, volume, rights in mounted if rights == "rw" and volume}
    assert written == {
        *("anchors by migrate", "anchors by web", "anchors by worker", "static by migrate"),
        *("web by web", "worker by worker", "manage by migrate", "socket by web"),
        *("postgres by postgres", "valkey by valkey", "certificates by caddy", "caddy by caddy"),
    }
    assert {name for name, volume, _ in mounted if volume == "socket"} == {"web", "caddy"}
    assert mounts_of("beat") == {"/tmp": ("", "rw")}  # noqa: S108 - it is in memory


@pytest.mark.parametrize(("service", "unit"), [("web", UNITS[0]), ("worker", UNITS[1]), ("beat", UNITS[2])])
def test_a_service_gets_the_secrets_of_its_unit(service: str, unit: str) -> None:
    """Also the same user of the database."""
    of_unit = {name: path.removeprefix("/etc/licensehub/") for name, path in read(unit).credentials().items()}
    assert {name: str(path) for name, path in secrets_of(service).items()} == of_unit


def test_only_the_service_that_migrates_knows_the_owner_of_the_tables() -> None:
    assert [name for name in ours() if "DATABASE_OWNER_URL" in secrets_of(name)] == ["migrate"]
    assert "EMAIL_URL" not in secrets_of("migrate")


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
