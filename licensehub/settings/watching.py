"""The settings of metrics, logs, traces and error reports."""

from __future__ import annotations

import os

from licensehub.settings.base import MIDDLEWARE, RUNTIME_DIR, env, reader

# Metrics are off without a token and without networks.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="").strip()
METRICS_NETWORKS = reader.networks("METRICS_NETWORKS")
METRICS_DIR = RUNTIME_DIR / "metrics"
if METRICS_TOKEN or METRICS_NETWORKS:
    # `prometheus_client` reads it when it is imported, which is after the settings.
    os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(METRICS_DIR))
    METRICS_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    MIDDLEWARE.insert(1, "licensehub.operations.metrics.middleware.MetricsMiddleware")
