"""The page *Operations*, what it asks again and again, and its two buttons."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError

from integrations.models import CheckResult, MailTrial
from licensehub.database.clock import database_now
from licensehub.operations import tasks
from licensehub.operations.page import shown_to
from licensehub.ui.admin import ReadOnlyAdmin, refuse_unless_post, run_and_report, signed_in

VIEW: Final = "integrations.view_checkresult"
PAGE: Final = "admin:integrations_checkresult_changelist"
# A mail server may count each mail.
MAIL_AGAIN: Final = timedelta(minutes=1)


class NotNow(Exception):
    """The button did nothing. The text says why."""


def run_doctor(user: User) -> str:
    try:
        tasks.run_all_checks.delay()
    except OperationalError as error:
        raise NotNow(_("The broker does not answer, so nothing was started. Run manage.py doctor.")) from error
    return _("A worker runs all checks now. This page updates itself.")


def send_mail_trial(user: User) -> str:
    """Ask a worker to send a mail to this user. The row is written first: the message carries its id only."""
    if not user.email:
        raise NotNow(_("Your account has no e-mail address."))
    if MailTrial.objects.filter(user=user, asked_at__gt=database_now() - MAIL_AGAIN).exists():
        raise NotNow(_("You asked for a test mail less than a minute ago."))
    trial = MailTrial.objects.create(user=user)
    try:
        tasks.send_mail_trial.delay(trial.pk)
    except OperationalError as error:
        raise NotNow(_("The broker does not answer, so no mail was sent.")) from error
    return _("A worker sends a test mail to {address}.").format(address=user.email)


ACTIONS: Final = {"doctor": run_doctor, "mail": send_mail_trial}


@admin.register(CheckResult)
class CheckResultAdmin(ReadOnlyAdmin):
    """One page for all rows."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        name = "integrations_checkresult_{}".format
        return [
            path("", view(self.page), name=name("changelist")),
            path("live/", view(self.live), name=name("live")),
            path("doctor/", view(self.act), {"action": "doctor"}, name=name("doctor")),
            path("mail/", view(self.act), {"action": "mail"}, name=name("mail")),
        ]

    def page(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": _("Operations"),
            "shown": shown_to(signed_in(request)),
            "live": reverse("admin:integrations_checkresult_live"),
        }
        return TemplateResponse(request, "admin/integrations/checkresult/page.html", context)

    def live(self, request: HttpRequest) -> HttpResponse:
        """The parts that have changed since the page was made, or since the last answer."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        shown = shown_to(signed_in(request))
        changed = request.GET.get("was", "") != shown.digest
        return render(request, "admin/integrations/checkresult/live.html", {"shown": shown, "changed": changed})

    def act(self, request: HttpRequest, action: str) -> HttpResponse:
        if answer := refuse_unless_post(request, VIEW):
            return answer
        user = signed_in(request)
        run_and_report(request, lambda: ACTIONS[action](user), refusals=(NotNow,))
        return HttpResponseRedirect(reverse(PAGE))
