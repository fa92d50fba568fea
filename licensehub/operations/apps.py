"""What an operator needs: `manage.py doctor`, the page *Operations*, metrics and logs."""

from __future__ import annotations

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "licensehub.operations"
    label = "operations"
