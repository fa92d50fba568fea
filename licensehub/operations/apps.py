"""The tools of an operator: `manage.py doctor`, the page *Operations*, metrics and logs."""

from __future__ import annotations

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "licensehub.operations"
    label = "operations"

    def ready(self) -> None:
        """Error reports and traces, if somebody has set where they go."""
        from licensehub.operations.telemetry import error_reports, traces

        error_reports.start()
        traces.start()
