"""Webhooks: the list, the forms, the page of one webhook with its deliveries, and the acts on both."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache

from integrations.models import Webhook, WebhookDelivery, WebhookFormat
from licensehub.ui.admin import ReadOnlyAdmin, refuse_unless_post, run_and_report, signed_in
from licensehub.ui.formatting import number
from subscriptions.admin.webhooks.replay_form import ReplayForm
from subscriptions.admin.webhooks.webhook_form import WebhookForm
from subscriptions.admin.webhooks.webhook_page import (
    ICONS,
    delivery_detail,
    detail,
    is_at_rest,
    list_row,
    state_of_page,
)
from subscriptions.admin.widgets import live
from subscriptions.admin.widgets.actions import REFUSALS, run_action
from subscriptions.tasks import deliver_webhooks, enqueue_task
from subscriptions.webhooks import replay, setup

SEES, CHANGE = "integrations.view_webhook", "integrations.change_webhook"
LIST, PAGE = "admin:integrations_webhook_changelist", "admin:integrations_webhook_change"
FOLDER = "admin/integrations/webhook"


def page_of(pk: int) -> str:
    return reverse(PAGE, args=[pk])


@admin.register(Webhook)
@method_decorator(never_cache, name="secret")
@method_decorator(never_cache, name="add")
class WebhookAdmin(ReadOnlyAdmin):
    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view, "integrations_webhook_{}".format
        return [
            path("", view(self.list), name=name("changelist")),
            path("add/", view(self.add), name=name("add")),
            path("<int:pk>/change/", view(self.page), name=name("change")),
            path("<int:pk>/edit/", view(self.edit), name=name("edit")),
            path("<int:pk>/secret/", view(self.secret), name=name("secret")),
            path("<int:pk>/live/", view(self.live), name=name("live")),
            path("<int:pk>/replay/", view(self.replay_period), name=name("replay_period")),
            path("<int:pk>/action/<slug:action>/", view(self.act), name=name("action")),
            path("delivery/<int:pk>/", view(self.delivery), name=name("delivery")),
            path("delivery/<int:pk>/replay/", view(self.replay), name=name("replay")),
        ]

    def list(self, request: HttpRequest) -> HttpResponse:
        _refuse_without(request, SEES)
        rows = [list_row(row) for row in Webhook.objects.prefetch_related("profiles")]
        context = {"title": _("Webhooks"), "rows": rows, "hosts": settings.WEBHOOK_HOSTS}
        return self._render(request, "list", context)

    def add(self, request: HttpRequest) -> HttpResponse:
        """First the format, then the form. The answer to the form shows the secret, if there is one."""
        _refuse_without(request, CHANGE)
        chosen = request.GET.get("format", "")
        if chosen not in WebhookFormat.values:
            formats = [(one.value, one.label, ICONS[one]) for one in WebhookFormat]
            context = {"title": _("New webhook"), "formats": formats, "hosts": settings.WEBHOOK_HOSTS}
            return self._render(request, "formats", context)
        form = WebhookForm(WebhookFormat(chosen), request.POST or None)
        made: list[tuple[Webhook, str]] = []

        def do() -> str:
            row, secret = setup.create(
                form.entries(),
                url=form.cleaned_data["url"],
                authorization=form.cleaned_data.get("authorization", ""),
                actor=signed_in(request),
            )
            made.append((row, secret))
            return _("The webhook “{name}” is made. Send a test now.").format(name=row.name)

        if form.is_bound and form.is_valid() and run_and_report(request, do, refusals=REFUSALS):
            row, secret = made[0]
            return self._show(request, row, made=secret) if secret else HttpResponseRedirect(page_of(row.pk))
        return self._form(request, form, _("New webhook"))

    def edit(self, request: HttpRequest, pk: int) -> HttpResponse:
        _refuse_without(request, CHANGE)
        row = get_object_or_404(Webhook, pk=pk)
        form = WebhookForm(WebhookFormat(row.format), request.POST or None, row=row)

        def do() -> str:
            data = form.cleaned_data
            changed = setup.change(
                row,
                form.entries(),
                seen=data["seen"] or 0,
                url=data["url"],
                authorization=data.get("authorization") or None,
                actor=signed_in(request),
            )
            return _("The webhook is changed.") if changed else _("Nothing was changed.")

        if form.is_bound and form.is_valid() and run_and_report(request, do, refusals=REFUSALS):
            return HttpResponseRedirect(page_of(pk))
        return self._form(request, form, _("Change the webhook"))

    def _form(self, request: HttpRequest, form: WebhookForm, title: str) -> HttpResponse:
        row = form.row
        context = {"title": title, "form": form, "row": row, "format": form.format, "label": form.format.label}
        context |= {"icon": ICONS[form.format], "hosts": settings.WEBHOOK_HOSTS}
        context |= {"back": page_of(row.pk) if row else reverse("admin:integrations_webhook_add")}
        return self._render(request, "form", context)

    def page(self, request: HttpRequest, pk: int) -> HttpResponse:
        _refuse_without(request, SEES)
        return self._show(request, get_object_or_404(Webhook, pk=pk))

    def _show(self, request: HttpRequest, row: Webhook, *, made: str = "", replaying: ReplayForm | None = None) -> Any:
        address = reverse("admin:integrations_webhook_live", args=[row.pk])
        following = "" if made or is_at_rest(row) else live.address(address, state_of_page(row))
        context = {
            **detail(row, request),
            "made": made,
            "replay_form": replaying or ReplayForm(),
            "may_change": request.user.has_perm(CHANGE),
            "live_url": following,
        }
        return self._render(request, "page", context)

    def live(self, request: HttpRequest, pk: int) -> HttpResponse:
        _refuse_without(request, SEES)
        return live.reload_if_changed(request, state_of_page(get_object_or_404(Webhook, pk=pk)))

    def secret(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The answer shows the new secret, once."""
        if refusal := refuse_unless_post(request, CHANGE):
            return refusal
        row, made = get_object_or_404(Webhook, pk=pk), []

        def do() -> str:
            made.append(setup.change_secret(row, actor=signed_in(request)))
            return _("There is a new secret. The former one signs as well for 24 hours.")

        if not run_and_report(request, do, refusals=REFUSALS):
            return HttpResponseRedirect(page_of(pk))
        return self._show(request, row, made=made[0])

    def act(self, request: HttpRequest, pk: int, action: str) -> HttpResponse:
        """Send a test, switch on or off, or delete."""
        if refusal := refuse_unless_post(request, CHANGE):
            return refusal
        row = get_object_or_404(Webhook, pk=pk)
        acts: dict[str, Callable[[], str]] = {
            "test": partial(_test, row, request),
            "on": partial(_switch_on, row, request),
            "off": partial(_switch_off, row, request),
            "delete": partial(_delete, row, request),
        }
        if action not in acts:
            raise Http404
        done = run_and_report(request, acts[action], refusals=REFUSALS)
        return HttpResponseRedirect(reverse(LIST) if action == "delete" and done else page_of(pk))

    def replay_period(self, request: HttpRequest, pk: int) -> HttpResponse:
        if refusal := refuse_unless_post(request, CHANGE):
            return refusal
        row, form = get_object_or_404(Webhook, pk=pk), ReplayForm(request.POST)
        if not form.is_valid():
            return self._show(request, row, replaying=form)

        def do() -> str:
            count = replay.replay_period(row, **form.cleaned_data, actor=signed_in(request))
            enqueue_task(deliver_webhooks)
            said = ngettext("{count} delivery is sent again.", "{count} deliveries are sent again.", count)
            return said.format(count=number(count))

        return run_action(request, page_of(pk), do)

    def delivery(self, request: HttpRequest, pk: int) -> HttpResponse:
        _refuse_without(request, SEES)
        row = _delivery(pk)
        context = {**delivery_detail(row), "may_change": request.user.has_perm(CHANGE)}
        return self._render(request, "delivery", context)

    def replay(self, request: HttpRequest, pk: int) -> HttpResponse:
        if refusal := refuse_unless_post(request, CHANGE):
            return refusal
        row = _delivery(pk)

        def do() -> str:
            replay.replay(row, actor=signed_in(request))
            enqueue_task(deliver_webhooks)
            return _("It is sent again, with the same id.")

        return run_action(request, page_of(row.webhook_id), do)

    def _render(self, request: HttpRequest, name: str, context: dict[str, Any]) -> TemplateResponse:
        context = {**self.admin_site.each_context(request), "opts": self.model._meta, **context}
        return TemplateResponse(request, f"{FOLDER}/{name}.html", context)


def _refuse_without(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


def _delivery(pk: int) -> WebhookDelivery:
    return get_object_or_404(WebhookDelivery.objects.select_related("webhook", "profile"), pk=pk)


def _test(row: Webhook, request: HttpRequest) -> str:
    replay.send_test(row, actor=signed_in(request))
    enqueue_task(deliver_webhooks)
    return _("A test is on its way. Its answer appears below.")


def _switch_on(row: Webhook, request: HttpRequest) -> str:
    setup.switch_on(row, actor=signed_in(request))
    return _("The webhook is on. Send again what did not arrive meanwhile.")


def _switch_off(row: Webhook, request: HttpRequest) -> str:
    setup.switch_off(row, actor=signed_in(request))
    return _("The webhook is off. Events are kept, and are not sent.")


def _delete(row: Webhook, request: HttpRequest) -> str:
    setup.delete(row, actor=signed_in(request))
    return _("The webhook “{name}” is deleted.").format(name=row.name)
