"""The examples of docs/api.md work: curl runs each of them against a real server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
from django.conf import settings

# They are the same on each database.
pytestmark = pytest.mark.markup


def test_the_examples_of_the_docs_answer(real_transactions, organization, program, alice, live_server):
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    sent = program(alice)
    examples = re.findall(r"```bash\n(.*?)```", (settings.BASE_DIR / "docs" / "api.md").read_text(), re.DOTALL)
    assert len(examples) >= 5
    for example in examples:
        ran = subprocess.run(
            ["/bin/sh", "-c", example],
            env={"LICENSEHUB": live_server.url, "TOKEN": sent.text, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        answer = json.loads(ran.stdout)
        assert "code" not in answer, (example, answer)
