"""The response times of the pages, counted in each web process. The processes of a host share a folder of files for it.

`prometheus_client` reads PROMETHEUS_MULTIPROC_DIR when it is imported: licensehub.settings.watching sets it before.
https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

BUCKETS: Final = (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REQUESTS: Final = Histogram(
    "licensehub_http_request_seconds",
    "Time of the answers of all web processes of this host.",
    labelnames=("method", "status"),
    buckets=BUCKETS,
)


def observe(method: str, status: int, seconds: float) -> None:
    """Count one answer. A method that nobody knows and a status are few words, so there are few series."""
    known = method if method in METHODS else "other"
    REQUESTS.labels(known, f"{status // 100}xx").observe(seconds)


def add_to(registry: CollectorRegistry) -> None:
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it has no types
    else:
        registry.register(REQUESTS)


def forget_former_run() -> None:
    """Remove the files of former processes when none of them is left: a restart begins to count at 0."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    files = list(Path(folder).glob("*.db")) if folder else []
    former = [path for path in files if not _is_alive(path.stem.rpartition("_")[2])]
    if len(former) == len(files):
        for path in former:
            path.unlink(missing_ok=True)


def _is_alive(pid: str) -> bool:
    return pid.isdecimal() and (int(pid) == os.getpid() or Path(f"/proc/{pid}").exists())
