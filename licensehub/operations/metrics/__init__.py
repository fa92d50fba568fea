"""Metrics for Prometheus at /metrics: off by default. docs/metrics.md lists them, with a dashboard and alert rules."""
