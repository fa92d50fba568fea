"""The last step of the setup: the first request, its decision, and its first verified seat."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser, User
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import IntegrationProfile
from licensehub.site.dashboard.links import listed, page
from licensehub.site.dashboard.steps import Button, Step, StepState, allowed
from licensehub.ui.formatting import number
from licensehub.ui.names import names_of
from subscriptions.approvals.deciders import deciders_of
from subscriptions.models import (
    CandidateState,
    Direction,
    HoldReason,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RemovalCandidate,
    RequestState,
)
from subscriptions.models.reclaims.reclaim import UNFINISHED
from subscriptions.models.reclaims.request import WAITING

REQUEST, SEES = "subscriptions.request_removalcandidate", "subscriptions.view_reclaimrequest"
# Decided without a seat being taken.
ENDED = (RequestState.REJECTED, RequestState.EXPIRED, RequestState.CANCELED, RequestState.EMPTY)


def request_step(profile: IntegrationProfile | None, user: User | AnonymousUser, *, reached: bool) -> Step:
    """The step of the first request. `reached`: candidates were found, and somebody else may decide."""
    requests = ReclaimRequest.objects.filter(profile=profile, direction=Direction.DEACTIVATE)
    newest = requests.order_by("-pk").first() if profile else None
    if newest is None or newest.state in ENDED:
        return _to_file(profile, user, newest, reached=reached)
    title = _("File the first request")
    opens = Button(
        _("Open {request}").format(request=newest), "open_in_new", page("subscriptions_reclaimrequest", newest.pk)
    )
    buttons = (opens,) if user.has_perm(SEES) else ()
    state, text = _waiting(newest) if newest.state in WAITING else _sending(newest)
    if not user.has_perm(SEES):
        text = _("A request is under way.")
    return Step(title, text, state, buttons=buttons)


def _to_file(
    profile: IntegrationProfile | None, user: User | AnonymousUser, ended: ReclaimRequest | None, *, reached: bool
) -> Step:
    title = _("File the first request")
    text = _(
        "Pick candidates, and the second person approves. Start with one or two seats; a seat can be restored at any "
        "time."
    )
    ready = RemovalCandidate.objects.filter(profile=profile, state=CandidateState.READY).count() if profile else 0
    if not reached:
        return Step(title, text, StepState.LATER)
    if ended:
        text = _("{request} ended without a reclaim ({state}). {text}").format(
            request=ended, state=ended.get_state_display().lower(), text=text
        )
    if not ready:
        text = _("Nobody is a candidate by the rule now. Look at the rule, or wait for a newer download.")
        rule = Button(_("Open the rules"), "rule_settings", listed("reclaimrule"))
        return Step(
            title, text, StepState.NEXT, buttons=(rule,) if user.has_perm("subscriptions.view_reclaimrule") else ()
        )
    label = ngettext("Go to {count} candidate", "Go to {count} candidates", ready).format(count=number(ready))
    buttons, ask = allowed(user, REQUEST, Button(label, "person_search", listed("removalcandidate")))
    return Step(title, text, StepState.NEXT, buttons=buttons, ask=ask)


def _waiting(request: ReclaimRequest) -> tuple[StepState, str]:
    if request.state == RequestState.COLLECTING:
        return StepState.WAITING, _("{request} waits for the answers of the people who were asked.").format(
            request=request
        )
    names = names_of(deciders_of(request))
    if not names:
        text = _("No account may decide {request}. Invite a person who may, and who has no part in it.")
        return StepState.FAILED, text.format(request=request)
    return StepState.WAITING, _("{request} waits for a decision by {names}.").format(request=request, names=names)


def _sending(request: ReclaimRequest) -> tuple[StepState, str]:
    """State and sentence of an approved request. No person is verified yet: that would have ended the setup."""
    items = list(Reclaim.objects.filter(removal__request=request).values_list("state", "hold_reason"))
    states = [state for state, _reason in items]
    open_items = [reason for state, reason in items if state in UNFINISHED]
    if open_items:
        if reason := next(filter(None, open_items), ""):
            text = _("{request} is approved and waits: {reason}.")
            return StepState.WAITING, text.format(request=request, reason=HoldReason(reason).label)
        return StepState.WAITING, _("{request} is approved and is being sent.").format(request=request)
    if {ReclaimState.IN_DOUBT, ReclaimState.FAILED, ReclaimState.TAMPERED} & set(states):
        text = _("{request} was sent, and nothing is verified: look at what the vendor answered.")
        return StepState.FAILED, text.format(request=request)
    text = _("Nobody of {request} had to be reclaimed: they were active again, or left out. File another request.")
    return StepState.FAILED, text.format(request=request)
