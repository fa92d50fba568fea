"""Split a selection: people that the action takes, and people who are left out, by name and with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import ngettext

from integrations.models import IntegrationProfile
from subscriptions.accounts.own_seat import own_among
from subscriptions.reclaims import switches
from subscriptions.reclaims.switches import Operation

# A sentence names at most this many people, and counts the others.
NAMED = 5


@dataclass(slots=True)
class Selection:
    """The rows that are taken, by profile, and a sentence for each reason why others are left out."""

    able: dict[IntegrationProfile, QuerySet[Any]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(rows.count() for rows in self.able.values())

    def leave_out(self, rows: QuerySet[Any], reason: str) -> None:
        """Leave out these rows, and name them with the reason. They have a `subscription`."""
        if sentence := left_out(rows, reason):
            self.left_out.append(sentence)


def ticked(request: HttpRequest, chosen: QuerySet[Any]) -> QuerySet[Any]:
    """The ticked rows, also those that have left the tab meanwhile; with *Select all*, the rows of the list now."""
    if request.POST.get("select_across") == "1":
        return chosen.model._default_manager.filter(pk__in=chosen.order_by().values("pk"))
    return chosen.model._default_manager.filter(pk__in=request.POST.getlist("_selected_action"))


def left_out(rows: QuerySet[Any], reason: str) -> str:
    """`2 people are left out (Pat Lee, Sam Roe): REASON`; empty for nobody. The rows have a `subscription`."""
    count = rows.order_by().count()
    if not count:
        return ""
    named = ", ".join(str(row.subscription) for row in rows.select_related("subscription").order_by("pk")[:NAMED])
    more = f", and {count - NAMED:,} more" if count > NAMED else ""
    said = ngettext("{:,} person is left out", "{:,} people are left out", count).format(count)
    return f"{said} ({named}{more}): {reason}"


def select(rows: QuerySet[Any], operation: Operation, *, email: Any, actor: User) -> Selection:
    """Take the people of profiles that allow the operation, except the actor.

    `rows` have a `profile` and a `subscription`; `email` is the expression for the address in their evidence.
    """
    selection = Selection()
    profiles = IntegrationProfile.objects.filter(pk__in=rows.order_by().values("profile"))
    for profile in profiles.order_by("name", "pk"):
        mine = rows.filter(profile=profile)
        if why_not := switches.refusal(profile, operation):
            selection.leave_out(mine, why_not)
            continue
        seats = mine.order_by().values_list("pk", "subscription__external_id", email, "subscription__email")
        own = own_among(seats, actor=actor, profile=profile)
        for reason in sorted(set(own.values())):
            selection.leave_out(mine.filter(pk__in=[pk for pk, why in own.items() if why == reason]), reason)
        others = mine.exclude(pk__in=list(own)) if own else mine
        if others.exists():
            selection.able[profile] = others
    return selection
