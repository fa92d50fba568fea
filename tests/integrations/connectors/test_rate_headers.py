from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from integrations.connectors.rate_headers import LONGEST, SHORTEST, hold_seconds, retry_after


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), ("7", 7.0), ("0", SHORTEST), ("-5", SHORTEST), ("99999999", LONGEST), ("nan", None), ("soon", None)],
)
def test_seconds(text: str, expected: float | None) -> None:
    assert retry_after({"Retry-After": text}) == expected


def test_a_date_is_measured_by_the_vendors_own_clock() -> None:
    hour_ahead = time.time() + 3600
    headers = {"Date": formatdate(hour_ahead, usegmt=True), "Retry-After": formatdate(hour_ahead + 20, usegmt=True)}
    assert retry_after(headers) == 20


def test_an_answer_with_something_left_holds_nobody() -> None:
    assert hold_seconds(status=200, headers={"X-RateLimit-Remaining": "500"}, window=60) == 0
    assert hold_seconds(status=200, headers={}, window=60) == 0
    assert hold_seconds(status=200, headers={"X-RateLimit-Remaining": "?"}, window=60) == 0


def test_without_any_header_a_429_holds_for_the_window() -> None:
    assert hold_seconds(status=429, headers={}, window=30) == 30


def test_the_reset_is_unix_seconds() -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(time.time() + 12)}
    assert hold_seconds(status=200, headers=headers, window=60) == pytest.approx(12, abs=1)


def test_retry_after_comes_before_the_reset() -> None:
    headers = {"Retry-After": "3", "X-RateLimit-Reset": str(time.time() + 12)}
    assert hold_seconds(status=429, headers=headers, window=60) == 3
