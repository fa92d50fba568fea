"""The part *Own seats* on the page of an account: it names the owner at each vendor, for four eyes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.models import IntegrationProfile
from licensehub.ui.admin import run_and_report, signed_in
from licensehub.ui.formatting import name_of
from subscriptions.accounts import persons
from subscriptions.accounts.origins import TIED_FOR, origin_of
from subscriptions.accounts.own_seat import accounts_of
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import AccountPerson, RightsChange, Subscription

TEMPLATE = "admin/auth/user/persons.html"
CHANGE = "auth.change_user"


@dataclass(frozen=True, slots=True)
class Line:
    """One person of the account. `member` is None if no download has shown somebody with this id."""

    found: AccountPerson
    member: Subscription | None

    @property
    def how(self) -> str:
        if self.found.linked_by:
            return _("entered by {name}").format(name=name_of(self.found.linked_by))
        return _("found by the address {email}").format(email=self.found.email)


@dataclass(frozen=True, slots=True)
class Organization:
    """The known persons of the account in one organization."""

    profile: IntegrationProfile
    lines: list[Line]


def context_of(user: User, request: HttpRequest) -> dict[str, Any]:
    profiles = IntegrationProfile.objects.in_use().exclude(organization_id="")
    is_own = any(user.pk in accounts_of(signed_in(request), profile) for profile in profiles)
    is_own = is_own or user.pk == request.user.pk
    return {
        "account": user,
        "rights_changes": RightsChange.objects.waiting().filter(account=user),
        "account_origin": origin_of(user),
        "tied_for": TIED_FOR,
        "organizations": [
            Organization(profile, [Line(*found) for found in persons.persons_of(user, profile)]) for profile in profiles
        ],
        "is_own_account": is_own,
        "may_change_persons": request.user.has_perm(CHANGE) and not is_own,
    }


def change_view(request: HttpRequest, pk: int, profile_id: int) -> HttpResponse:
    """A POST with `forget` removes a person; with `nobody` or `external_id` it says who the owner is."""
    if not request.user.has_perm(CHANGE):
        raise PermissionDenied
    user = get_object_or_404(User, pk=pk)
    if user.is_superuser and not signed_in(request).is_superuser:
        raise PermissionDenied
    profile = get_object_or_404(IntegrationProfile, pk=profile_id)
    if request.method == "POST":
        run_and_report(request, lambda: _change(request, user, profile), refusals=(Refused, NotActionable))
    return HttpResponseRedirect(reverse("admin:auth_user_change", args=[pk]))


def _change(request: HttpRequest, user: User, profile: IntegrationProfile) -> str:
    actor, sent = signed_in(request), request.POST
    if forget := sent.get("forget", ""):
        found = {str(person.pk): person for person, _ in persons.persons_of(user, profile)}
        if forget not in found:
            raise NotActionable(_("This was removed already. Nothing was changed."))
        persons.unlink(found[forget], actor=actor)
        return _(
            "Removed. If a member has the address of {username}, the next download finds the person again."
        ).format(username=user.get_username())
    wanted = "" if "nobody" in sent else sent.get("external_id", "").strip()[:40]
    if not wanted and "nobody" not in sent:
        raise Refused(
            _("Enter an ID. The page of the subscription shows it as “{member_id}”.").format(
                member_id=profile.texts.member_id
            )
        )
    member = persons.link(user, profile, wanted, actor=actor)
    if member is None:
        return _("{username} has no seat in “{profile}”.").format(username=user.get_username(), profile=profile)
    return _("{username} is {member} in “{profile}”, and never decides on that seat.").format(
        username=user.get_username(), member=member, profile=profile
    )
