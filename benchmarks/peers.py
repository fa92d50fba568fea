"""Other ways to do the same: Django's bulk_create, and dlt, from the same pages into the same PostgreSQL.

dlt is no dependency of LicenseHub. It is measured if PEERS has a Python with it:

    python3 -m venv ~/.cache/licensehub/peers && ~/.cache/licensehub/peers/bin/pip install "dlt[postgres]" requests
"""

from __future__ import annotations

import os
import subprocess
import time
from itertools import chain
from pathlib import Path
from typing import Any

from django.db import connection, models

from benchmarks import limit

PEERS = Path("~/.cache/licensehub/peers").expanduser()
SKIPPED = f'not installed: python3 -m venv {PEERS} && {PEERS}/bin/pip install "dlt[postgres]" requests'
BATCH = 1000
DLT = """
import sys, time, dlt, requests
url, database = sys.argv[1:]

@dlt.resource(name="members", primary_key="id", write_disposition="merge")
def members():
    session, cursor = requests.Session(), ""
    while True:
        tail = f"&cursor={cursor}" if cursor else ""
        data = session.get(f"{url}/v2/orgs/1/members?limit=100{tail}").json()
        yield data["data"]
        cursor = data["cursor"]
        if not cursor:
            return

started = time.perf_counter()
pipeline = dlt.pipeline("benchmark", destination=dlt.destinations.postgres(database), dataset_name="peer_dlt")
pipeline.run(members())
print(time.perf_counter() - started)
"""


class Peer(models.Model):
    """The model that a Django developer would write first."""

    external_id = models.CharField(max_length=40, unique=True)
    email = models.CharField(max_length=254)
    active = models.BooleanField()
    license = models.CharField(max_length=40)
    role = models.CharField(max_length=60)
    assigned = models.DateTimeField(null=True)
    seen = models.DateTimeField(null=True)

    class Meta:
        app_label = "benchmarks"
        db_table = "benchmark_peer"


def bulk_create(url: str) -> tuple[float, str]:
    """Load all members, as an upsert by 1,000. Returns the seconds and a note."""
    with connection.schema_editor() as editor:
        editor.create_model(Peer)
    started = time.perf_counter()
    batch: list[Peer] = []
    for page in chain(limit.pages(url), [None]):
        batch += [_peer(limit.typed(item)) for item in page or ()]
        if batch and (len(batch) >= BATCH or page is None):
            Peer._default_manager.bulk_create(
                batch,
                update_conflicts=True,
                unique_fields=["external_id"],
                update_fields=["email", "active", "license", "role", "assigned", "seen"],
            )
            batch = []
    return time.perf_counter() - started, f"upsert, {BATCH:,} a batch"


def _peer(one: limit.Member) -> Peer:
    return Peer(
        external_id=one.id,
        email=one.email,
        active=one.active,
        license=one.license,
        role=one.role,
        assigned=one.assigned,
        seen=one.seen,
    )


def dlt(url: str) -> tuple[float, str]:
    """Load all members with dlt. Returns the seconds and a note; 0.0 if dlt is not installed."""
    python = PEERS / "bin" / "python"
    if not python.exists():
        return 0.0, SKIPPED
    command = [str(python), "-c", DLT, url, _address(connection.settings_dict)]
    home = {"HOME": str(PEERS), "RUNTIME__DLTHUB_TELEMETRY": "false"}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **home})  # noqa: S603 - our own command
    if done.returncode:
        return 0.0, f"failed: {done.stderr.strip().splitlines()[-1][:80]}"
    return float(done.stdout.split()[-1]), "merge, its defaults"


def _address(database: dict[str, Any]) -> str:
    """An address for libpq, which uses the last host. dlt also requires a host and a password."""
    host = database["HOST"] or database["OPTIONS"].get("host", "")
    return f"postgresql://{database['USER']}:-@localhost/{database['NAME']}?host={host}"
