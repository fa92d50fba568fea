"""The users of `deploy/sysusers.d` on the scratch host, if the machine has systemd's tools and the test is root.

They exist in the scratch folder only. A process sees them in mounts of its own: there, `/etc/passwd` is the one of the
scratch host, and all of it but the folders of `ReadWritePaths` is read-only, as `ProtectSystem=strict` makes it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from tests.deploy.support.units import DEPLOY

TOOLS = ("systemd-sysusers", "systemd-tmpfiles", "unshare", "setpriv", "runuser", "chattr")
FILES = ("sysusers.d/licensehub.conf", "tmpfiles.d/licensehub.conf")
# E.g. of a container without the right to set the attributes of a file, or of a file system that has none.
NOT_ALLOWED = ("Operation not permitted", "not supported", "Inappropriate ioctl")
# The user may be "" for root, who may write everywhere. Python and the code may be where only root can enter.
ENTER = """
set -eu
scratch=$1 user=$2 covered=$3 closed=$4 writable=$5
shift 5
mount --bind "$scratch/etc/passwd" /etc/passwd
mount --bind "$scratch/etc/group" /etc/group
mount -t tmpfs -o mode=700 tmpfs /mnt
for folder in $covered; do
    mkdir -p "/mnt/upper$folder" "/mnt/work$folder"
    mount -t overlay -o "lowerdir=$folder,upperdir=/mnt/upper$folder,workdir=/mnt/work$folder" overlay "$folder"
done
[ -z "$closed" ] || chmod a+rx $closed
[ "$user" ] || exec "$@"
mount --bind "$scratch" "$scratch"
for folder in $writable; do
    mount --bind "$scratch$folder" "$scratch$folder"
done
mount -o remount,bind,ro "$scratch"
exec setpriv --reuid "$user" --regid licensehub --init-groups \\
    --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
"""


@dataclass(frozen=True)
class Users:
    root: Path

    @classmethod
    def install(cls, root: Path) -> Users | None:
        """The users and folders, as chapter 2 of docs/deploy.md makes them. None where this machine cannot."""
        if not (reason := missing()):
            made = cls(root)
            if not (reason := made._make() or made.refused("licensehub-web")):
                return made
            made.remove()
        text = f"\n!!! All processes of the scratch host share one user: {reason}\n"
        sys.__stderr__.write(text) if sys.__stderr__ else None
        return None

    def _make(self) -> str:
        """Make the users and folders. Returns why the machine does not allow it, or "" if all is well."""
        root = self.root
        root.chmod(0o755)
        for name in FILES:
            path = root / "etc" / name
            path.parent.mkdir(parents=True)
            shutil.copy(DEPLOY / name, path)
        for name in ("passwd", "group"):
            shutil.copy(Path("/etc", name), root / "etc" / name)
        for command in (["systemd-sysusers"], ["systemd-tmpfiles", "--create", "licensehub.conf"]):
            done = subprocess.run([*command, f"--root={root}"], capture_output=True, text=True)
            if any(words in done.stderr for words in NOT_ALLOWED):
                return done.stderr.strip()
            assert done.returncode == 0, done.stderr
        return ""

    def refused(self, user: str = "") -> str:
        """Start Python as this user. Returns the error of the mounts that this needs, or "" if all is well."""
        command = self.enter(user, [sys.executable, "-c", "import django"])
        done = subprocess.run(command, capture_output=True, text=True)
        return f"{done.returncode} {done.stderr.strip()}" if done.returncode else ""

    def uid(self, name: str) -> int:
        lines = (self.root / "etc" / "passwd").read_text().splitlines()
        [number] = [line.split(":")[2] for line in lines if line.startswith(f"{name}:")]
        return int(number)

    def enter(self, user: str, command: list[str], writable: tuple[str, ...] = ()) -> list[str]:
        """The command as this user of the host; "" is root. `writable` are folders of the host."""
        closed = _closed()
        covered = [folder for folder in closed if not any(parent in closed for parent in folder.parents)]
        words = [str(self.root), user, *(" ".join(map(str, found)) for found in (covered, closed, writable))]
        return ["unshare", "--mount", "sh", "-c", ENTER, "sh", *words, *command]

    def remove(self) -> None:
        """Let the scratch folder be removed: its anchors can only be appended to."""
        subprocess.run(["chattr", "-R", "-f", "-a", str(self.root / "var")], check=False)


def missing() -> str:
    if os.getuid() != 0:
        return "only root can change the user."
    if missing := [name for name in TOOLS if not shutil.which(name)]:
        return f"{', '.join(missing)} cannot be found."
    mounts = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return "" if subprocess.run(mounts, capture_output=True).returncode == 0 else "this machine allows no mounts."


def _closed() -> list[Path]:
    """Folders above Python and the code that only their owner can enter, the outer ones first."""
    ends = [Path(sys.base_prefix), Path(sys.prefix), Path(settings.BASE_DIR)]
    above = {folder for end in ends for folder in (end, *end.parents)}
    return sorted(folder for folder in above if not folder.stat().st_mode & 0o001)
