"""The Celery application of a measured worker. Environment variables scale the vendor's clock, and the time of a part.

`BENCHMARK_SCALE` is how many times faster the clock of Miro's limits runs, `BENCHMARK_PART` the seconds of a part.
After each task the worker writes its largest resident set so far, in MB, to `BENCHMARK_PEAKS`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import django
from celery.signals import task_postrun

django.setup()

from django.conf import settings  # noqa: E402 - the applications come first

from benchmarks.environment import peak  # noqa: E402
from integrations.connectors.miro import scim  # noqa: E402
from integrations.connectors.miro.rest import client  # noqa: E402
from integrations.connectors.request import Rate  # noqa: E402
from licensehub.celery import app as app  # noqa: E402
from subscriptions.downloads import parts  # noqa: E402

SCALE = float(os.environ.get("BENCHMARK_SCALE", "1"))
WINDOW = 60.0 / SCALE


def _rate(account: str, *, cost: int = client.LEVEL_3) -> Rate:
    return Rate(bucket=f"miro:rest:{account}", cost=cost, limit=client.CREDITS_PER_MINUTE, window=WINDOW)


client.rate = _rate
scim.WINDOW /= SCALE
if seconds := os.environ.get("BENCHMARK_PART"):
    parts.SHARE_OF_THE_LIMIT = float(seconds) / settings.CELERY_TASK_SOFT_TIME_LIMIT


@task_postrun.connect
def note_peak(**_: Any) -> None:
    with Path(os.environ["BENCHMARK_PEAKS"]).open("a") as file:
        file.write(f"{peak():.1f}\n")
