"""My notifications: the mails that the signed-in person gets, and the deputy for days away."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import translation
from django.utils.translation import get_language_info
from django.utils.translation import gettext as _

from integrations.mail_config import mail_problem
from licensehub.ui.admin import ReadOnlyAdmin, run_and_report, signed_in
from licensehub.ui.formatting import day, name_of
from licensehub.ui.languages import default_language, language_name, language_of_browser
from licensehub.ui.time_zones import known_zone, zone_names, zone_of_browser
from subscriptions.accounts.rights import DECIDE, may
from subscriptions.accounts.settings import choose_language, choose_time_zone, language_of, time_zone_of
from subscriptions.admin.notifications.deputy_form import DeputyForm
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import Delivery, Deputy, NotificationChoice, NotificationKind
from subscriptions.notifications import deputies
from subscriptions.notifications.choices import choices_of, choose
from subscriptions.notifications.digests import DIGEST_AT
from subscriptions.notifications.kinds import KINDS

PAGE = "admin:subscriptions_notificationchoice_changelist"
REFUSALS = (NotActionable, Refused)


@admin.register(NotificationChoice)
class NotificationChoiceAdmin(ReadOnlyAdmin):
    """One page for each person, with the person's own rows only. Everybody who can sign in has it."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return isinstance(request.user, User)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return True

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        name = "subscriptions_notificationchoice_{}".format
        return [
            path("", view(self.page), name=name("changelist")),
            path("save/", view(self.save), name=name("save")),
            path("time-zone/", view(self.choose_time_zone), name=name("time_zone")),
            path("language/", view(self.choose_language), name=name("language")),
            path("deputy/", view(self.name_deputy), name=name("deputy")),
            path("deputy/<int:pk>/end/", view(self.end_deputy), name=name("end_deputy")),
        ]

    def page(self, request: HttpRequest, form: DeputyForm | None = None) -> HttpResponse:
        user = signed_in(request)
        context = {
            **self.admin_site.each_context(request),
            "title": _("My notifications"),
            "kinds": _kinds(user),
            "deliveries": Delivery.choices,
            "digest_at": DIGEST_AT,
            "email": user.email.strip(),
            "mail_problem": mail_problem(),
            "may_decide": may(user, DECIDE),
            "deputies": [_named(row, row.deputy) for row in deputies.deputies_of(user)],
            "deputy_of": [_named(row, row.user) for row in deputies.deputy_for(user)],
            "form": form or DeputyForm(user=user),
            "zones": zone_names(),
            "zone_chosen": time_zone_of(user),
            "zone_of_browser": zone_of_browser(request),
            "languages": settings.LANGUAGES,
            "language_chosen": language_of(user),
            "language_of_mails": get_language_info(default_language())["name_translated"],
        }
        return TemplateResponse(request, "admin/subscriptions/notificationchoice/page.html", context)

    def save(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        user = signed_in(request)
        given = {kind: request.POST.get(kind.value, "") for kind in choices_of(user)}
        wanted = {kind: Delivery(value) for kind, value in given.items() if value in Delivery.values}

        def do() -> str:
            return _("Your choice is saved.") if choose(user, wanted) else _("Nothing was changed.")

        run_and_report(request, do, refusals=REFUSALS)
        return HttpResponseRedirect(reverse(PAGE))

    def choose_time_zone(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        user, zone = signed_in(request), request.POST.get("time_zone", "")
        if zone and known_zone(zone) is None:
            messages.error(request, _("Choose a time zone of the list."))
            return HttpResponseRedirect(reverse(PAGE))
        choose_time_zone(user, zone)
        said = (
            _("Times are shown in {zone} now.") if zone else _("Times are shown in the time zone of your browser now.")
        )
        messages.success(request, said.format(zone=zone))
        return HttpResponseRedirect(reverse(PAGE))

    def choose_language(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        user, code = signed_in(request), request.POST.get("language", "")
        if code and not language_name(code):
            messages.error(request, _("Choose a language of the list."))
            return HttpResponseRedirect(reverse(PAGE))
        choose_language(user, code)
        with translation.override(code or language_of_browser(request) or default_language()):
            said = _("Pages are in {language} now.") if code else _("Pages are in the language of your browser now.")
            messages.success(request, said.format(language=language_name(code)))
        return HttpResponseRedirect(reverse(PAGE))

    def name_deputy(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        user = signed_in(request)
        form = DeputyForm(request.POST, user=user)
        if not form.is_valid():
            return self.page(request, form)
        days = {"starts": form.cleaned_data["starts"], "ends": form.cleaned_data["ends"]}

        def do() -> str:
            row = deputies.name_deputy(user, form.cleaned_data["deputy"], **days)
            return _("{name} is your deputy from {starts} to {ends}.").format(
                name=name_of(row.deputy), starts=day(row.starts), ends=day(row.ends)
            )

        if not run_and_report(request, do, refusals=REFUSALS):
            return self.page(request, form)
        return HttpResponseRedirect(reverse(PAGE))

    def end_deputy(self, request: HttpRequest, pk: int) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        user = signed_in(request)
        row = get_object_or_404(Deputy.objects.select_related("deputy"), pk=pk, user=user)

        def do() -> str:
            deputies.end_deputy(row, actor=user)
            return _("{name} is no longer your deputy.").format(name=name_of(row.deputy))

        run_and_report(request, do, refusals=REFUSALS)
        return HttpResponseRedirect(reverse(PAGE))


def _kinds(user: User) -> list[dict[str, Any]]:
    return [
        {
            "name": name.value,
            "label": NotificationKind(name).label,
            "meaning": KINDS[name].meaning,
            "chosen": chosen.value,
        }
        for name, chosen in choices_of(user).items()
    ]


def _named(row: Deputy, other: User) -> dict[str, Any]:
    return {
        "pk": row.pk,
        "name": name_of(other),
        "days": _("{starts} to {ends}").format(starts=day(row.starts), ends=day(row.ends)),
        "stands_in": deputies.stands_in_for_all(row),
    }
