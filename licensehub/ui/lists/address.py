"""The address of a list: the parameters that are no filters, and the part of it that a saved view keeps."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

# The names of columns in their order, separated by commas; the id of a saved view.
COLUMNS_VAR, VIEW_VAR = "columns", "view"
# The page, and what other parts of the address say.
NOT_IN_A_VIEW = ("p", "e", VIEW_VAR, COLUMNS_VAR, "_facets", "_popup", "_to_field", "all")


def query_of(address: str) -> str:
    """Filters, search and order of a list's address in one form, so that two addresses can be compared."""
    kept = [(name, value) for name, value in parse_qsl(address.removeprefix("?")) if name not in NOT_IN_A_VIEW]
    return urlencode(sorted(kept))
