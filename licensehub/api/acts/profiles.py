"""Protect people, start what is due, and stop sending. Nothing here starts a send that nobody approved."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.db import transaction
from django.http import HttpRequest
from ninja import Schema
from pydantic import Field

from integrations import sending
from integrations.models import IntegrationProfile
from licensehub.api.access.caller import Caller, caller_of
from licensehub.api.acts import once
from licensehub.api.acts.decisions import Ids, Reason, all_of, send_soon
from licensehub.api.problems import Problem
from licensehub.api.reading.rows import Id, one_for, rows_for
from licensehub.api.router import router
from subscriptions import tasks
from subscriptions.admin.profiles.actions import no_download, no_reclaim
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import Protection, ProtectionKind, Subscription
from subscriptions.profiles import lifecycle
from subscriptions.rules.protections import (
    ProtectionEffect,
    ProtectionInput,
    create_protection,
    end_protection,
    protect_people,
)

TAGS = ["Acts"]
PROTECT, END_PROTECTION = "subscriptions.add_protection", "subscriptions.change_protection"
OPERATE, STOP_ALL = "integrations.operate_integrationprofile", "integrations.stop_all_sending"


class ProtectionDetails(Schema):
    """Why, whom to ask whether it is still needed, and until when; null for no end."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]
    owner: Annotated[str, Field(min_length=1, max_length=150)]
    ends_at: datetime | None = None


class NewProtection(ProtectionDetails):
    """One address, domain, license type or role of a profile."""

    profile: Id
    kind: ProtectionKind = ProtectionKind.PERSON
    value: Annotated[str, Field(min_length=1, max_length=254)]


class PeopleToProtect(ProtectionDetails):
    """People of one profile, by the ids of their subscriptions."""

    subscriptions: Ids


class Protected(Schema):
    """`changed`: people with another verdict now. `already`: people who had a protection of their own."""

    protections: list[int]
    changed: int
    withdrawn: int
    already: int


class Noted(Schema):
    """The sentence that says what happens next."""

    detail: str


def protected(effect: ProtectionEffect, *, already: int = 0) -> Protected:
    made = [one.pk for one in effect.made]
    return Protected(
        protections=made, changed=effect.changed, withdrawn=effect.withdrawn, already=effect.already + already
    )


def _details(sent: ProtectionDetails) -> ProtectionInput:
    if sent.ends_at is not None and sent.ends_at.tzinfo is None:
        raise Problem(422, errors=[{"place": "body.ends_at", "detail": "Give the time zone, e.g. …T00:00:00Z."}])
    return ProtectionInput(sent.reason, sent.owner, sent.ends_at)


def allowed(request: HttpRequest, permission: str) -> Caller:
    caller = caller_of(request)
    caller.refuse_without(permission)
    return caller


@router.post("/protections", tags=TAGS, response=Protected, summary="Protect an address, a domain, a license or a role")
def protect(request: HttpRequest, sent: NewProtection) -> Any:
    caller = allowed(request, PROTECT)
    profile = one_for(request, IntegrationProfile, sent.profile)

    def act() -> Protected:
        return protected(create_protection(profile, sent.kind, sent.value, _details(sent), actor=caller.user))

    return once.do(request, act)


@router.post("/protected-people", tags=TAGS, response=Protected, summary="Protect people by their subscriptions")
def protect_subscriptions(request: HttpRequest, sent: PeopleToProtect) -> Any:
    caller = allowed(request, PROTECT)

    def act() -> Protected:
        rows = all_of(rows_for(request, Subscription), sorted(set(sent.subscriptions)), "body.subscriptions")
        people = list(rows)
        if len({row.profile_id for row in people}) > 1:
            raise Refused("These people belong to several profiles. Protect those of each profile by themselves.")
        return protected(protect_people(people[0].profile, people, _details(sent), actor=caller.user))

    return once.do(request, act)


@router.post("/protections/{pk}/end", tags=TAGS, response=Protected, summary="End a protection")
def stop_protecting(request: HttpRequest, pk: Id) -> Any:
    caller, row = allowed(request, END_PROTECTION), one_for(request, Protection, pk)
    return once.do(request, lambda: protected(end_protection(row, actor=caller.user)))


@router.post("/profiles/{pk}/download", tags=TAGS, response=Noted, summary="Download subscriptions now")
def download_now(request: HttpRequest, pk: Id) -> Any:
    caller, profile = allowed(request, OPERATE), one_for(request, IntegrationProfile, pk)

    def act() -> Noted:
        if reason := no_download(profile):
            raise Refused(f"No download was started. {reason}")
        lifecycle.make_download_due(profile, actor=caller.user)
        transaction.on_commit(lambda: tasks.enqueue_task(tasks.download_due, profile.pk))
        return Noted(detail="The download starts within a minute. The list of runs shows its progress.")

    return once.do(request, act)


@router.post("/profiles/{pk}/reclaim", tags=TAGS, response=Noted, summary="Send now what is approved and due")
def reclaim_now(request: HttpRequest, pk: Id) -> Any:
    """It sends nothing that was not approved."""
    _caller, profile = allowed(request, OPERATE), one_for(request, IntegrationProfile, pk)

    def act() -> Noted:
        if reason := no_reclaim(profile):
            raise Refused(f"Nothing was sent. {reason}")
        send_soon(profile.pk)
        return Noted(detail="A worker now starts to send what is approved and due.")

    return once.do(request, act)


@router.post("/profiles/{pk}/stop", tags=TAGS, response=Noted, summary="Stop sending for a profile")
def stop(request: HttpRequest, pk: Id) -> Any:
    """A person allows it again, in the browser."""
    caller, profile = allowed(request, OPERATE), one_for(request, IntegrationProfile, pk)

    def act() -> Noted:
        lifecycle.stop_sending(profile, actor=caller.user)
        return Noted(detail="Sending is stopped for this profile. Approved seats wait and are not lost.")

    return once.do(request, act)


@router.post("/sending/stop", tags=TAGS, response=Noted, summary="Stop all sending, in every profile")
def stop_everything(request: HttpRequest, sent: Reason) -> Any:
    """A person allows it again, in the browser."""
    caller = allowed(request, STOP_ALL)

    def act() -> Noted:
        try:
            sending.stop_all(actor=caller.user, reason=sent.reason)
        except sending.NotSwitched as refusal:
            raise NotActionable(str(refusal)) from refusal
        return Noted(detail="All sending is stopped. Approved seats wait and are not lost.")

    return once.do(request, act)
