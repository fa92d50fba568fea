"""`make install`: the files that it writes, and its messages when it cannot."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cryptography.fernet import Fernet

from licensehub.checks import configuration
from licensehub.embedded import install


def variables(path) -> dict[str, str]:
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def test_a_first_env_is_private_and_right(tmp_path):
    install.write_env(tmp_path / ".env")
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    found = variables(tmp_path / ".env")
    assert len(found["SECRET_KEY"]) >= configuration.SECRET_KEY_LENGTH
    assert min(len(found["APPROVAL_KEY"]), len(found["AUDIT_KEY"])) >= configuration.OTHER_KEY_LENGTH
    assert len({found[name] for name in ("SECRET_KEY", "APPROVAL_KEY", "AUDIT_KEY", "BROKER_KEY")}) == 4
    Fernet(found["CREDENTIAL_KEYS"])
    assert (found["DEBUG"], found["HTTPS"]) == ("off", "off")


def test_an_existing_env_is_never_changed(tmp_path):
    (tmp_path / ".env").write_text("SECRET_KEY=mine\n")
    install.write_env(tmp_path / ".env")
    assert (tmp_path / ".env").read_text() == "SECRET_KEY=mine\n"


def test_two_first_envs_differ():
    assert install.first_env() != install.first_env()


def test_an_old_python_gets_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(install.sys, "version_info", (3, 8, 18))
    monkeypatch.setattr(install.shutil, "which", lambda name: None)
    assert install.main() == 1
    words = capsys.readouterr().err
    assert words.count("\n") == 1
    assert "needs Python 3.11, 3.12 or 3.13, but this is Python 3.8.18" in words


def test_a_python_without_ensurepip_gets_a_sentence(monkeypatch):
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(install.shutil, "which", lambda name: None)
    with pytest.raises(install.CannotInstall, match="apt install python3-venv"):
        install.virtualenv()


def test_a_fitting_venv_with_the_same_pins_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(install, "VENV", tmp_path)
    monkeypatch.setattr(install, "venv_works", lambda: True)
    install.stamp("requirements.txt").write_text(install.fingerprint("requirements.txt"))
    monkeypatch.setattr(install, "install_packages", lambda name: pytest.fail(f"installed {name}"))
    install.install(dev=False)


@pytest.mark.parametrize("words", [[], ["both"], ["both", "pytest"], ["mysql", "--", "pytest"]])
def test_the_database_runner_shows_its_usage(words):
    done = subprocess.run([sys.executable, "-m", "tests.support.databases", *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")


def test_the_database_runner_gives_the_exit_code_of_the_command():
    command = [sys.executable, "-c", "import os, sys; sys.exit(3 if 'DATABASE_URL' not in os.environ else 4)"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.databases", "sqlite", "--", *command], capture_output=True
    )
    assert done.returncode == 3
