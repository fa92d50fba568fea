"""Find out how a person came to an account, and who else could have: a right to decide depends on it.

An invitation has a link, with which one chooses a password. A mail shows it to the owner of the address only. Without
a mail server, the inviter gets the link to hand over, and could open it. Nothing in LicenseHub tells who came in then.
So somebody else has to ask the person: a second admin, who confirms the right, or an operator at the console.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent
from licensehub.ui.formatting import day_and_time, name_of
from licensehub.ui.names import joined
from subscriptions.accounts.origins import openers


def has_joined(user: User) -> bool:
    """Return whether somebody has signed in, or can. A worker asks this, too, and may read no factors and no links."""
    made_by_sign_on = _events_about(user).filter(action=Action.ACCOUNT_BY_SIGN_ON.value)
    return user.has_usable_password() or user.last_login is not None or made_by_sign_on.exists()


def _events_about(user: User) -> QuerySet[AuditEvent]:
    return AuditEvent.objects.filter(target_type=User._meta.label_lower, target_id=user.pk)


@dataclass(frozen=True, slots=True)
class Joining:
    """`joined_at`: None for an account that nobody was invited to, or while nobody has used the link. `mailed_to`: the
    address of the newest invitation; empty if somebody else saw a link. `openers`: see `origins.openers`.
    """

    joined_at: datetime | None
    mailed_to: str
    openers: tuple[User, ...]

    def as_data(self) -> dict[str, Any]:
        """For an event."""
        return {"joined_at": self.joined_at, "seen_by": [user.get_username() for user in self.openers]}


def joining_of(user: User) -> Joining:
    """Read how the owner of this account joined. Four queries."""
    about = _events_about(user).order_by("-sequence")
    accepted = about.filter(action=Action.USER_JOINED.value).first()
    invited = [event.data for event in about.filter(action=Action.USER_INVITED.value)]
    only_mailed = invited and not any(data.get("problem") for data in invited)
    saw = User.objects.filter(pk__in=openers().get(user.pk, ())).order_by("username")
    return Joining(
        joined_at=accepted.at if accepted else None,
        mailed_to=invited[0].get("to", "") if only_mailed else "",
        openers=tuple(saw),
    )


def sentence_of(user: User) -> str:
    """Say for readers how this person joined; empty if no event says it, e.g. for an account of the console."""
    if not has_joined(user):
        return _("{name} has not joined: nobody can sign in with this account yet.").format(name=name_of(user))
    joining = joining_of(user)
    values = {
        "name": name_of(user),
        "at": day_and_time(joining.joined_at) if joining.joined_at else "",
        "address": joining.mailed_to,
        "others": joined([name_of(one) for one in joining.openers]),
    }
    if joining.openers:
        text = _("{others} saw the link of the invitation, or set the password, and so could sign in as {name}.")
    elif joining.joined_at and joining.mailed_to:
        text = _("{name} joined on {at}. The link of the invitation was mailed to {address}, and nobody else saw it.")
    else:
        text = _("{name} joined on {at}.") if joining.joined_at else ""
    return text.format(**values)
