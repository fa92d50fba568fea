"""The sandbox as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

COMMAND = (
    "import sys; from django.conf import settings; settings.configure();"
    "from integrations.connectors.miro.management.commands.miro_sandbox import Command;"
    "Command().run_from_argv(['manage.py', 'miro_sandbox', *sys.argv[1:]])"
)


def command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def first_line(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    urls: dict[str, str] = json.loads(process.stdout.readline())
    return urls
