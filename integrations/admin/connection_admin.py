"""Connections: whether they work, a write-only form with a guide beside it, and *Connect*."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.admin.credentials_form import CredentialsForm
from integrations.admin.findings import OPERATE, PROFILE_PAGE, summary_of
from integrations.connections import oauth_flow
from integrations.connections.validation import validate_connections
from integrations.connectors.contract import ConnectorError
from integrations.credentials.credential_store import set_credentials
from integrations.credentials.encryption import CredentialError
from integrations.models import Connection, ConnectionState, IntegrationProfile
from licensehub.translations.stored import translated
from licensehub.ui.admin import ReadOnlyAdmin, refuse_unless_post, run_and_report, sentence_of, signed_in
from licensehub.ui.csv_file import Moment
from licensehub.ui.export import ExportMixin
from licensehub.ui.formatting import EMPTY, ago, badge, day_ago, day_and_time, two_lines
from licensehub.ui.lists.columns import ListColumn
from licensehub.ui.lists.filters import NamedFilter

VIEW = "integrations.view_connection"
CHANGE = "integrations.change_connection"
PAGE = "admin:integrations_connection_change"
LEAVE = "admin/integrations/connection/leave.html"
REFUSALS = (ValidationError, CredentialError, ConnectorError, oauth_flow.ConnectRefused)
BADGES = {
    ConnectionState.NOT_SET: ("neutral", "key_off"),
    ConnectionState.UNTESTED: ("neutral", "help"),
    ConnectionState.WORKING: ("ok", "check_circle"),
    ConnectionState.ERROR: ("error", "error"),
}
# Binds an attempt to connect to this browser's session.
BROWSER = "connect_browser"
# The name of the button in the set-up.
TEST_AT_ONCE = "test"


def state_words(connection: Connection) -> str:
    """The state; of an OAuth app with stored values that nobody has installed yet: “Not connected”."""
    waits = connection.state == ConnectionState.NOT_SET and connection.fingerprint
    return _("Not connected") if waits else connection.get_state_display()


def state_badge(connection: Connection) -> SafeString:
    tone, icon = BADGES[ConnectionState(connection.state)]
    return badge(state_words(connection), tone=tone, icon=icon)


def may_change(profile: IntegrationProfile, user: User | AnonymousUser) -> bool:
    return user.has_perm(CHANGE) and not profile.is_archived


def redirect_uri() -> str:
    """The address that must be entered at the vendor, exactly as it is. Nothing of a request decides it."""
    return f"{settings.PUBLIC_URL}{reverse('admin:integrations_connection_callback')}"


class StateFilter(NamedFilter, admin.ChoicesFieldListFilter):
    name = gettext_lazy("state")


@admin.register(Connection)
class ConnectionAdmin(ExportMixin, ReadOnlyAdmin):
    """No secret is ever rendered: the ciphertext stays in the model, the page shows its fingerprint."""

    list_display = ("connection", "state_shown", "fingerprint_shown", "set_at", "error_shown")
    list_filter = (("state", StateFilter), "profile")
    related_orders = {"profile__name": "pk"}
    columns = (
        ListColumn(
            "connection",
            [
                (gettext_lazy("Connection"), lambda row: row.label),
                (gettext_lazy("Profile"), lambda row: row.profile.name),
            ],
        ),
        ListColumn("state_shown", [(gettext_lazy("State"), state_words)]),
        ListColumn("fingerprint_shown", [(gettext_lazy("Fingerprint"), lambda row: row.fingerprint)]),
        ListColumn("set_at", [(gettext_lazy("Credentials set"), Moment(lambda row: row.credentials_set_at))]),
        ListColumn("error_shown", [(gettext_lazy("What is wrong"), lambda row: row.error)]),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        return super().get_queryset(request).select_related("profile")

    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view, "integrations_connection_{}".format
        return [
            path("callback/", view(self.callback), name=name("callback")),
            path("<int:pk>/credentials/", view(self.new_credentials), name=name("credentials")),
            path("<int:pk>/connect/", view(self.connect), name=name("connect")),
            path("<int:pk>/disconnect/", view(self.disconnect), name=name("disconnect")),
            *super().get_urls(),
        ]

    def new_credentials(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Store the values of the form. The set-up on the overview also has them tested, and is shown again."""
        if refusal := refuse_unless_post(request, CHANGE):
            return refusal
        connection = self._connection(request, pk)
        is_stored = run_and_report(request, lambda: self._store(request, connection), refusals=REFUSALS)
        if TEST_AT_ONCE not in request.POST:
            return HttpResponseRedirect(reverse(PAGE, args=[pk]))
        if is_stored and request.user.has_perm(OPERATE):
            self._validate(request, connection)
        return HttpResponseRedirect(reverse("admin:index"))

    def _store(self, request: HttpRequest, connection: Connection) -> str:
        form = CredentialsForm(connection.slot_definition, request.POST)
        if not form.is_valid():
            raise ValidationError([message for messages in form.errors.values() for message in messages])
        actor = signed_in(request)
        stored = set_credentials(connection.profile, connection.slot, form.secrets, actor=actor)
        words = _("New credentials are stored, encrypted, with the fingerprint {fingerprint}.").format(
            fingerprint=stored.fingerprint
        )
        if stored.state == ConnectionState.NOT_SET:
            next_step = _("Now connect.")
        else:
            next_step = _("Validate the connection to see whether they work.")
        return f"{words} {next_step}"

    def connect(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send the browser to the vendor, by a page and not by a redirect.

        A redirect would count as the target of the form, and the Content-Security-Policy would have to name every host
        on the way: the vendor's, and those of the company's own sign-in.
        """
        if refusal := refuse_unless_post(request, CHANGE):
            return refusal
        connection = self._connection(request, pk)
        browser = request.session.setdefault(BROWSER, secrets.token_urlsafe(32))
        try:
            url = oauth_flow.start(connection, redirect_uri=redirect_uri(), browser=browser, actor=signed_in(request))
        except REFUSALS as error:
            messages.error(request, sentence_of(error))
            return HttpResponseRedirect(reverse(PAGE, args=[pk]))
        return render(request, LEAVE, {"url": url, "vendor": connection.profile.connector.label})

    def callback(self, request: HttpRequest) -> HttpResponse:
        """The vendor sends the browser back here, with a code or an error (RFC 6749, section 4.1.2).

        This GET changes data. The single-use state, which belongs to this session, makes it safe.
        """
        if not request.user.has_perm(CHANGE):
            messages.error(request, _("Your role may not connect. Nothing was connected."))
            return HttpResponseRedirect(reverse("admin:index"))
        try:
            connection = oauth_flow.finish(
                state=request.GET.get("state", ""),
                code=request.GET.get("code", ""),
                error=request.GET.get("error", ""),
                browser=request.session.get(BROWSER, ""),
                actor=signed_in(request),
            )
        except oauth_flow.ConnectRefused as refused:
            messages.error(request, sentence_of(refused))
            if refused.profile_id is None:
                return HttpResponseRedirect(reverse("admin:integrations_connection_changelist"))
            return HttpResponseRedirect(reverse(PROFILE_PAGE, args=[refused.profile_id]))
        self._welcome(request, connection)
        return HttpResponseRedirect(reverse(PROFILE_PAGE, args=[connection.profile_id]))

    def _welcome(self, request: HttpRequest, connection: Connection) -> None:
        """Report the connection, and validate it at once."""
        granted = connection.granted
        words = _("Connected to {organization} through the team “{team}”.").format(
            organization=granted["organization_name"], team=granted["team"]
        )

        self._validate(request, connection, before=words)

    def _validate(self, request: HttpRequest, connection: Connection, *, before: str = "") -> None:
        def do() -> str:
            return summary_of(validate_connections(connection.profile, actor=signed_in(request)), before=before)

        run_and_report(request, do, refusals=REFUSALS)

    def disconnect(self, request: HttpRequest, pk: int) -> HttpResponse:
        if refusal := refuse_unless_post(request, CHANGE):
            return refusal
        connection = self._connection(request, pk)
        actor = signed_in(request)
        run_and_report(request, lambda: oauth_flow.disconnect(connection, actor=actor), refusals=REFUSALS)
        return HttpResponseRedirect(reverse(PAGE, args=[pk]))

    def _connection(self, request: HttpRequest, pk: int) -> Connection:
        connection = self.get_queryset(request).filter(pk=pk).first()
        if connection is None:
            raise Http404
        return connection

    def page_context(self, request: HttpRequest, row: Connection) -> dict[str, Any]:
        slot = row.slot_definition
        changes = may_change(row.profile, request.user)
        return {
            "connection": row,
            "slot": slot,
            "vendor": row.profile.connector.label,
            "state_badge": state_badge(row),
            "state_words": state_words(row),
            "set_on": day_and_time(row.credentials_set_at),
            "set_ago": ago(row.credentials_set_at),
            "since": day_and_time(row.state_changed_at),
            "since_ago": ago(row.state_changed_at),
            "expires": f"{day_and_time(row.expires_at)} ({ago(row.expires_at)})" if row.expires_at else "",
            "redirect_uri": redirect_uri() if slot.oauth else "",
            "may_change": changes,
            "may_validate": changes and request.user.has_perm(OPERATE) and row.state != ConnectionState.NOT_SET,
            "credentials_form": CredentialsForm(slot) if changes else None,
        }

    @admin.display(description=gettext_lazy("Connection"), ordering="profile__name")
    def connection(self, row: Connection) -> SafeString:
        return two_lines(row.label, row.profile.name)

    @admin.display(description=gettext_lazy("State"), ordering="state")
    def state_shown(self, row: Connection) -> SafeString:
        return state_badge(row)

    @admin.display(description=gettext_lazy("Fingerprint"))
    def fingerprint_shown(self, row: Connection) -> SafeString | str:
        return format_html("<code>{}</code>", row.fingerprint) if row.fingerprint else EMPTY

    @admin.display(description=gettext_lazy("Credentials set"), ordering="credentials_set_at")
    def set_at(self, row: Connection) -> SafeString:
        hint = _("its profile is archived") if row.profile.is_archived else _("open it to set them")
        return day_ago(row.credentials_set_at, never=_("Not set"), hint=hint)

    @admin.display(description=gettext_lazy("What is wrong"))
    def error_shown(self, row: Connection) -> SafeString:
        return format_html('<span class="lh-sentence">{}</span>', translated(row.error) or _("Nothing known."))
