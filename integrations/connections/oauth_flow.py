"""*Connect* and *Disconnect*: the OAuth 2.0 authorization code flow (RFC 6749, section 4.1).

`state` has 256 bits. It is valid once, for ten minutes, and only in the browser session that made it: its digest
includes a value that only this session knows.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import asdict

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from integrations.connections.tokens import grant_values, secrets_of, with_grant, without_tokens
from integrations.connectors.contract import ConfigError, ConnectorError, Finding, Grant, Granted, OAuthApp, english
from integrations.credentials import encryption
from integrations.credentials.credential_store import connector_for, erase
from integrations.installation import instance
from integrations.models import ConnectAttempt, Connection, ConnectionState, IntegrationProfile
from integrations.scopes.account_scopes import deny_outside
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from licensehub.database.clock import database_now

AGAIN = english("Open the connection's page and connect again.")


class ConnectRefused(Exception):
    """Nothing was connected. The text says why and what to do next; `finding` may add details."""

    def __init__(self, message: str, *, finding: Finding | None = None, profile_id: int | None = None) -> None:
        super().__init__(message)
        self.finding = finding
        self.profile_id = profile_id


def start(connection: Connection, *, redirect_uri: str, browser: str, actor: User) -> str:
    """Store the attempt and return the vendor's address to open. Raises ConfigError while the app is not set."""
    deny_outside(actor, connection.profile_id)
    state = secrets.token_urlsafe(32)
    url = connector_for(connection.profile).oauth().authorize_url(redirect_uri=redirect_uri, state=state)
    with transaction.atomic():
        ConnectAttempt.objects.filter(expires_at__lt=database_now() - ConnectAttempt.LIFE).delete()
        ConnectAttempt.objects.create(
            connection=connection,
            user=actor,
            state_digest=_digest(state, browser),
            redirect_uri=redirect_uri,
            expires_at=database_now() + ConnectAttempt.LIFE,
        )
        record(Action.CONNECT_STARTED, actor=actor, target=connection)
    return url


def _digest(state: str, browser: str) -> str:
    return hashlib.sha256(f"{browser}\n{state}".encode()).hexdigest()


def finish(*, state: str, code: str, error: str, browser: str, actor: User) -> Connection:
    """Finish the attempt after the vendor sent the browser back. ConnectRefused keeps the former credentials."""
    attempt = _use(state, browser=browser, actor=actor)
    connection = attempt.connection
    deny_outside(actor, connection.profile_id)
    try:
        if error or not code:
            raise ConnectRefused(_denied(error))
        return _connect(connection, code, redirect_uri=attempt.redirect_uri, actor=actor)
    except ConnectRefused as refused:
        refused.profile_id = connection.profile_id
        _note_refusal(connection, refused, actor=actor)
        raise


def _use(state: str, *, browser: str, actor: User) -> ConnectAttempt:
    """Mark the attempt of this state as used, and return it."""
    digest, now = _digest(state, browser), database_now()
    mine = ConnectAttempt.objects.filter(state_digest=digest, user=actor)
    if mine.filter(used_at=None, expires_at__gt=now).update(used_at=now) == 1:
        return mine.select_related("connection__profile").get()
    attempt = mine.first()
    if attempt is None:
        raise ConnectRefused(
            english(
                "This browser did not start this connection, so nothing was connected. Open LicenseHub at {url}, and "
                "connect there."
            ).format(url=settings.PUBLIC_URL)
        )
    if attempt.used_at:
        raise ConnectRefused(
            english("This answer was used already. {again}").format(again=AGAIN),
            profile_id=attempt.connection.profile_id,
        )
    raise ConnectRefused(
        english("Connecting took longer than ten minutes, so nothing was connected. {again}").format(again=AGAIN),
        profile_id=attempt.connection.profile_id,
    )


def _denied(error: str) -> str:
    if error == "access_denied":
        return english("The app was not installed: somebody chose Cancel at the vendor. {again}").format(again=AGAIN)
    sentence = english("The vendor sent no code, so nothing was connected. {again}")
    if error:
        sentence = english("The vendor sent no code (“{error}”), so nothing was connected. {again}")
    return sentence.format(error=error[:60], again=AGAIN)


def _connect(connection: Connection, code: str, *, redirect_uri: str, actor: User) -> Connection:
    try:
        app = connector_for(connection.profile).oauth()
        grant = app.exchange(code, redirect_uri=redirect_uri)
        granted = app.granted(grant.access_token)
    except ConnectorError as error:
        causes = english("The code was used before, or it is older than ten minutes, or the client secret is wrong.")
        # Only a refusal has these causes. Anything else says nothing about the code.
        known = [error.message, causes] if isinstance(error, ConfigError) else [error.message]
        raise ConnectRefused(" ".join([*known, AGAIN])) from error
    try:
        _refuse_unfit(app, granted, connection)
        return _store(connection, grant, granted, actor=actor)
    except ConnectRefused:
        _revoke(app, grant.access_token)
        raise


def _refuse_unfit(app: OAuthApp, granted: Granted, connection: Connection) -> None:
    """Raise ConnectRefused when the token must not be used for this profile.

    When a former connection works, the error has no finding: the page continues to show the findings about that one.
    """
    for finding in app.refusals(granted, organization_id=connection.profile.organization_id):
        problem = f"{finding.title}. {finding.detail}"
        if connection.state == ConnectionState.WORKING:
            steps = " ".join((finding.next_step, *finding.steps))
            raise ConnectRefused(
                english("{problem} The former connection stays and still works. {steps}").format(
                    problem=problem, steps=steps
                )
            )
        next_step = english("The next steps are listed below.") if finding.steps else finding.next_step
        raise ConnectRefused(f"{problem} {next_step}", finding=finding)


def _store(connection: Connection, grant: Grant, granted: Granted, *, actor: User) -> Connection:
    token_name = connection.slot_definition.token
    stored = with_grant(secrets_of(connection), grant, token_name=token_name)
    with transaction.atomic():
        _pin(connection.profile, granted)
        Connection.objects.filter(pk=connection.pk).update(
            ciphertext=encryption.encrypt(stored, place=connection.place),
            state=ConnectionState.UNTESTED,
            state_changed_at=database_now(),
            error="",
            unanswered_since=None,
            granted=asdict(granted),
            refresh_lease=None,
            refresh_lease_until=None,
            **grant_values(grant),
        )
        data = {"organization_id": granted.organization_id, "team": granted.team, "scopes": list(granted.scopes)}
        record(Action.CONNECTED, actor=actor, target=connection, data=data)
    connection.refresh_from_db()
    return connection


def _pin(profile: IntegrationProfile, granted: Granted) -> None:
    """Give a Draft without an organization the one of the token. It never changes afterwards."""
    rows = IntegrationProfile.objects.filter(pk=profile.pk)
    found = {"organization_id": granted.organization_id, "organization_name": granted.organization_name}
    try:
        with transaction.atomic():
            rows.filter(organization_id="").update(**found)
    except IntegrityError as error:
        raise ConnectRefused(
            english(
                "{organization_name} has an integration profile already. Connect that one, or archive it first."
            ).format(organization_name=granted.organization_name)
        ) from error
    # Archiving changes this row first and then erases the credentials, so nothing can be stored after it.
    if rows.select_for_update().get().is_archived:
        raise ConnectRefused(english("“{profile}” is archived, so nothing was connected.").format(profile=profile))
    if not rows.filter(organization_id=granted.organization_id).exists():
        raise ConnectRefused(
            english("Another connection of this profile is for another organization. {again}").format(again=AGAIN)
        )


def _note_refusal(connection: Connection, refused: ConnectRefused, *, actor: User) -> None:
    """Record the refusal. The profile's page shows its finding until the next validation."""
    with transaction.atomic():
        if refused.finding:
            IntegrationProfile.objects.filter(pk=connection.profile_id).update(
                findings=[asdict(refused.finding)], validated_at=database_now(), validated_by=actor
            )
        data = {"why": str(refused), "code": refused.finding.code if refused.finding else ""}
        record(Action.CONNECT_REFUSED, actor=actor, target=connection, data=data)


def disconnect(connection: Connection, *, actor: Actor) -> str:
    """Delete the tokens, then revoke them at the vendor. Returns a sentence about the result."""
    deny_outside(actor, connection.profile_id)
    app, token = _app_and_token(connection)
    with transaction.atomic():
        # Storing and archiving lock this row first. The app's values are read after that: an erased one stays erased.
        IntegrationProfile.objects.select_for_update().get(pk=connection.profile_id)
        connection.refresh_from_db()
        kept = without_tokens(secrets_of(connection), token_name=connection.slot_definition.token)
        fingerprint, set_at = connection.fingerprint, connection.credentials_set_at
        erase(connection, Action.DISCONNECTED, actor=actor)
        if kept:
            Connection.objects.filter(pk=connection.pk).update(
                ciphertext=encryption.encrypt(kept, place=connection.place),
                fingerprint=fingerprint,
                credentials_set_at=set_at,
            )
    result = revoke_all([(app, token)] if app and token else [])
    return " ".join([english("Disconnected."), result or english("There was no token that could be revoked.")])


def tokens_to_revoke(profile: IntegrationProfile) -> list[tuple[OAuthApp, str]]:
    """The profile's tokens, each with its app. Call it before the credentials are deleted."""
    slots = {slot.name for slot in profile.connector.slots if slot.oauth}
    rows = Connection.objects.filter(profile=profile, slot__in=slots).select_related("profile")
    found = [_app_and_token(connection) for connection in rows]
    return [(app, token) for app, token in found if app and token]


def revoke_all(tokens: list[tuple[OAuthApp, str]]) -> str:
    """Revoke the tokens. Returns a sentence about the result; "" when there is no token."""
    if not tokens:
        return ""
    if not instance.is_ours():
        return instance.NOT_REVOKED
    confirmed = [_revoke(app, token) for app, token in tokens]
    if all(confirmed):
        return english("The token is revoked at the vendor.")
    return english("The vendor did not confirm that the token is revoked. Uninstall the app there.")


def _app_and_token(connection: Connection) -> tuple[OAuthApp | None, str]:
    try:
        secrets_held = secrets_of(connection)
        app = connector_for(connection.profile).oauth()
    except ConnectorError:
        return None, ""  # a token that cannot be read cannot be revoked; it is deleted anyway
    return app, secrets_held.get(connection.slot_definition.token, "")


def _revoke(app: OAuthApp, access_token: str) -> bool:
    try:
        app.revoke(access_token)
    except ConnectorError:
        return False
    return True
