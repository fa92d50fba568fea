"""An action on the ticked rows of a list: who is taken, who is left out and why, and the page that confirms it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import IntegrationProfile
from licensehub.ui.admin import run_and_report
from licensehub.ui.formatting import number
from subscriptions.accounts.own_seat import own_among
from subscriptions.admin.widgets.actions import REFUSALS
from subscriptions.admin.widgets.counts import seats
from subscriptions.models import ReclaimRequest, RequestedRemoval
from subscriptions.reclaims import switches
from subscriptions.reclaims.switches import Operation

# The page that confirms names at most this many rows, and a sentence at most so many people. They count the others.
NAMED = 12
NAMED_LEFT_OUT = 5


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

    def say_left_out(self, request: HttpRequest, level: int) -> None:
        for sentence in self.left_out:
            messages.add_message(request, level, sentence)

    def first(self, *related: str) -> list[Any]:
        """The rows that are named, each with these relations."""
        rows = (row for mine in self.able.values() for row in mine.select_related(*related)[:NAMED])
        return list(rows)[:NAMED]


def ticked(request: HttpRequest, chosen: QuerySet[Any]) -> QuerySet[Any]:
    """The ticked rows, also those that have left the tab meanwhile; with *Select all*, the rows of the list now."""
    if is_across(request):
        return chosen.model._default_manager.filter(pk__in=chosen.order_by().values("pk"))
    return chosen.model._default_manager.filter(pk__in=request.POST.getlist("_selected_action"))


def is_across(request: HttpRequest) -> bool:
    """Whether the action is for all rows that match the filters of the list, not for the ticked ones."""
    return request.POST.get("select_across") == "1"


def form_again(request: HttpRequest, *acts: str) -> list[tuple[str, str]]:
    """The hidden fields with which a form sends the same selection of a list again, to the address of this list.

    `acts` are the actions that its buttons choose by their `index`.
    """
    first = request.POST.getlist("_selected_action")[:1]
    fields = [("action", act) for act in acts]
    return [*fields, ("select_across", "1"), *(("_selected_action", pk) for pk in first)]


def has_changed(request: HttpRequest, count: int) -> bool:
    """Whether a form for all rows of a list was not sent, or for another number of rows than there are now: says so."""
    sent = request.POST.get("confirmed", "")
    if sent == str(count):
        return False
    if sent:
        messages.warning(
            request,
            _("The list has changed: {count} match now. Look at it again before you confirm.").format(
                count=number(count)
            ),
        )
    return True


def left_out(rows: QuerySet[Any], reason: str) -> str:
    """`2 people are left out (Pat Lee, Sam Roe): REASON`; empty for nobody. The rows have a `subscription`."""
    count = rows.order_by().count()
    if not count:
        return ""
    named = ", ".join(
        str(row.subscription) for row in rows.select_related("subscription").order_by("pk")[:NAMED_LEFT_OUT]
    )
    if count > NAMED_LEFT_OUT:
        named = _("{names}, and {count} more").format(names=named, count=number(count - NAMED_LEFT_OUT))
    said = ngettext(
        "{count} person is left out ({names}): {reason}", "{count} people are left out ({names}): {reason}", count
    )
    return said.format(count=number(count), names=named, reason=reason)


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


def confirm_context(request: HttpRequest, count: int) -> dict[str, Any]:
    """For the template confirm_selected.html: what its form sends again, for an action on `count` rows."""
    across = is_across(request)
    return {
        "count": count,
        "more": max(0, count - NAMED),
        "selected": request.POST.getlist("_selected_action")[: 1 if across else None],
        "across": across,
        "reason": request.POST.get("reason", ""),
    }


def make_requests(
    request: HttpRequest,
    selection: Selection,
    make: Callable[..., list[ReclaimRequest]],
    *,
    done: str | Promise,
    many: str | Promise = "",
) -> HttpResponseRedirect | None:
    """Make the requests of each profile, with the reason of the form, and report them in the words of `done`.

    `many` are the words for several requests of one profile. Returns the way to the request, or to all requests where
    there are several; None when none was made.
    """
    made: list[ReclaimRequest] = []

    def make_one(rows: QuerySet[Any], reason: str) -> str:
        new = make(rows, reason=reason)
        made.extend(new)
        count = RequestedRemoval.objects.filter(request__in=new).count()
        said = done if len(new) == 1 else many
        return str(said).format(request=new[0], last=new[-1], number=len(new), seats=seats(count))

    for rows in selection.able.values():
        do = partial(make_one, rows, request.POST.get("reason", "").strip()[:500])
        run_and_report(request, do, refusals=REFUSALS)
    selection.say_left_out(request, messages.WARNING)
    if len(made) == 1:
        return HttpResponseRedirect(reverse("admin:subscriptions_reclaimrequest_change", args=[made[0].pk]))
    return HttpResponseRedirect(reverse("admin:subscriptions_reclaimrequest_changelist")) if made else None
