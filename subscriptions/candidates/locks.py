"""The locks of rows that several processes change. All take them in this order: profile, candidate, request."""

from __future__ import annotations

from integrations.models import IntegrationProfile
from subscriptions.models import RemovalCandidate


def lock_profile(profile_id: int) -> IntegrationProfile:
    """Lock the profile's row until the transaction ends. Everything that counts against a cap takes this lock first.

    `no_key`: PostgreSQL checks foreign keys to the profile when others commit, e.g. a rejection. With the key locked,
    they would wait for us while we wait for their rows.
    """
    return IntegrationProfile.objects.select_for_update(no_key=True).get(pk=profile_id)


def lock_candidate(candidate_id: int) -> None:
    """Lock the candidate's row before the rows of its request, as a withdrawal does, so that there is no deadlock."""
    RemovalCandidate.objects.select_for_update().get(pk=candidate_id)
