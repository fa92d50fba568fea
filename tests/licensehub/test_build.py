"""The command and each page of a person who is signed in name the code that runs, and nobody else learns it."""

from __future__ import annotations

import subprocess
import sys
import tomllib

from django.conf import settings
from django.urls import reverse

from licensehub.build import version


def test_the_version_is_that_of_the_project_with_a_mark_of_the_code():
    number = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]["version"]
    assert version().startswith(f"{number}+") and len(version()) == len(number) + 9
    for word in ("version", "--version"):
        command = [sys.executable, "manage.py", word]
        said = subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, text=True, check=True).stdout
        assert said == f"LicenseHub {version()}\n"


def test_only_who_is_signed_in_reads_it_on_the_pages(client, bob):
    shown = f'<span class="lh-build" lang="en">LicenseHub {version()}</span>'
    assert version() not in client.get(reverse("admin:login")).content.decode()
    client.force_login(bob)
    assert shown in client.get(reverse("admin:index")).content.decode()
