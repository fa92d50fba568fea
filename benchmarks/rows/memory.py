"""Measure the largest resident set of a download, above an idle `manage.py shell`, with one process per size."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks import environment
from benchmarks.rows import Row, at_most

SIZES = (10_000, 100_000, 1_000_000)
PEAK = "from benchmarks.environment import peak; print(peak())"


def run(sizes: tuple[int, ...] = SIZES) -> list[Row]:
    environment.prepare()
    idle = float(_output([sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", PEAK]))
    peaks, walls = [], []
    for size in sizes:
        environment.execute("TRUNCATE integrations_integrationprofile, subscriptions_subscription CASCADE")
        with environment.served(size) as url:
            environment.connected(url)
            found = json.loads(_output([sys.executable, "-m", "benchmarks.rows.memory", url]))
        peaks.append(found["peak_mb"])
        walls.append(found["wall"])
    rows = [
        at_most(f"memory of {size:,} above idle", peak - idle, most=20, note=f"{wall:.1f} s", unit="MB")
        for size, peak, wall in zip(sizes, peaks, walls, strict=True)
    ]
    growth = at_most(f"growth to {sizes[-1]:,}", peaks[-1] - peaks[0], most=2, note=f"idle {idle:.0f} MB", unit="MB")
    return [*rows, growth]


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 - our own command
    if done.returncode:
        raise RuntimeError(done.stderr[-800:])
    return done.stdout.strip().splitlines()[-1]


def one(url: str) -> dict[str, float]:
    """Measure one download in its own process, on existing tables."""
    import django

    django.setup()
    from integrations.models import IntegrationProfile

    environment.at(url)
    environment.without_rate_limit()
    profile = IntegrationProfile.objects.get()
    wall, _ = environment.timed(lambda: environment.download(profile))
    return {"peak_mb": environment.peak(), "wall": wall}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(one(sys.argv[1])) + "\n")
