"""The audit events of the sign-in. Each has the account, the method and the address."""

from __future__ import annotations

import time
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest

from licensehub.audit.actions import Action
from licensehub.audit.log import Row, record_rows
from licensehub.sign_in.addresses import address_of
from licensehub.sign_in.models import SignInCount

ACCOUNT: Final = User._meta.label_lower
# Windows are kept for a day.
KEPT_SECONDS: Final = 86_400


def record_for(
    action: Action, user: User, request: HttpRequest | None, *, actor: User | None = None, **data: Any
) -> None:
    """Write one event about this account. `actor` is the account itself, unless somebody else acted."""
    where = {"address": address_of(request)} if request is not None else {}
    row = Row(ACCOUNT, user.pk, user.get_username(), {**data, **where})
    with transaction.atomic():
        record_rows(action, actor=actor or user, rows=[row])


def record_often(action: Action, user: User | None, request: HttpRequest, **data: Any) -> None:
    """Write an event for the first, the 10th, the 100th … time in a window, so that guessing does not fill the audit.

    Names that are no account are counted together and not written: people type passwords into the wrong field.
    Nobody has signed in, so LicenseHub is the actor.
    """
    seconds = settings.SIGN_IN_PAUSE_MINUTES * 60
    window = int(time.time()) // seconds
    account = user.pk if user else 0
    with transaction.atomic():
        row, made = SignInCount.objects.get_or_create(action=action.value, account_id=account, window=window)
        if made:
            old = SignInCount.objects.filter(action=action.value, window__lt=window - KEPT_SECONDS // seconds)
            old.delete()
        SignInCount.objects.filter(pk=row.pk).update(count=F("count") + 1)
        count = SignInCount.objects.values_list("count", flat=True).get(pk=row.pk)
        if str(count).strip("0") == "1":
            label = user.get_username() if user else "unknown account"
            data |= {"address": address_of(request), "times": count, "minutes": settings.SIGN_IN_PAUSE_MINUTES}
            record_rows(action, actor=None, rows=[Row(ACCOUNT, account, label, data)])
