"""The timeline of one seat in steps, from the last activity to the verification, and to its restore."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from licensehub.translations.stored import translated
from licensehub.ui.formatting import ago, day, day_and_time, inside, name_of
from subscriptions.admin.widgets.evidence import moment, run_number
from subscriptions.admin.widgets.steps import Step
from subscriptions.models import Direction, Reclaim, ReclaimRequest, ReclaimState, RequestedRemoval, RequestState


@dataclass(frozen=True, slots=True)
class StepTexts:
    """The words that differ between a reclaim and a restore."""

    sent: Promise
    rechecked: Promise
    found: Promise
    failed: Promise


TEXTS = {
    Direction.DEACTIVATE: StepTexts(
        gettext_lazy("Deactivated"),
        gettext_lazy("still inactive"),
        gettext_lazy("read back inactive"),
        gettext_lazy("Not reclaimed"),
    ),
    Direction.REACTIVATE: StepTexts(
        gettext_lazy("Activated again"),
        gettext_lazy("still deactivated"),
        gettext_lazy("read back active"),
        gettext_lazy("Not restored"),
    ),
}
TONES = {
    ReclaimState.DONE: "ok",
    ReclaimState.FAILED: "error",
    ReclaimState.TAMPERED: "error",
    ReclaimState.IN_DOUBT: "warning",
}
NOT_SENT = (ReclaimState.SKIPPED, ReclaimState.FAILED, ReclaimState.TAMPERED)


def requester_of(request: ReclaimRequest) -> str:
    """The person who requested it, or the schedule."""
    return name_of(request.requested_by) if request.requested_by_id else _("LicenseHub, by schedule")


def steps_of(item: Reclaim) -> list[Step]:
    """All steps in their order; steps that are not reached are pending."""
    if item.direction == Direction.REACTIVATE:
        return [*_taken_back(item), *_execution(item)]
    restores = [step for removal in item.restores.all() if (step := _restore(removal))]
    return [*_decision(item), *_execution(item), *restores]


def _decision(item: Reclaim) -> list[Step]:
    removal = item.removal
    evidence, request = removal.evidence, removal.request
    last = moment(evidence, "last_activity_at")
    return [
        Step(_("Last active"), "bedtime", day(last) if last else _("Never"), ago(last) or translated(evidence["why"])),
        Step(
            _("Candidate"),
            "person_search",
            day_and_time(removal.candidate.created_at),
            _("download {number}").format(number=run_number(evidence)),
        ),
        Step(_("Requested"), "front_hand", day_and_time(request.requested_at), requester_of(request), "info"),
        Step(
            _("Approved"), "approval_delegation", day_and_time(request.decided_at), name_of(request.decided_by), "info"
        ),
    ]


def _taken_back(item: Reclaim) -> list[Step]:
    """The reclaim that a restore undoes, and who requested and approved the restore."""
    removal, request = item.removal, item.removal.request
    asked = Step(
        _("Restore requested"), "front_hand", day_and_time(request.requested_at), name_of(request.requested_by), "info"
    )
    approver = name_of(request.decided_by) if request.decided_by else _("no approval needed for one seat")
    approved = Step(_("Approved"), "approval_delegation", day_and_time(request.decided_at), approver, "info")
    if removal.restores is None:
        return [asked, approved]
    taken = removal.restores
    detail = _("request {request}").format(request=taken.removal.request)
    return [
        Step(_("Reclaimed"), "event_seat", day_and_time(taken.finished_at), detail, url=_page_of(taken)),
        asked,
        approved,
    ]


def _restore(removal: RequestedRemoval) -> Step | None:
    """The restore that was requested; None when the request ended without one."""
    request, item = removal.request, getattr(removal, "reclaim", None)
    by = name_of(request.requested_by)
    if item is not None:
        done = item.state == ReclaimState.DONE
        title = _("Restored") if done else _("Restore: {state}").format(state=inside(item.get_state_display()))
        when = day_and_time(item.finished_at or item.queued_at)
        return Step(title, "undo", when, by, TONES.get(ReclaimState(item.state), "info"), _page_of(item))
    if removal.dropped_at or request.state != RequestState.OPEN:
        return None
    url = reverse("admin:subscriptions_reclaimrequest_change", args=[request.pk])
    return Step(_("Restore requested"), "front_hand", day_and_time(request.requested_at), by, "info", url)


def _execution(item: Reclaim) -> list[Step]:
    texts = TEXTS[Direction(item.direction)]
    sent = item.sending_at
    looked = sent or (item.finished_at if item.state in NOT_SENT else None)
    if looked is None:
        held = item.get_hold_reason_display() if item.hold_reason else _("waiting to be sent")
        until = _("not before {moment}").format(moment=day_and_time(item.not_before)) if item.not_before else ""
        tone = "warning" if item.hold_reason else "pending"
        waiting = Step(_("Checked again"), "hourglass_top", until, held, tone)
        return [waiting, _pending(str(texts.sent), "send"), _pending(_("Verified"), "verified")]
    if sent is None:
        tone = "neutral" if item.state == ReclaimState.SKIPPED else "error"
        return [Step(_("Checked again"), "visibility", day_and_time(looked), translated(item.outcome), tone)]
    seen = Step(_("Checked again"), "visibility", day_and_time(looked), str(texts.rechecked), "ok")
    return [seen, _sent(item, texts), _verified(item, texts)]


def _sent(item: Reclaim, texts: StepTexts) -> Step:
    answer = f"PATCH {item.http_status}" if item.http_status else _("no answer yet")
    if item.state == ReclaimState.FAILED:
        return Step(_("Refused"), "block", day_and_time(item.finished_at), answer, "error")
    if item.state == ReclaimState.IN_DOUBT or (item.read_back and not item.http_status):
        return Step(_("Sent"), "send", day_and_time(item.sending_at), _("no answer received"), "warning")
    return Step(str(texts.sent), "send", day_and_time(item.sending_at), answer, "ok")


def _verified(item: Reclaim, texts: StepTexts) -> Step:
    if item.state == ReclaimState.DONE:
        return Step(_("Verified"), "verified", day_and_time(item.read_back_at), str(texts.found), "ok")
    if item.state == ReclaimState.FAILED:
        return Step(str(texts.failed), "error", "", translated(item.outcome), "error")
    if item.state == ReclaimState.IN_DOUBT and item.read_back:
        return Step(
            _("Read back"),
            "help",
            day_and_time(item.read_back_at),
            _("{read_back}, a person has to check").format(read_back=translated(item.read_back)),
            "warning",
        )
    return _pending(_("Verified"), "verified")


def _pending(title: str, icon: str) -> Step:
    return Step(title, icon, "", _("not yet"), "pending")


def _page_of(item: Reclaim) -> str:
    return reverse("admin:subscriptions_reclaim_change", args=[item.pk])
