"""The Celery task of this app. It only calls `integrations.connections.validation`."""

from __future__ import annotations

import logging

from celery import shared_task

from integrations.connections.validation import validate_connections
from integrations.connectors.contract import ConnectorError
from integrations.models import IntegrationProfile

logger = logging.getLogger(__name__)


@shared_task
def validate_nightly() -> None:
    """Triggered by beat. Validates the connections of each published or paused profile, and stores the findings."""
    for profile in IntegrationProfile.objects.published_or_paused():
        try:
            validate_connections(profile, actor=None)
        except ConnectorError as error:
            logger.warning("The connections of %s could not be validated: %s", profile, error)
