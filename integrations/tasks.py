"""Thin doors for Celery."""

from __future__ import annotations

import logging

from celery import shared_task

from integrations.connectors.contract import ConnectorError
from integrations.models import IntegrationProfile, ProfileState
from integrations.validation import validate_connections

logger = logging.getLogger(__name__)


@shared_task
def validate_nightly() -> None:
    """Triggered by beat. Tries the connections of each profile in use, and notes what does not work."""
    for profile in IntegrationProfile.objects.filter(state__in=(ProfileState.PUBLISHED, ProfileState.PAUSED)):
        try:
            validate_connections(profile, actor=None)
        except ConnectorError as error:
            logger.warning("The connections of %s could not be validated: %s", profile, error)
