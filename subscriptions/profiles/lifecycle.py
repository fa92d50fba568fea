"""Actions on a profile that touch both apps: create, publish, pause, resume, stop and allow sending."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from integrations.models import Connection, ConnectionState, IntegrationProfile, ProfileState
from integrations.sending import MIN_REASON_LENGTH
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from licensehub.database.clock import database_now
from licensehub.ui.names import joined
from subscriptions.accounts.scope import refuse_outside
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import DownloadRun, ReclaimRule, RunState
from subscriptions.reclaims import switches
from subscriptions.reclaims.switches import Operation
from subscriptions.rules.rules import terms_of
from subscriptions.schedules.schedules import ensure_schedules


def create_profile(*, name: str, organization_id: str, kind: str, actor: Actor) -> IntegrationProfile:
    """Create a profile in state Draft. Raises Refused with a sentence when a value is not valid."""
    refuse_outside(actor, None)
    profile = IntegrationProfile(name=name, organization_id=organization_id.strip(), kind=kind)
    try:
        profile.full_clean()
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from error
    with transaction.atomic():
        profile.save()
        Connection.objects.bulk_create(Connection(profile=profile, slot=slot.name) for slot in profile.connector.slots)
        data = {"organization_id": organization_id, "kind": kind}
        record(Action.PROFILE_CREATED, actor=actor, target=profile, data=data)
    return profile


def publish(profile: IntegrationProfile, *, actor: Actor) -> None:
    """Move a Draft to Published: its first download is due, and it gets the default rule and schedules.

    Raises Refused while a connection is missing, NotActionable when it is no Draft any more.
    """
    _refuse_missing_connections(profile)
    now = database_now()
    with transaction.atomic():
        _move(
            profile,
            allowed=[ProfileState.DRAFT],
            to=ProfileState.PUBLISHED,
            action=Action.PROFILE_PUBLISHED,
            actor=actor,
            published_at=now,
            download_due_at=now,
            download_due_by=None,
        )
        licenses = list(profile.connector.default_licenses)
        _, made = ReclaimRule.objects.get_or_create(profile=profile, defaults={"licenses": licenses})
        if made:
            rule = profile.rule
            record(Action.RULE_CREATED, actor=actor, target=rule, data={"terms": terms_of(rule)})
        ensure_schedules(profile)


def _refuse_missing_connections(profile: IntegrationProfile) -> None:
    usable = Connection.objects.filter(profile=profile).exclude(state=ConnectionState.NOT_SET)
    there = set(usable.values_list("slot", flat=True))
    missing = [slot.label for slot in profile.connector.slots if slot.name not in there]
    if missing:
        raise Refused(
            _("“{profile}” cannot be published yet: set the credentials of {connections} first.").format(
                profile=profile, connections=joined(missing)
            )
        )


def pause(profile: IntegrationProfile, *, actor: Actor) -> None:
    """Stop downloads, requests and approvals. What is approved is held."""
    _move(
        profile,
        allowed=[ProfileState.PUBLISHED],
        to=ProfileState.PAUSED,
        action=Action.PROFILE_PAUSED,
        actor=actor,
    )


def unpause(profile: IntegrationProfile, *, actor: Actor) -> None:
    _move(
        profile,
        allowed=[ProfileState.PAUSED],
        to=ProfileState.PUBLISHED,
        action=Action.PROFILE_RESUMED,
        actor=actor,
    )


def stop_sending(profile: IntegrationProfile, *, actor: Actor) -> None:
    """Deactivate nobody more for this profile. The UPDATE that commits the intent to send checks it, too."""
    _switch(profile, stopped=True, action=Action.SENDING_STOPPED, actor=actor)


def allow_sending(profile: IntegrationProfile, *, actor: Actor) -> None:
    _switch(profile, stopped=False, action=Action.SENDING_ALLOWED, actor=actor)


def release_hold(profile: IntegrationProfile, *, actor: Actor, checked: str) -> None:
    """Release sending after an admin has found out what was changed outside of LicenseHub. `checked` says what.

    Raises Refused or NotActionable; then nothing was changed.
    """
    refuse_outside(actor, profile.pk)
    if len(checked.strip()) < MIN_REASON_LENGTH:
        raise Refused(_("Say in a sentence what you checked before you release sending."))
    with transaction.atomic():
        held = IntegrationProfile.objects.filter(pk=profile.pk, held_at__isnull=False)
        if held.update(held_at=None, held_why="") != 1:
            raise NotActionable(_("Sending is not held for “{profile}”.").format(profile=profile))
        record(Action.PROFILE_HOLD_RELEASED, actor=actor, target=profile, data={"checked": checked.strip()})


def switch_reclaim(profile: IntegrationProfile, *, enabled: bool, actor: Actor) -> None:
    """Switch reclaims on or off. While off, candidates still appear; nothing is requested, approved or sent."""
    refuse_outside(actor, profile.pk)
    with transaction.atomic():
        rows = IntegrationProfile.objects.filter(pk=profile.pk, reclaim_enabled=not enabled)
        if rows.update(reclaim_enabled=enabled) != 1:
            said = _("Reclaim subscriptions is off for “{profile}” already.")
            if enabled:
                said = _("Reclaim subscriptions is on for “{profile}” already.")
            raise NotActionable(said.format(profile=profile))
        record(Action.PROFILE_CHANGED, actor=actor, target=profile, data={"reclaim_enabled": enabled})


def make_download_due(profile: IntegrationProfile, *, actor: Actor) -> None:
    """The next sweep starts a download, even if the broker cannot be reached now.

    Raises NotActionable while one is running, so that a late click starts no second one. By then the UPDATE has locked
    the profile's row. A download that begins must write that row too, so none can begin unnoticed.
    """
    refuse_outside(actor, profile.pk)
    with transaction.atomic():
        allowed = switches.profiles_allowing(Operation.DOWNLOAD_BY_HAND).filter(pk=profile.pk)
        if allowed.update(download_due_at=database_now(), download_due_by=actor) != 1:
            found = IntegrationProfile.objects.get(pk=profile.pk)
            changed = _("“{profile}” has just changed. Try again.").format(profile=profile)
            raise NotActionable(switches.refusal(found, Operation.DOWNLOAD_BY_HAND) or changed)
        if running := DownloadRun.objects.filter(profile=profile, state=RunState.RUNNING).first():
            raise NotActionable(
                _("{run} is running already. Wait for it, then start another one if it is needed.").format(run=running)
            )
        record(Action.DOWNLOAD_REQUESTED, actor=actor, target=profile)


def rename(profile: IntegrationProfile, name: str, *, actor: Actor) -> None:
    """Change the name. Nothing else of an existing profile can be edited, and its organization never changes."""
    refuse_outside(actor, profile.pk)
    with transaction.atomic():
        former = IntegrationProfile.objects.select_for_update().get(pk=profile.pk).name
        if former == name:
            return
        IntegrationProfile.objects.filter(pk=profile.pk).update(name=name)
        profile.name = name
        record(Action.PROFILE_CHANGED, actor=actor, target=profile, data={"name": {"from": former, "to": name}})


def _switch(profile: IntegrationProfile, *, stopped: bool, action: Action, actor: Actor) -> None:
    refuse_outside(actor, profile.pk)
    with transaction.atomic():
        rows = IntegrationProfile.objects.filter(pk=profile.pk, sending_stopped=not stopped)
        if rows.update(sending_stopped=stopped) != 1:
            said = _("Sending is allowed for “{profile}” already.")
            if stopped:
                said = _("Sending is stopped for “{profile}” already.")
            raise NotActionable(said.format(profile=profile))
        record(action, actor=actor, target=profile)


def _move(
    profile: IntegrationProfile,
    *,
    allowed: list[ProfileState],
    to: ProfileState,
    action: Action,
    actor: Actor,
    **values: Any,
) -> None:
    refuse_outside(actor, profile.pk)
    with transaction.atomic():
        rows = IntegrationProfile.objects.filter(pk=profile.pk, state__in=allowed)
        if rows.update(state=to, **values) != 1:
            found = IntegrationProfile.objects.get(pk=profile.pk).get_state_display()
            raise NotActionable(
                _("“{profile}” is {state} by now. Nothing was changed.").format(profile=profile, state=found)
            )
        record(action, actor=actor, target=profile)
    profile.refresh_from_db()
