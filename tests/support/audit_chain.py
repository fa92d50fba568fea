"""The chain of the audit alone, as tests check it: without the times and all that is known outside of the database."""

from __future__ import annotations

from licensehub.audit.chain.offline_verifier import Chain, Report
from licensehub.audit.chain.verify import check


def verify_chain() -> Report:
    """Check the events, their signatures and the head."""
    return check(Chain())
