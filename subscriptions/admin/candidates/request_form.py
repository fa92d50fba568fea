"""*Request reclaim* and *Dry run* in the list of candidates, and the page that confirms a request."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.db.models.fields.json import KT
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.admin import ModelAdmin

from integrations.models import IntegrationProfile
from licensehub.ui.admin import signed_in
from licensehub.ui.formatting import number
from subscriptions.admin.approvals import dry_run as dry_run_page
from subscriptions.admin.approvals.permissions import REQUEST
from subscriptions.admin.rules.lost import lost_in, lost_list
from subscriptions.admin.rules.protections.protect import ADD, protect
from subscriptions.admin.widgets.actions import REFUSALS, ValidateSelectionMixin
from subscriptions.admin.widgets.counts import people, seats
from subscriptions.admin.widgets.selection import Selection, confirm_context, is_across, make_requests, select, ticked
from subscriptions.approvals import dry_run
from subscriptions.approvals.request import one_profile
from subscriptions.approvals.splitting import Split, parts_of, request_split
from subscriptions.candidates import caps
from subscriptions.models import CandidateState, ReclaimRule, RemovalCandidate, Subscription
from subscriptions.money.beside import seat_counts, yearly_cost
from subscriptions.reclaims.switches import Operation
from subscriptions.schedules.working_days import window_text

DONE = gettext_lazy("{request} asks for {seats}. Another person has to approve it.")
MANY = gettext_lazy("{number} requests, {request} to {last}, ask for {seats}. Another person has to approve each.")


class RequestMixin(ValidateSelectionMixin, ModelAdmin):
    """Put before ModelAdmin of RemovalCandidate."""

    actions = ("request_reclaim", "dry_run", "protect")

    def has_request_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(REQUEST)

    def has_protect_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(ADD)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Only Ready candidates can be requested, so the other tabs have no checkboxes."""
        chosen = {value for name, value in request.GET.items() if name.startswith("state_")}
        return super().get_actions(request) if chosen <= {CandidateState.READY.value} else {}

    @admin.action(description=gettext_lazy("Request reclaim"), permissions=["request"])
    def request_reclaim(self, request: HttpRequest, chosen: QuerySet[RemovalCandidate]) -> HttpResponse | None:
        """Show the people first. A POST from that page has `confirmed`, and makes the request.

        People who cannot be requested are left out, and named with the reason. Each profile gets a request of its own.
        """
        selection = selection_of(ticked(request, chosen), actor=signed_in(request))
        count = selection.count
        if count and request.POST.get("confirmed") == str(count):
            split = _split(request, selection)
            if split:
                make = partial(request_split, actor=signed_in(request), split=split)
                return make_requests(request, selection, make, done=DONE, many=MANY)
            messages.warning(request, _("The cap of one request has changed. Choose again."))
        elif request.POST.get("confirmed"):
            messages.warning(
                request, _("The list has changed: {count} of these people are Ready now.").format(count=count)
            )
        if count:
            return self._confirm(request, selection, count)
        selection.say_left_out(request, messages.ERROR)
        return None

    @admin.action(description=gettext_lazy("Dry run"), permissions=["request"])
    def dry_run(self, request: HttpRequest, chosen: QuerySet[RemovalCandidate]) -> HttpResponse:
        """A dry run as if these people were requested and approved now."""
        count = chosen.filter(state=CandidateState.READY).count()
        warning = ""
        with contextlib.suppress(*REFUSALS):
            warning = over_cap(one_profile(chosen), count)
        return dry_run_page.show(
            request,
            lambda: dry_run.try_candidates(chosen, limit=dry_run_page.LIMIT),
            subject=seats(count),
            back=request.get_full_path(),
            warning=warning,
        )

    @admin.action(description=gettext_lazy("Protect"), permissions=["protect"])
    def protect(self, request: HttpRequest, chosen: QuerySet[RemovalCandidate]) -> HttpResponse:
        """Show the form that protects these people."""
        ids = ticked(request, chosen).order_by().values("subscription")
        rows = Subscription.objects.filter(pk__in=ids).select_related("profile", "evaluation")
        back = reverse("admin:subscriptions_removalcandidate_changelist")
        return protect(request, rows.order_by("name", "email", "pk"), back=back, across=is_across(request))

    def _confirm(self, request: HttpRequest, selection: Selection, count: int) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            **confirm_context(request, count),
            "opts": self.model._meta,
            "title": _("Request reclaim of {seats}").format(seats=seats(count)),
            "action": "request_reclaim",
            "back": reverse("admin:subscriptions_removalcandidate_changelist"),
            "requests": len(selection.able),
            "rows": selection.first("subscription__profile"),
            "left_out": selection.left_out,
            "warnings": [warnings_before_request(profile) for profile in selection.able],
            "caps": _caps(selection),
            "ways": ways(selection),
            "lost_list": lost_list(),
            "cost": yearly_cost(seat_counts(selection.able.values())),
            "window": window_text(),
        }
        return TemplateResponse(request, "admin/subscriptions/removalcandidate/confirm_request.html", context)


def _caps(selection: Selection) -> str:
    """The caps that the page shows, for the form."""
    return ",".join(str(caps.batch_of(profile)) for profile in selection.able)


def _split(request: HttpRequest, selection: Selection) -> Split | None:
    """The choice for more people than the cap. None if nothing was chosen, or for other caps than those of now."""
    sent = request.POST.get("split", "")
    if not ways(selection):
        return Split.ONE
    return Split(sent) if sent in set(Split) and request.POST.get("caps") == _caps(selection) else None


@dataclass(frozen=True, slots=True)
class Way:
    """One way to request more people than the cap, with its consequence."""

    split: Split
    title: str
    text: str


def ways(selection: Selection) -> list[Way]:
    """The ways to request these people; empty if each profile has at most as many as its cap."""
    counts = {profile: (rows.count(), caps.batch_of(profile)) for profile, rows in selection.able.items()}
    if all(count <= cap for count, cap in counts.values()):
        return []
    total = sum(count for count, _ in counts.values())
    parts = sum(parts_of(count, cap) for count, cap in counts.values())
    first = sum(min(count, cap) for count, cap in counts.values())
    rest = total - sum(min(count, parts_of(count, cap) * cap) for count, cap in counts.values())
    most = max(cap for _, cap in counts.values())
    each = _("Each can be approved by one other person, the longest inactive people first.")
    first_people, all_people = _("The first {first} people"), _("All {total} people")
    if len(counts) == 1:
        first_people, all_people = (
            _("One request with the first {first} people"),
            _("One request with all {total} people"),
        )
    return [
        Way(
            Split.SEVERAL,
            _("{parts} requests of at most {most} people").format(parts=number(parts), most=number(most)),
            f"{each} {stays_ready(rest)}" if rest else each,
        ),
        Way(
            Split.FIRST,
            first_people.format(first=number(first)),
            " ".join([_("Those who are inactive the longest."), stays_ready(total - first)]),
        ),
        Way(
            Split.ONE,
            all_people.format(total=number(total)),
            _("It cannot be approved as it is: another person has to raise its cap, and a third person has to decide."),
        ),
    ]


def stays_ready(count: int) -> str:
    return ngettext("{} stays Ready.", "{} stay Ready.", count).format(people(count))


def selection_of(chosen: QuerySet[RemovalCandidate], *, actor: User) -> Selection:
    ready = chosen.filter(state=CandidateState.READY)
    selection = select(ready, Operation.REQUEST, email=KT("evidence__email"), actor=actor)
    selection.leave_out(chosen.exclude(state=CandidateState.READY), _("Not Ready any more."))
    return selection


def warnings_before_request(profile: IntegrationProfile) -> dict[str, Any]:
    """Warnings, and how many days its people have to answer by mail."""
    rule = ReclaimRule.objects.get(profile=profile)
    return {
        "days_to_answer": rule.days_to_answer if rule.notify_user else 0,
        "lost": lost_in(profile),
    }


def over_cap(profile: IntegrationProfile, count: int) -> str:
    cap = caps.batch_of(profile)
    if count <= cap:
        return ""
    return _(
        "{count} people are more than the cap of {cap}. The dry run treats them as one request, and begins with the "
        "people who are inactive the longest. Such a request waits until another person raises its cap. “Request "
        "reclaim” also offers a request for the first {cap} people only, and several requests."
    ).format(count=number(count), cap=number(cap))
