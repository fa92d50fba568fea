"""The settings of the REST API."""

from __future__ import annotations

from licensehub.settings.base import reader

# Calls of one token in a minute.
API_CALLS_PER_MINUTE = reader.at_least_one("API_CALLS_PER_MINUTE", 600)
# A token decides for so many hours after its owner proved the second factor; 0: no token decides.
API_DECIDE_HOURS = reader.number("API_DECIDE_HOURS", 12)
