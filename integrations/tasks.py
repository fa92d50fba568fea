"""The Celery tasks of this app. They only call `integrations.connections.validation`."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from celery import shared_task

from integrations.connections.validation import profiles_to_validate_again, validate_connections
from integrations.connectors.contract import ConnectorError
from integrations.installation import findings
from integrations.models import IntegrationProfile

logger = logging.getLogger(__name__)


@shared_task
def validate_nightly() -> None:
    """Triggered by beat. Validates the connections of each published or paused profile, and stores the findings."""
    _validate(IntegrationProfile.objects.published_or_paused())


@shared_task
def validate_again() -> None:
    """Triggered by beat every hour. Validates the connections that failed or had no answer: they may work again."""
    _validate(profiles_to_validate_again())


def _validate(profiles: Iterable[IntegrationProfile]) -> None:
    for profile in profiles:
        findings.run_step(f"validate_connections:{profile.pk}", partial(_validate_one, profile))


def _validate_one(profile: IntegrationProfile) -> None:
    try:
        validate_connections(profile, actor=None)
    except ConnectorError as error:
        logger.warning("The connections of %s could not be validated: %s", profile, error)
