"""Compare the rows that auditors read with the audit."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from subscriptions.evidence.rows.comparison import check_rows


class Command(BaseCommand):
    help = "Compare the rows that auditors read with the audit. Ends with 1 if one differs."

    def handle(self, *args: Any, **options: Any) -> None:
        sentences, rows = check_rows()
        for sentence in sentences:
            self.stdout.write(sentence)
        self.stdout.write(f"{rows} rows compared, {len(sentences)} differences.")
        if sentences:
            sys.exit(1)
