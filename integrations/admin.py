"""Connections: which credentials are set, whether they work, and a write-only form for new ones."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from integrations.connections import set_credentials
from integrations.connectors.contract import Slot
from integrations.credentials import CredentialError
from integrations.forms import CredentialsForm
from integrations.models import Connection, ConnectionState
from integrations.pages import ReadOnlyAdmin, attempt, refuse_unless_post, signed_in
from integrations.presentation import ago, chip, day_ago, day_and_time, two_lines

CHANGE = "integrations.change_connection"
CHIPS = {
    ConnectionState.UNTESTED: ("neutral", "help"),
    ConnectionState.WORKING: ("ok", "check_circle"),
    ConnectionState.ERROR: ("error", "error"),
}


def state_chip(connection: Connection) -> SafeString:
    tone, icon = CHIPS[ConnectionState(connection.state)]
    return chip(connection.get_state_display(), tone=tone, icon=icon)


def slot_of(connection: Connection) -> Slot:
    return next(slot for slot in connection.profile.connector.slots if slot.name == connection.slot)


@admin.register(Connection)
class ConnectionAdmin(ReadOnlyAdmin):
    """No secret is ever rendered: the ciphertext stays in the model, the page shows its fingerprint."""

    list_display = ("connection", "state_shown", "fingerprint_shown", "set_at", "error_shown")
    list_filter = ("state", "profile")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        return super().get_queryset(request).select_related("profile").defer("ciphertext")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.new_credentials)
        name = "integrations_connection_credentials"
        return [path("<int:pk>/credentials/", view, name=name), *super().get_urls()]

    def new_credentials(self, request: HttpRequest, pk: int) -> HttpResponse:
        if refusal := refuse_unless_post(request, CHANGE):
            return refusal
        connection = self.get_queryset(request).filter(pk=pk).first()
        if connection is None:
            raise Http404
        attempt(request, lambda: self._store(request, connection), refusals=(ValidationError, CredentialError))
        return HttpResponseRedirect(reverse("admin:integrations_connection_change", args=[pk]))

    def _store(self, request: HttpRequest, connection: Connection) -> str:
        form = CredentialsForm(slot_of(connection), request.POST)
        if not form.is_valid():
            raise ValidationError([message for messages in form.errors.values() for message in messages])
        actor = signed_in(request)
        stored = set_credentials(connection.profile, connection.slot, form.secrets, actor=actor)
        return (
            f"New credentials are stored, encrypted, with the fingerprint {stored.fingerprint}. "
            "Validate the connection in its profile to see whether they work."
        )

    def page_context(self, request: HttpRequest, row: Connection) -> dict[str, Any]:
        return {
            "connection": row,
            "slot": slot_of(row),
            "state_chip": state_chip(row),
            "set_on": day_and_time(row.credentials_set_at),
            "set_ago": ago(row.credentials_set_at),
            "since": day_and_time(row.state_changed_at),
            "since_ago": ago(row.state_changed_at),
            "credentials_form": CredentialsForm(slot_of(row)) if request.user.has_perm(CHANGE) else None,
        }

    @admin.display(description="Connection", ordering="profile__name")
    def connection(self, row: Connection) -> SafeString:
        return two_lines(row.label, row.profile.name)

    @admin.display(description="State", ordering="state")
    def state_shown(self, row: Connection) -> SafeString:
        return state_chip(row)

    @admin.display(description="Fingerprint")
    def fingerprint_shown(self, row: Connection) -> SafeString:
        return format_html("<code>{}</code>", row.fingerprint)

    @admin.display(description="Credentials set", ordering="credentials_set_at")
    def set_at(self, row: Connection) -> SafeString:
        return day_ago(row.credentials_set_at)

    @admin.display(description="What is wrong")
    def error_shown(self, row: Connection) -> SafeString:
        return format_html('<span class="lhf-sentence">{}</span>', row.error or "Nothing known.")
