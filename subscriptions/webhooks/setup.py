"""Create and change webhooks. Each change has its audit event, without the address and the secrets.

The pages, and the configuration from a file, call these functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from integrations.models import DeliveryState, IntegrationProfile, Webhook, WebhookDelivery, WebhookFormat, WebhookState
from integrations.webhooks.secrets import new_secret, sealed
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from licensehub.database.clock import database_now
from licensehub.translations.stored import translated
from licensehub.ui.languages import known_language
from subscriptions.accounts.scope import refuse_outside
from subscriptions.errors import NotActionable, Refused
from subscriptions.webhooks.delivery import WORKS, hold_due
from subscriptions.webhooks.events import CHOICES
from subscriptions.webhooks.guarded import NotSent, allowed, authority_of, checked
from subscriptions.webhooks.templates import TEMPLATES, BadTemplate, check

# After a new secret was made, the one before signs as well for so long.
BOTH_VALID: Final = timedelta(hours=24)
MAX_SECRET: Final = 2000  # characters


@dataclass(frozen=True, slots=True)
class WebhookInput:
    """The entries of an admin. `profiles` are ids; None for all profiles. `template` is for tickets; "" for ours."""

    name: str
    format: WebhookFormat
    events: tuple[str, ...]
    profiles: frozenset[int] | None = None
    with_names: bool = False
    language: str = "en"
    template: str = ""


def create(
    wanted: WebhookInput, *, url: str, authorization: str = "", look_up: bool = True, actor: Actor
) -> tuple[Webhook, str]:
    """Store a webhook. Returns it with the secret that signs, which is shown once; "" for a format without one.

    The address is looked up first; without `look_up`, e.g. in a transaction, by the first call. Raises Refused.
    """
    refuse_outside_of(wanted, actor=actor)
    check_input(wanted)
    secrets = {
        **_target(url, authorization, look_up),
        "secret": new_secret() if wanted.format == WebhookFormat.EVENT else "",
    }
    try:
        with transaction.atomic():
            row = Webhook(
                **_columns(wanted), host=authority_of(secrets["url"]), ciphertext="", fingerprint="", created_by=actor
            )
            row.save()
            Webhook.objects.filter(pk=row.pk).update(**sealed(row, secrets))
            _choose(row, wanted)
            row.refresh_from_db()
            record(Action.WEBHOOK_CREATED, actor=actor, target=row, data={**_data(wanted), **_marks(row)})
    except IntegrityError as error:
        raise Refused(_taken(wanted.name)) from error
    return row, secrets["secret"]


def change(
    row: Webhook,
    wanted: WebhookInput,
    *,
    seen: int,
    actor: Actor,
    url: str = "",
    authorization: str | None = None,
    look_up: bool = True,
) -> bool:
    """Store what differs. `seen` is the version that the person saw. Returns whether anything did.

    "" keeps the address, None the authorization; a new address without an authorization has none, so that a password
    is never sent to another host. The format stays. `look_up` is that of `create`. Raises Refused or NotActionable.
    """
    refuse_outside_of(input_of(row), actor=actor)
    refuse_outside_of(wanted, actor=actor)
    check_input(wanted)
    if wanted.format != row.format:
        raise Refused(_("The format of a webhook cannot be changed. Make another webhook."))
    stored = row.secrets()
    secrets = _changed_target(stored, url, authorization, look_up)
    before = input_of(row)
    if before == wanted and secrets == stored:
        return False
    try:
        with transaction.atomic():
            values = {**_columns(wanted), "version": seen + 1}
            if secrets != stored:
                values |= {**sealed(row, secrets), "host": authority_of(secrets["url"]), **WORKS}
            if Webhook.objects.filter(pk=row.pk, version=seen, ciphertext=row.ciphertext).update(**values) != 1:
                raise NotActionable(_changed())
            _choose(row, wanted)
            row.refresh_from_db()
            data = {"before": _data(before), "after": _data(wanted), **_marks(row)}
            record(Action.WEBHOOK_CHANGED, actor=actor, target=row, data=data)
    except IntegrityError as error:
        raise Refused(_taken(wanted.name)) from error
    return True


def change_secret(row: Webhook, *, actor: Actor) -> str:
    """A new secret, which is shown once. The former one signs as well for a day. Raises Refused or NotActionable."""
    refuse_outside_of(input_of(row), actor=actor)
    stored = row.secrets()
    if not stored.get("secret"):
        raise Refused(_("This format has no secret that signs."))
    secrets = {**stored, "secret": new_secret(), "former_secret": stored["secret"]}
    with transaction.atomic():
        values = {**sealed(row, secrets), "former_secret_until": database_now() + BOTH_VALID}
        rows = Webhook.objects.filter(pk=row.pk, ciphertext=row.ciphertext)
        if rows.update(**values, version=row.version + 1) != 1:
            raise NotActionable(_changed())
        row.refresh_from_db()
        record(Action.WEBHOOK_SECRET_CHANGED, actor=actor, target=row, data=_marks(row))
    return secrets["secret"]


def switch_on(row: Webhook, *, actor: Actor) -> None:
    """Send again from now on. What was written meanwhile waits until somebody sends it. Raises NotActionable."""
    _switch(row, WebhookState.ON, Action.WEBHOOK_SWITCHED_ON, actor=actor, **WORKS)


def switch_off(row: Webhook, *, actor: Actor) -> None:
    """Send nothing more. Raises NotActionable."""
    _switch(row, WebhookState.OFF, Action.WEBHOOK_SWITCHED_OFF, actor=actor)


def _switch(row: Webhook, state: WebhookState, action: Action, *, actor: Actor, **more: Any) -> None:
    refuse_outside_of(input_of(row), actor=actor)
    with transaction.atomic():
        rows = Webhook.objects.filter(pk=row.pk).exclude(state=state)
        if rows.update(state=state, state_changed_at=database_now(), **more) != 1:
            raise NotActionable(_("This webhook is in this state already. Nothing was changed."))
        held = hold_due(row) if state == WebhookState.OFF else 0
        record(action, actor=actor, target=row, data={"held": held})


def delete(row: Webhook, *, actor: Actor) -> None:
    """Delete the webhook with its secrets and deliveries. The audit keeps what it was. Raises NotActionable."""
    refuse_outside_of(input_of(row), actor=actor)
    with transaction.atomic():
        data = {**_data(input_of(row)), **_marks(row), "deliveries": row.deliveries.count()}
        record(Action.WEBHOOK_DELETED, actor=actor, target=row, data=data)
        row.profiles.clear()
        WebhookDelivery.objects.filter(webhook=row).exclude(state=DeliveryState.SENDING).delete()
        if WebhookDelivery.objects.filter(webhook=row).exists():
            raise NotActionable(_("Something is being sent to it now. Delete it in a minute. Nothing was changed."))
        Webhook.objects.filter(pk=row.pk).delete()


def input_of(row: Webhook) -> WebhookInput:
    """The stored values, without the secrets."""
    return WebhookInput(
        name=row.name,
        format=WebhookFormat(row.format),
        events=tuple(row.events),
        profiles=None if row.all_profiles else frozenset(row.profiles.values_list("pk", flat=True)),
        with_names=row.with_names,
        language=row.language,
        template=row.template,
    )


def refuse_outside_of(wanted: WebhookInput, *, actor: Actor) -> None:
    """Raise Refused unless each profile of the webhook is in the scope of the actor; for all profiles, the company."""
    for pk in [None] if wanted.profiles is None else sorted(wanted.profiles):
        refuse_outside(actor, pk)


def check_input(wanted: WebhookInput) -> None:
    """Raise Refused for entries that make no sense."""
    if not wanted.name.strip() or len(wanted.name) > 80 or not wanted.name.isprintable():
        raise Refused(_("Enter a name of 1 to 80 characters."))
    if wanted.format not in WebhookFormat.values:
        known = ", ".join(WebhookFormat.values)
        raise Refused(_("There is no format “{format}”. There are: {known}.").format(format=wanted.format, known=known))
    known_events = [name for name, _label in CHOICES]
    if not wanted.events:
        raise Refused(_("Choose at least one event."))
    for event in wanted.events:
        if event not in known_events:
            raise Refused(
                _("There is no event “{event}”. There are: {known}.").format(event=event, known=", ".join(known_events))
            )
    if wanted.profiles is not None:
        _check_profiles(wanted.profiles)
    if not known_language(wanted.language):
        raise Refused(_("There is no language “{language}”.").format(language=wanted.language))
    _check_template(wanted)


def _check_profiles(profiles: frozenset[int]) -> None:
    if not profiles:
        raise Refused(_("Choose at least one profile, or all profiles."))
    if IntegrationProfile.objects.filter(pk__in=profiles).count() != len(profiles):
        raise Refused(_("One of these profiles does not exist. Choose again."))


def _check_template(wanted: WebhookInput) -> None:
    if not wanted.template:
        return
    if wanted.format not in TEMPLATES:
        raise Refused(_("Only a ticket has a template. Leave it empty."))
    try:
        check(wanted.template)
    except BadTemplate as error:
        raise Refused(str(error)) from None


def _target(url: str, authorization: str, look_up: bool) -> dict[str, str]:
    """The address and the authorization, checked. Raises Refused."""
    url, authorization = url.strip(), authorization.strip()
    try:
        checked(url) if look_up else allowed(url)
    except NotSent as error:
        raise Refused(translated(str(error))) from None
    if len(authorization) > MAX_SECRET or not (authorization.isascii() and authorization.isprintable()):
        raise Refused(_("The header Authorization has characters that a header cannot have. Enter it again."))
    return {"url": url, "authorization": authorization}


def _changed_target(stored: Mapping[str, str], url: str, authorization: str | None, look_up: bool) -> dict[str, str]:
    if not url.strip() and authorization is None:
        return dict(stored)
    url = url.strip() or stored["url"]
    same = url == stored["url"]
    kept = stored.get("authorization", "") if same else ""
    return {**stored, **_target(url, kept if authorization is None else authorization, look_up)}


def _columns(wanted: WebhookInput) -> dict[str, Any]:
    values = asdict(wanted)
    chosen = values.pop("profiles")
    return {**values, "events": sorted(wanted.events), "all_profiles": chosen is None, "name": wanted.name.strip()}


def _choose(row: Webhook, wanted: WebhookInput) -> None:
    row.profiles.set(IntegrationProfile.objects.filter(pk__in=wanted.profiles or ()))


def _data(wanted: WebhookInput) -> dict[str, Any]:
    """For the audit. The name of a webhook and its host are no secret; its template may be long."""
    profiles = None if wanted.profiles is None else sorted(wanted.profiles)
    return {
        "name": wanted.name,
        "format": str(wanted.format),
        "events": sorted(wanted.events),
        "profiles": profiles,
        "with_names": wanted.with_names,
        "language": wanted.language,
        "own_template": bool(wanted.template),
    }


def _marks(row: Webhook) -> dict[str, str]:
    return {"host": row.host, "fingerprint": row.fingerprint}


def _taken(name: str) -> str:
    return _("There is a webhook “{name}” already. Choose another name.").format(name=name)


def _changed() -> str:
    return _("Somebody has changed this webhook meanwhile. Look at it again. Nothing was changed.")
