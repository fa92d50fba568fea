"""The buttons on the page of a profile: what they do, and why one is disabled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.admin.findings import summary_of
from integrations.connections.validation import validate_connections
from integrations.connectors.contract import ConnectorError
from integrations.models import Connection, ConnectionState, IntegrationProfile, ProfileState
from licensehub.translations.stored import translated
from licensehub.ui.admin import sentence_of
from licensehub.ui.formatting import day_and_time
from licensehub.ui.names import joined
from subscriptions import tasks
from subscriptions.errors import Refused
from subscriptions.models import DownloadRun, Reclaim, RunState
from subscriptions.profiles import lifecycle
from subscriptions.reclaims import switches
from subscriptions.reclaims.switches import Operation
from subscriptions.schedules.schedules import window_open, window_opens_at

Do = Callable[[IntegrationProfile, User], str]
WhyNot = Callable[[IntegrationProfile], str]


@dataclass(frozen=True, slots=True)
class Button:
    """`why_not` gives the reason beside a disabled button; it is empty for an enabled button."""

    name: str
    label: str | Promise
    icon: str
    do: Do
    why_not: WhyNot = lambda profile: ""
    main: bool = False

    def on(self, profile: IntegrationProfile) -> dict[str, Any]:
        """The button of this profile, for the template."""
        why_not = self.why_not(profile)
        return {
            "name": self.name,
            "label": self.label,
            "icon": self.icon,
            "why_not": why_not,
            "variant": "primary" if self.main else "default",
        }


def missing_slots(profile: IntegrationProfile) -> dict[str, str]:
    """The next step for each slot that cannot be used yet, e.g. `connect OAuth app`, by the name of the slot."""
    found = {row.slot: row for row in Connection.objects.filter(profile=profile)}
    usable = {name for name, row in found.items() if row.state != ConnectionState.NOT_SET}
    stored = {name for name, row in found.items() if row.fingerprint}
    missing = [slot for slot in profile.connector.slots if slot.name not in usable]
    return {
        slot.name: (_("connect {slot}") if slot.name in stored else _("set up {slot}")).format(
            slot=translated(slot.label)
        )
        for slot in missing
    }


def _first(steps: Sequence[str]) -> str:
    """`Connect OAuth app and set up SCIM API token first.`; empty without steps."""
    words = joined(steps)
    return _("{steps} first.").format(steps=capfirst(words)) if words else ""


def needs_credentials(profile: IntegrationProfile) -> str:
    return _first([*missing_slots(profile).values()])


def nothing_to_validate(profile: IntegrationProfile) -> str:
    """One connection is enough: the findings say what is missing for the other."""
    return needs_credentials(profile) if len(missing_slots(profile)) == len(profile.connector.slots) else ""


def not_validated(profile: IntegrationProfile) -> str:
    """Return why a Draft cannot be published. New credentials delete the findings of the old ones."""
    if missing := needs_credentials(profile):
        return missing
    if profile.validated_at is None:
        return _("Validate the connection first.")
    if any(finding["level"] == "error" for finding in profile.findings):
        return _("Fix what the validation found, then validate again.")
    return ""


def no_download(profile: IntegrationProfile) -> str:
    if reason := switches.note(profile, Operation.DOWNLOAD_BY_HAND):
        return reason
    if missing := missing_slots(profile).get(profile.connector.download_slot):
        return _first([missing])
    running = DownloadRun.objects.filter(profile=profile, state=RunState.RUNNING).first()
    return _("{running} is running.").format(running=running) if running else ""


def no_reclaim(profile: IntegrationProfile) -> str:
    """Return why nothing of this profile can be sent now."""
    if reason := switches.note(profile, Operation.SEND):
        return reason
    if not window_open(profile):
        opens = window_opens_at(profile)
        return (
            _("The reclaim window opens {moment}.").format(moment=day_and_time(opens))
            if opens
            else _("The reclaim schedule is paused.")
        )
    return "" if Reclaim.objects.filter(profile=profile).unfinished().exists() else _("Nothing approved is waiting.")


def _publish(profile: IntegrationProfile, user: User) -> str:
    if reason := not_validated(profile):
        raise Refused(_("“{profile}” cannot be published yet. {reason}").format(profile=profile, reason=reason))
    lifecycle.publish(profile, actor=user)
    return _(
        "“{profile}” is published. The first download starts within a minute, then every day by its schedule."
    ).format(profile=profile)


def _pause(profile: IntegrationProfile, user: User) -> str:
    lifecycle.pause(profile, actor=user)
    return _("“{profile}” is paused: nothing is downloaded, requested, approved or sent. Approved seats wait.").format(
        profile=profile
    )


def _unpause(profile: IntegrationProfile, user: User) -> str:
    lifecycle.unpause(profile, actor=user)
    return _("“{profile}” is published again.").format(profile=profile)


def _stop(profile: IntegrationProfile, user: User) -> str:
    lifecycle.stop_sending(profile, actor=user)
    return _("Sending is stopped for this profile. Approved seats wait and are not lost.")


def _allow(profile: IntegrationProfile, user: User) -> str:
    lifecycle.allow_sending(profile, actor=user)
    return _("Sending is allowed again. Approved seats are sent within a minute.")


def _reclaim_on(profile: IntegrationProfile, user: User) -> str:
    lifecycle.switch_reclaim(profile, enabled=True, actor=user)
    return _("Reclaim subscriptions is on.")


def _reclaim_off(profile: IntegrationProfile, user: User) -> str:
    lifecycle.switch_reclaim(profile, enabled=False, actor=user)
    return _("Reclaim subscriptions is off. Candidates still appear, but nothing is requested, approved or sent.")


def _download(profile: IntegrationProfile, user: User) -> str:
    """Store that a download is due, then enqueue the task. If the task is lost, the sweep starts the download."""
    if reason := no_download(profile):
        raise Refused(_("No download was started. {reason}").format(reason=reason))
    lifecycle.make_download_due(profile, actor=user)
    if tasks.enqueue_task(tasks.download_due, profile.pk):
        return _("The download starts now. This page shows its progress.")
    return _(
        "The message broker cannot be reached, so the download could not start at once. Nothing is lost: it is "
        "noted as due, and the sweep starts it as soon as broker and worker are back."
    )


def _reclaim(profile: IntegrationProfile, user: User) -> str:
    if reason := no_reclaim(profile):
        raise Refused(_("Nothing was sent. {reason}").format(reason=reason))
    if tasks.enqueue_task(tasks.reclaim, profile.pk):
        return _("A worker now starts to send what is approved and due.")
    return _(
        "The message broker cannot be reached, so nothing could start at once. Nothing is lost: what is approved "
        "stays in the queue, and the sweep starts it as soon as broker and worker are back."
    )


def validate(profile: IntegrationProfile, user: User) -> str:
    """Validate with real, harmless calls. The page shows the findings. Raises Refused."""
    if reason := nothing_to_validate(profile):
        raise Refused(reason)
    try:
        findings = validate_connections(profile, actor=user)
    except ConnectorError as error:
        raise Refused(sentence_of(error)) from error
    return summary_of(findings)


PUBLISH = Button("publish", gettext_lazy("Publish"), "rocket_launch", _publish, not_validated, main=True)
PAUSE = Button("pause", gettext_lazy("Pause"), "pause", _pause)
UNPAUSE = Button("unpause", gettext_lazy("Unpause"), "play_arrow", _unpause, main=True)
STOP = Button("stop", gettext_lazy("Stop sending"), "front_hand", _stop)
ALLOW = Button("allow", gettext_lazy("Allow sending"), "lock_open", _allow)
RECLAIM_ON = Button("reclaim-on", gettext_lazy("Switch reclaim on"), "toggle_on", _reclaim_on)
RECLAIM_OFF = Button("reclaim-off", gettext_lazy("Switch reclaim off"), "toggle_off", _reclaim_off)
DOWNLOAD = Button("download", gettext_lazy("Run now"), "play_arrow", _download, no_download)
RECLAIM = Button("reclaim", gettext_lazy("Run now"), "play_arrow", _reclaim, no_reclaim)
BUTTONS = {
    button.name: button for button in (PUBLISH, PAUSE, UNPAUSE, STOP, ALLOW, RECLAIM_ON, RECLAIM_OFF, DOWNLOAD, RECLAIM)
}


def head_buttons(profile: IntegrationProfile) -> list[Button]:
    """The buttons beside the name, by the state of the profile."""
    by_state = {ProfileState.DRAFT: [PUBLISH], ProfileState.PUBLISHED: [PAUSE], ProfileState.PAUSED: [UNPAUSE]}
    return by_state.get(ProfileState(profile.state), [])


def reclaim_buttons(profile: IntegrationProfile) -> list[Button]:
    if profile.is_archived:
        return [RECLAIM]
    return [
        RECLAIM,
        ALLOW if profile.sending_stopped else STOP,
        RECLAIM_OFF if profile.reclaim_enabled else RECLAIM_ON,
    ]
