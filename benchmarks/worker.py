"""The Celery application of a measured worker. Environment variables scale the vendor's clock, and the time of a part.

`BENCHMARK_SCALE` is how many times faster the clock of Miro's limits runs, `BENCHMARK_PART` the seconds of a part.
After each task the worker writes its largest resident set so far, in MB, to `BENCHMARK_PEAKS`.
"""

# ruff: noqa: E402 - models can be imported only after django.setup()

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import django
from celery.signals import task_postrun

django.setup()

from django.conf import settings

from benchmarks.environment import peak
from integrations.connectors.miro import scim
from integrations.connectors.miro.rest import client
from integrations.connectors.request import Rate
from licensehub.celery import app as app
from subscriptions.downloads import parts

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
