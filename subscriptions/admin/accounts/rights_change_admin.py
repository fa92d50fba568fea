"""Changes of rights: what waits for a second admin, and what became of the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from licensehub.ui.admin import ReadOnlyAdmin, signed_in
from licensehub.ui.csv_file import Moment
from licensehub.ui.export import ExportMixin
from licensehub.ui.formatting import EMPTY, ago, badge, day_and_time, left, name_of, two_lines
from licensehub.ui.lists.columns import ListColumn
from licensehub.ui.lists.tabs import StateTab, StateTabs
from subscriptions.accounts import joining, rights_changes
from subscriptions.accounts.origins import origin_of
from subscriptions.admin.widgets.actions import run_action
from subscriptions.models import ChangeKind, ChangeState, RightsChange
from subscriptions.models.rights import WAIT
from subscriptions.notifications.accounts.rights_mail import sentence_of, values_of

VIEW = "subscriptions.view_rightschange"
BADGES = {
    ChangeState.WAITING: ("warning", "hourglass_top"),
    ChangeState.EFFECTIVE: ("ok", "check_circle"),
    ChangeState.REFUSED: ("error", "block"),
    ChangeState.WITHDRAWN: ("neutral", "undo"),
}


def state_badge(change: RightsChange) -> SafeString:
    tone, icon = BADGES[ChangeState(change.state)]
    return badge(change.get_state_display(), tone=tone, icon=icon)


def asked_by(change: RightsChange) -> str:
    return name_of(change.asked_by) if change.asked_by else _("Outside of the pages")


def effective_at(change: RightsChange) -> datetime | None:
    """The earliest time of effect if nobody acts; None before the mails were handed over, and after it has ended."""
    waits = change.state == ChangeState.WAITING and change.announced_at is not None
    return change.announced_at + WAIT if waits and change.announced_at else None


def effective_by_time(change: RightsChange) -> datetime | None:
    """The earliest time of effect, as `effective_at`; None if a day is not enough."""
    moment = effective_at(change)
    return None if moment is None or rights_changes.why_not_by_time(change) else moment


@admin.register(RightsChange)
class RightsChangeAdmin(StateTabs, ExportMixin, ReadOnlyAdmin):
    list_display = ("what", "account_shown", "asked", "standing", "until")
    list_display_links = ("what",)
    list_select_related = ("account", "asked_by", "closed_by")
    list_per_page = 50
    ordering = ("-pk",)
    rows_name = gettext_lazy("changes")
    state_tabs = (
        StateTab(gettext_lazy("Waiting"), (ChangeState.WAITING,)),
        StateTab(gettext_lazy("In effect"), (ChangeState.EFFECTIVE,)),
        StateTab(gettext_lazy("Refused"), (ChangeState.REFUSED,)),
        StateTab(gettext_lazy("Withdrawn"), (ChangeState.WITHDRAWN,)),
    )
    default_states = (ChangeState.WAITING,)
    columns = (
        ListColumn(
            "what",
            [
                (gettext_lazy("Change"), lambda row: row.get_kind_display()),
                (gettext_lazy("Before"), lambda row: values_of(row)[0]),
                (gettext_lazy("After"), lambda row: values_of(row)[1]),
            ],
        ),
        ListColumn(
            "account_shown",
            [
                (gettext_lazy("Account"), lambda row: row.account.username),
                (gettext_lazy("Name"), lambda row: row.account.get_full_name()),
            ],
        ),
        ListColumn(
            "asked", [(gettext_lazy("Asked by"), asked_by), (gettext_lazy("Asked"), Moment(lambda row: row.asked_at))]
        ),
        ListColumn("standing", [(gettext_lazy("State"), lambda row: row.get_state_display())]),
        ListColumn(
            "until",
            [
                (gettext_lazy("Takes effect at the earliest"), Moment(effective_by_time)),
                (gettext_lazy("Ended by"), lambda row: name_of(row.closed_by)),
                (gettext_lazy("Ended"), Moment(lambda row: row.closed_at)),
                (gettext_lazy("Comment"), lambda row: row.comment),
            ],
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[RightsChange]:
        return super().get_queryset(request).defer("password").select_related("account", "asked_by", "closed_by")

    def get_urls(self) -> list[URLPattern]:
        def at(act: Callable[[HttpRequest, int], HttpResponse], name: str) -> URLPattern:
            return path(f"<int:pk>/{name}/", self.admin_site.admin_view(act), name=f"subscriptions_rightschange_{name}")

        return [
            at(confirm_view, "confirm"),
            at(refuse_view, "refuse"),
            at(withdraw_view, "withdraw"),
            *super().get_urls(),
        ]

    def page_context(self, request: HttpRequest, row: RightsChange) -> dict[str, Any]:
        user = signed_in(request)
        waits = row.state == ChangeState.WAITING
        why_not = rights_changes.why_not_confirm(row, user) if waits else ""
        return {
            "title": row.get_kind_display(),
            "rights_change": row,
            "badge": state_badge(row),
            "sentence": sentence_of(row),
            "asked_by": asked_by(row),
            "asked_ago": ago(row.asked_at),
            "closed_by": name_of(row.closed_by),
            "origin": origin_of(row.account),
            "joined": joining.sentence_of(row.account) if waits and row.kind == ChangeKind.GRANT else "",
            "effective_at": effective_at(row),
            "why_not_by_time": rights_changes.why_not_by_time(row) if waits else "",
            "waits": waits,
            "why_not_confirm": why_not,
            "may_refuse": waits and rights_changes.may_refuse(user),
            "may_withdraw": waits and row.asked_by_id == user.pk,
            "roles": ", ".join(rights_changes.role_names(row.account)) or EMPTY,
        }

    @admin.display(description=gettext_lazy("Change"), ordering="kind")
    def what(self, row: RightsChange) -> SafeString:
        before, after = values_of(row)
        detail = after if not before else f"{before} → {after}"
        return two_lines(row.get_kind_display(), detail)

    @admin.display(description=gettext_lazy("Account"))
    def account_shown(self, row: RightsChange) -> SafeString:
        return two_lines(name_of(row.account), row.account.username)

    @admin.display(description=gettext_lazy("Asked"), ordering="pk")
    def asked(self, row: RightsChange) -> SafeString:
        return two_lines(asked_by(row), f"{day_and_time(row.asked_at)} · {ago(row.asked_at)}")

    @admin.display(description=gettext_lazy("State"))
    def standing(self, row: RightsChange) -> SafeString:
        return state_badge(row)

    @admin.display(description=gettext_lazy("Takes effect, or ended"))
    def until(self, row: RightsChange) -> SafeString | str:
        if row.closed_at:
            return two_lines(name_of(row.closed_by) if row.closed_by else _("by time"), day_and_time(row.closed_at))
        if rights_changes.why_not_by_time(row):
            return _("when a second admin confirms it")
        if moment := effective_at(row):
            earliest = _("{moment} at the earliest").format(moment=day_and_time(moment))
            return two_lines(earliest if row.kind == ChangeKind.GRANT else day_and_time(moment), left(moment))
        return _("a day after its mails")


def confirm_view(request: HttpRequest, pk: int) -> HttpResponse:
    change = _change_for(request, pk)

    def do() -> str:
        rights_changes.confirm(change, actor=signed_in(request))
        return _("Confirmed. The change is in effect now.")

    return run_action(request, _page_of(pk), do)


def refuse_view(request: HttpRequest, pk: int) -> HttpResponse:
    change = _change_for(request, pk)

    def do() -> str:
        rights_changes.refuse(change, actor=signed_in(request), comment=request.POST.get("comment", ""))
        return _("Refused. The change does not take effect.")

    return run_action(request, _page_of(pk), do)


def withdraw_view(request: HttpRequest, pk: int) -> HttpResponse:
    change = _change_for(request, pk)

    def do() -> str:
        rights_changes.withdraw(change, actor=signed_in(request))
        return _("Withdrawn. The change does not take effect.")

    return run_action(request, _page_of(pk), do)


def _change_for(request: HttpRequest, pk: int) -> RightsChange:
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    return get_object_or_404(RightsChange.objects.select_related("account", "asked_by"), pk=pk)


def _page_of(pk: int) -> str:
    return reverse("admin:subscriptions_rightschange_change", args=[pk])
