"""End the pause of an account at the console.

A stranger begins it again with five wrong passwords, so for some minutes none begins for this account. The limit of
each network address stays, and it is why this is no way to guess: 30 tries from an address.
"""

from __future__ import annotations

import time
from typing import Final

from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q

from licensehub.sign_in.models import SignInCount

MINUTES: Final = 10
# The name of its rows among the counts. Their window is the second at which the unlocking ends.
UNLOCKED: Final = "sign_in.unlocked"
# Between the name of an account and the id of its browser. No username has it.
BROWSER: Final = "|browser:"


def unlock(user: User) -> None:
    """Forget the wrong passwords of this account, and begin no pause for it until MINUTES are over."""
    name, now = user.get_username(), int(time.time())
    with transaction.atomic():
        AccessAttempt.objects.filter(Q(username=name) | Q(username__startswith=f"{name}{BROWSER}")).delete()
        SignInCount.objects.filter(action=UNLOCKED, account_id=user.pk).delete()
        SignInCount.objects.create(action=UNLOCKED, account_id=user.pk, window=now + MINUTES * 60)


def is_unlocked(username: str) -> bool:
    accounts = User.objects.filter(username=username).values("pk")
    return SignInCount.objects.filter(action=UNLOCKED, account_id__in=accounts, window__gt=int(time.time())).exists()
