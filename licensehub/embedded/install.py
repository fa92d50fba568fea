"""`make install`: makes `.venv`, installs the pinned packages and writes a first `.env`.

The Python of the machine runs this file before anything is installed. So it uses the standard library only, and a
syntax that an old Python 3 can read: then it says which Python is needed and shows no traceback.
"""

import base64
import hashlib
import importlib.util
import os
import secrets
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
ENTRY = VENV / "bin" / "licensehub"
OLDEST, NEWEST = (3, 11), (3, 13)


class CannotInstall(Exception):
    """Its text is one sentence for the person at the terminal."""


def main() -> int:
    """Install what is missing; say one sentence and return 1 if that is impossible."""
    try:
        if "--entry" in sys.argv[1:]:
            write_entry()
            return 0
        if not OLDEST <= sys.version_info[:2] <= NEWEST:
            return call([fitting_python(), str(Path(__file__).resolve()), *sys.argv[1:]])
        install("--dev" in sys.argv[1:])
        write_entry()
        write_env(ROOT / ".env")
        compile_catalogs()
    except CannotInstall as problem:
        sys.stderr.write(f"make install: {problem}\n")
        return 1
    return 0


def call(command: "list[str]", quiet: bool = False) -> int:
    """Run our own command to its end."""
    sink = subprocess.DEVNULL if quiet else None
    return subprocess.call(command, stdout=sink, stderr=sink)  # noqa: S603 - never a person's input


def fitting_python() -> str:
    """Another Python on the PATH. Each one is run, since the shim of a version manager may have no Python behind it."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        path = shutil.which(f"python3.{minor}")
        code = f"import sys; sys.exit(sys.version_info[:2] != (3, {minor}))"
        if path and call([path, "-c", code], quiet=True) == 0:
            return path
    raise CannotInstall(
        f"LicenseHub needs Python 3.11, 3.12 or 3.13, but this is {version()} and no other is on the PATH; "
        "install one and run `make install PYTHON=/path/to/python3.11`."
    )


def version() -> str:
    """The version of the Python that runs this."""
    return "Python " + ".".join(str(part) for part in sys.version_info[:3])


def install(dev: bool) -> None:
    """Bring the virtual environment to the state that the requirements files describe."""
    wanted = ["requirements.txt"] + (["requirements-dev.txt"] if dev else [])
    works = venv_works()
    missing = [name for name in wanted if not works or text_of(stamp(name)) != fingerprint(name)]
    if not missing:
        return
    if not os.access(str(ROOT), os.W_OK):
        raise CannotInstall(f"this user cannot write into {ROOT}; change the folder's owner, or copy it.")
    if not works:
        make_venv()
    for name in missing:
        install_packages(name)


def venv_works() -> bool:
    """False where there is none, where it is incomplete, and where its Python is gone or does not fit."""
    code = f"import pip, sys; sys.exit(not {OLDEST} <= sys.version_info[:2] <= {NEWEST})"
    return PYTHON.exists() and call([str(PYTHON), "-c", code], quiet=True) == 0


def make_venv() -> None:
    """Make it with the standard library, else with virtualenv: Debian has `ensurepip` in a separate package."""
    say(f"making .venv with {version()}")
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if importlib.util.find_spec("ensurepip") is None:
        command = [*virtualenv(), "--quiet", "--python", sys.executable, "--clear", str(VENV)]
    if call(command) != 0:
        raise CannotInstall("the folder .venv could not be made; the reason is above.")


def virtualenv() -> "list[str]":
    """Return how to call virtualenv on this machine."""
    if importlib.util.find_spec("virtualenv") is not None:
        return [sys.executable, "-m", "virtualenv"]
    program = shutil.which("virtualenv")
    if program:
        return [program]
    raise CannotInstall(
        f"{sys.executable} lacks the module ensurepip, which makes virtual environments; "
        "on Debian and Ubuntu run `apt install python3-venv`, then `make install` again."
    )


def install_packages(name: str) -> None:
    """Install one requirements file. Its stamp is removed first, so that the next start sees an interruption."""
    if stamp(name).exists():
        stamp(name).unlink()
    say(f"installing {name}, which takes about a minute the first time")
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    if call([*pip, "--require-hashes", "-r", str(ROOT / name)]) != 0:
        raise CannotInstall(f"pip could not install {name}; the reason is above.")
    stamp(name).write_text(fingerprint(name))


def stamp(name: str) -> Path:
    """The file that notes what was installed."""
    return VENV / f"installed-{name}"


def fingerprint(name: str) -> str:
    """Changes with the pins and with the folder: the scripts of a copied folder name the old one."""
    return hashlib.sha256((str(VENV) + text_of(ROOT / name)).encode()).hexdigest()


def text_of(path: Path) -> str:
    """The file's text, or nothing where there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def write_entry() -> None:
    """Write `.venv/bin/licensehub`, the entry of the command line. `install.py --entry` writes nothing else.

    A shell script, since the kernel reads no long path, and none with a blank, behind `#!`. `-P`: no module of the
    folder in which somebody calls it is imported.
    """
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from licensehub.command_line.main import main; "
    words = [str(PYTHON), "-P", "-c", code + "sys.exit(main())"]
    text = "#!/bin/sh\n# Written by `make install`.\nexec " + " ".join(map(shlex.quote, words)) + ' "$@"\n'
    if text_of(ENTRY) == text:
        return
    try:
        ENTRY.write_text(text)
        ENTRY.chmod(0o755)
    except OSError as problem:
        raise CannotInstall(f"{ENTRY} cannot be written: {problem.strerror}.") from problem


def write_env(path: Path) -> None:
    """Write new keys that only the owner can read. An existing file is never changed."""
    if os.path.lexists(str(path)):
        return
    try:
        handle = os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as problem:
        raise CannotInstall(f"{path} cannot be written: {problem.strerror}.") from problem
    with os.fdopen(handle, "w") as file:
        file.write(first_env())
    say("wrote .env with new keys; keep a copy: without it, stored credentials cannot be read")


def compile_catalogs() -> None:
    """Compile the translations that are missing or older than their sources. The repository does not contain them."""
    folders = ("*", "integrations/connectors/*")
    sources = (path for folder in folders for path in ROOT.glob(f"{folder}/locale/*/LC_MESSAGES/django.po"))
    compiled = {path: path.with_suffix(".mo") for path in sources}
    if all(mo.exists() and mo.stat().st_mtime >= po.stat().st_mtime for po, mo in compiled.items()):
        return
    say("compiling the translations")
    if call([str(PYTHON), str(ROOT / "manage.py"), "compile_catalogs"], quiet=True) != 0:
        raise CannotInstall("the translations cannot be compiled; see `.venv/bin/python manage.py compile_catalogs`.")


def first_env() -> str:
    """The settings of the embedded mode, which is plain HTTP on loopback."""
    lines = [
        "# Written by `make install`. .env.example explains every variable.",
        "SECRET_KEY=" + secrets.token_urlsafe(48),
        "CREDENTIAL_KEYS=" + base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "APPROVAL_KEY=" + secrets.token_urlsafe(48),
        "AUDIT_KEY=" + secrets.token_urlsafe(48),
        "BROKER_KEY=" + secrets.token_urlsafe(48),
        "DEBUG=off",
        "HTTPS=off",
    ]
    return "\n".join(lines) + "\n"


def say(sentence: str) -> None:
    """One line on the terminal, at once."""
    sys.stdout.write(f"make install: {sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
