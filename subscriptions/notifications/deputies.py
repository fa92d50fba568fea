"""Deputies: who gets the mails about requests while a person is away. A deputy decides in their own name only."""

from __future__ import annotations

from datetime import date
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.scopes.account_scopes import covering, stored_choice
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.database.clock import database_now
from licensehub.ui.formatting import day, name_of
from subscriptions.accounts.rights import DECIDE, people_with
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import Deputy

NOT_POSSIBLE: Final = gettext_lazy(
    "Choose a colleague who may decide requests of all your profiles, and has an e-mail address."
)


def possible_deputies(user: User) -> QuerySet[User]:
    """The colleagues who may decide requests of each profile of this user, and have an e-mail address."""
    able = people_with(DECIDE).exclude(email="").exclude(pk=user.pk)
    chosen = stored_choice(user)
    for profile in (None,) if chosen is None else sorted(chosen):
        able = covering(able, profile)
    return able.order_by("username")


def stands_in_for_all(row: Deputy) -> bool:
    """Whether the deputy can still get each mail: the right or the profiles of either may have changed since."""
    return possible_deputies(row.user).filter(pk=row.deputy_id).exists()


def name_deputy(user: User, deputy: User, *, starts: date, ends: date) -> Deputy:
    """The user names a deputy for days away, both days included. Raises Refused."""
    if not possible_deputies(user).filter(pk=deputy.pk).exists():
        raise Refused(NOT_POSSIBLE)
    if ends < starts:
        raise Refused(_("The last day is before the first day."))
    if ends < _today():
        raise Refused(_("These days are over already."))
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        if same := deputies_of(user).filter(starts__lte=ends, ends__gte=starts).first():
            raise Refused(
                _("{name} is your deputy from {first} to {last}. End that first, or choose other days.").format(
                    name=name_of(same.deputy), first=day(same.starts), last=day(same.ends)
                )
            )
        row = Deputy.objects.create(user=user, deputy=deputy, starts=starts, ends=ends)
        data = {"deputy": deputy.get_username(), "from": starts.isoformat(), "until": ends.isoformat()}
        record(Action.DEPUTY_NAMED, actor=user, target=row, data=data)
    return row


def end_deputy(row: Deputy, *, actor: User) -> None:
    """End it before its last day. Only the person who named the deputy may do this. Raises NotActionable."""
    with transaction.atomic():
        mine = Deputy.objects.filter(pk=row.pk, user=actor, ended_at=None, ends__gte=_today())
        if mine.update(ended_at=database_now()) != 1:
            raise NotActionable(_("This deputy has ended already. Nothing was changed."))
        record(Action.DEPUTY_ENDED, actor=actor, target=row, data={"deputy": row.deputy.get_username()})


def deputies_of(user: User) -> QuerySet[Deputy]:
    """The user's deputies of today and later."""
    rows = Deputy.objects.filter(user=user, ended_at=None, ends__gte=_today())
    return rows.select_related("deputy")


def deputy_for(user: User) -> list[Deputy]:
    """The people for whom this user is the deputy, today and later."""
    rows = Deputy.objects.filter(deputy=user, ended_at=None, ends__gte=_today())
    return list(rows.select_related("user"))


def away_today() -> dict[int, int]:
    """User id -> id of the deputy, for everybody who is away today."""
    today = _today()
    rows = Deputy.objects.filter(ended_at=None, starts__lte=today, ends__gte=today)
    return dict(rows.values_list("user", "deputy"))


def stand_in(user: int, away: dict[int, int], possible: set[int]) -> int:
    """The id of who is notified instead: the deputy, or the deputy's deputy; the user if neither may decide."""
    seen, who = {user}, user
    while who in away and away[who] not in seen:
        who = away[who]
        seen.add(who)
    return who if who in possible and who not in away else user


def _today() -> date:
    """The day in the time zone of the company, not of the reader."""
    return timezone.localdate(timezone=timezone.get_default_timezone())
