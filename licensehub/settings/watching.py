"""The settings of metrics, logs, traces and error reports."""

from __future__ import annotations

import os

from licensehub.settings.base import LOGGING, MIDDLEWARE, RUNTIME_DIR, env, reader

# Metrics are off without a token and without networks.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="").strip()
METRICS_NETWORKS = reader.networks("METRICS_NETWORKS")
METRICS_DIR = RUNTIME_DIR / "metrics"
if METRICS_TOKEN or METRICS_NETWORKS:
    # `prometheus_client` reads it when it is imported, which is after the settings.
    os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(METRICS_DIR))
    # One after the other: `parents` would make the first one with the mode of the umask.
    RUNTIME_DIR.mkdir(mode=0o700, exist_ok=True)
    METRICS_DIR.mkdir(mode=0o700, exist_ok=True)
    MIDDLEWARE.insert(1, "licensehub.operations.metrics.middleware.MetricsMiddleware")

# console: lines for people. json: one object for each line, and a line for each request and each event of the audit.
LOG_FORMAT = reader.one_of("LOG_FORMAT", "console", ["console", "json"])
LOGGING["handlers"]["console"]["formatter"] = LOG_FORMAT
if LOG_FORMAT == "console":
    _for_machines = ("licensehub.operations.requests", "licensehub.audit.log")
    LOGGING["loggers"] |= {name: {"level": "WARNING"} for name in _for_machines}
# After the addresses for machines, and before everything that may write a line.
MIDDLEWARE.insert(
    MIDDLEWARE.index("django.middleware.security.SecurityMiddleware"),
    "licensehub.operations.requests.RequestIdMiddleware",
)

# Reports of errors and traces go to a server outside only if a variable names it: see docs/operations.md.
SENTRY_DSN = env.str("SENTRY_DSN", default="").strip()
OTEL_ENDPOINT = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", default="").strip()
