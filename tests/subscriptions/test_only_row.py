"""Settings with one row: nobody saves over a change that they have not seen, also in the same moment."""

from __future__ import annotations

import pytest

from subscriptions.errors import NotActionable
from subscriptions.models import ReportSettings
from subscriptions.only_row import check_version, save_only_row


def test_of_two_who_saw_the_same_version_one_saves(alice, bob):
    for seen in (0, 1):
        save_only_row(ReportSettings, {"day": seen + 1}, seen=seen, actor=alice)
        # The other one has looked at the version before the first one saved.
        with pytest.raises(NotActionable, match="changed this page meanwhile"):
            save_only_row(ReportSettings, {"day": 9}, seen=seen, actor=bob)
    row = ReportSettings.objects.get()
    assert (row.pk, row.version, row.day, row.changed_by) == (ReportSettings.ONLY, 2, 2, alice)
    check_version(row, 2)
    for seen in (0, 1):
        with pytest.raises(NotActionable, match="changed this page meanwhile"):
            check_version(row, seen)
