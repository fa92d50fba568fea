"""Webhooks, each by its name. The address is a reference, too: that of a chat has a secret in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from django.contrib.auth.models import User

from integrations.credentials.encryption import CredentialError
from integrations.models import Webhook, WebhookFormat, WebhookState
from licensehub.configuration.changes import Kind, Plan, shown
from licensehub.configuration.reading import Entry
from licensehub.configuration.references import secret_of
from licensehub.configuration.sections.profiles import chosen, names_of
from subscriptions.errors import Refused
from subscriptions.webhooks import setup
from subscriptions.webhooks.guarded import NotSent, allowed
from subscriptions.webhooks.setup import WebhookInput, input_of

CHANGE: Final = "integrations.change_webhook"
SECRETS: Final = ("url", "authorization")
STORED: Final = ("format", "events", "profiles", "with_names", "language", "template", "enabled")


def dump() -> dict[str, Any]:
    return {row.name: _values(input_of(row), _is_on(row)) for row in Webhook.objects.order_by("name")}


def _values(wanted: WebhookInput, enabled: bool) -> dict[str, Any]:
    return {
        "format": str(wanted.format),
        "events": sorted(wanted.events),
        "profiles": names_of(wanted.profiles),
        "with_names": wanted.with_names,
        "language": wanted.language,
        "template": wanted.template,
        "enabled": enabled,
    }


def _is_on(row: Webhook) -> bool:
    return row.state == WebhookState.ON


def plan(entry: Entry, plan: Plan) -> None:
    listed = entry.named()
    for name, one in listed.items():
        plan.guarded(_plan, name, one, plan)
    for row in Webhook.objects.exclude(name__in=listed).order_by("name"):
        plan.add(Kind.EXTRA, f"webhooks: {row.name}", "delete it in the browser, or add it to the file", entry)


def _plan(name: str, entry: Entry, plan: Plan) -> None:
    entry.only(*SECRETS, *STORED)
    row = Webhook.objects.filter(name=name).first()
    wanted = _wanted(name, entry, row)
    secrets = _secrets(entry)
    enabled = entry.read("enabled", Entry.switch, row is None or _is_on(row))
    if row is None:
        entry.required("url")
        plan.add(
            Kind.ADD,
            f"webhooks: {name}",
            shown(_values(wanted, enabled)),
            entry,
            CHANGE,
            lambda actor: _create(wanted, secrets, enabled, actor),
        )
        return
    changed = _changed(row, wanted, secrets, entry)
    if changed:

        def change(actor: User) -> None:
            setup.change(row, wanted, seen=row.version, **secrets, look_up=False, actor=actor)

        plan.add(Kind.CHANGE, f"webhooks: {name}", "; ".join(changed), entry, CHANGE, change)
    if enabled != _is_on(row):
        switch = setup.switch_on if enabled else setup.switch_off
        text = f"{shown(not enabled)} → {shown(enabled)}"
        plan.add(Kind.CHANGE, f"webhooks: {name}: enabled", text, entry, CHANGE, lambda actor: switch(row, actor=actor))


def _create(wanted: WebhookInput, secrets: dict[str, str], enabled: bool, actor: User) -> None:
    row, _secret = setup.create(wanted, **secrets, look_up=False, actor=actor)
    if not enabled:
        setup.switch_off(row, actor=actor)


def _wanted(name: str, entry: Entry, row: Webhook | None) -> WebhookInput:
    """The values of the file; those that it does not name are the stored ones. Raises Wrong."""
    if row is not None:
        stored = input_of(row)
    else:
        entry.required("events")
        stored = WebhookInput(name, _format(entry.required("format")), ())
    wanted = replace(
        stored,
        format=entry.read("format", _format, stored.format),
        events=entry.read("events", lambda one: tuple(sorted({each.text() for each in one.items()})), stored.events),
        profiles=entry.read("profiles", _profiles, stored.profiles),
        with_names=entry.read("with_names", Entry.switch, stored.with_names),
        language=entry.read("language", Entry.text, stored.language),
        template=entry.read("template", Entry.text, stored.template),
    )
    try:
        setup.check_input(wanted)
    except Refused as refused:
        raise entry.wrong(str(refused)) from refused
    if wanted.format != stored.format:
        raise entry.required("format").wrong(
            "The format of a webhook cannot be changed. Give the new one another name."
        )
    return wanted


def _format(entry: Entry) -> WebhookFormat:
    return WebhookFormat(entry.one_of(WebhookFormat.values))


def _profiles(entry: Entry) -> frozenset[int] | None:
    ids = chosen(entry)[1]
    return None if ids is None else frozenset(ids)


def _secrets(entry: Entry) -> dict[str, str]:
    """The address and the authorization behind the references, as far as the file names them. Raises Wrong."""
    found: dict[str, str] = {name: secret_of(entry.required(name)) for name in SECRETS if name in entry.named()}
    try:
        if "url" in found:
            allowed(found["url"])
    except NotSent as error:
        raise entry.required("url").wrong(str(error)) from error
    return found


def _changed(row: Webhook, wanted: WebhookInput, secrets: dict[str, str], entry: Entry) -> list[str]:
    """One text for each difference; nothing of a secret is in it."""
    before, after = _values(input_of(row), True), _values(wanted, True)
    texts = [f"{name}: {shown(before[name])} → {shown(after[name])}" for name in before if before[name] != after[name]]
    try:
        stored = row.secrets()
    except CredentialError as error:
        raise entry.wrong(str(error)) from error
    return texts + [f"{name}: replace it" for name, secret in secrets.items() if stored.get(name, "") != secret]
