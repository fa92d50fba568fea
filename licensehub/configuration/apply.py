"""Apply the differences of a file: all of them in one transaction, or none."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction

from integrations.credentials.encryption import CredentialError
from licensehub.api.access.caller import OVER, Caller, acting, caller_for
from licensehub.api.problems import Problem
from licensehub.configuration.changes import Change, Kind, Plan
from licensehub.configuration.document import plan_of
from licensehub.configuration.drift import record_applied
from licensehub.configuration.reading import Entry, Wrong
from licensehub.sign_in.tokens import tokens
from subscriptions.errors import NotActionable, Refused

REFUSALS = (Refused, NotActionable, ValidationError, CredentialError)


class CannotApply(Exception):
    """Its text is one sentence for the person at the terminal. Nothing was changed."""


class NotDone(Wrong):
    """LicenseHub refused a change that the file asks for. The place is that of the change."""


def caller_of(text: str) -> Caller:
    """The person who applies, by their own API token: a name alone could be anybody's. Raises CannotApply."""
    token = tokens.find(text, "user__profile_scope") if tokens.prefix_in(text) else None
    if token is None:
        raise CannotApply("This token is not valid. Make another one in LicenseHub under “Your account”.")
    if why := tokens.why_over(token):
        raise CannotApply(OVER[why])
    caller = caller_for(token)
    try:
        caller.refuse_without_proof("applies a configuration")
    except Problem as problem:
        raise CannotApply(problem.detail) from problem
    return caller


def apply(entry: Entry, caller: Caller, *, prune: bool) -> Plan:
    """Apply the file, and return what was different. Raises Wrong and CannotApply; then nothing was changed.

    The differences are found in the transaction that removes them.
    """
    with transaction.atomic(), acting(caller) as actor:
        plan = plan_of(entry, prune=prune)
        if plan.mistakes:
            return plan
        for change in plan.changes:
            if change.do is None:
                continue
            if change.right and not caller.may(change.right):
                raise NotDone(change.place, f"The role of this token does not have the right {change.right}.")
            try:
                change.do(actor)
            except REFUSALS as refusal:
                raise NotDone(change.place, sentence_of(refusal)) from refusal
        record_applied(entry, actor=actor)
    return plan


def sentence_of(error: Exception) -> str:
    return " ".join(map(str, error.messages)) if isinstance(error, ValidationError) else str(error)


def is_open(change: Change) -> bool:
    """Whether the difference is still there after the file was applied."""
    return change.do is None or change.kind == Kind.WAITS
