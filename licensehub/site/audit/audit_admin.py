"""The pages of the audit log: auditors read them, and nobody writes here.

They are outside of `licensehub.audit`, because the audit is a leaf and imports no screen.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import DropdownFilter, RangeDateTimeFilter

from licensehub.audit.actions import Action
from licensehub.audit.chain import offline_verifier
from licensehub.audit.models import AuditEvent
from licensehub.site.audit.evidence import evidence_context, verify_history
from licensehub.translations.stored import translated
from licensehub.ui.admin import ReadOnlyAdmin, refuse_unless_post, signed_in
from licensehub.ui.csv_file import Moment
from licensehub.ui.export import ExportMixin
from licensehub.ui.formatting import ago, day_and_time, two_lines
from licensehub.ui.lists.changelist import PagedChangeList
from licensehub.ui.lists.columns import ListColumn
from licensehub.ui.lists.filters import NamedFilter
from licensehub.ui.lists.folding import MAX_WORDS, spellings
from licensehub.ui.names import named, names_by_account
from subscriptions.admin.evidence import kept_pack_page
from subscriptions.admin.evidence.chosen_pack import pack_card, pack_of_choice
from subscriptions.evidence.pack import PERMISSIONS, may_have_packs

DETAILS_IN_LIST = 3
# A search looks for the events of at most so many accounts whose person has this name.
MAX_ACCOUNTS = 10
# Targets whose label has words of ours. The label of any other is a name.
WORDED = frozenset(
    {
        "auth.group",
        "integrations.connection",
        "integrations.sendingcontrol",
        "subscriptions.contract",
        "subscriptions.licensethreshold",
        "subscriptions.price",
        "subscriptions.protection",
        "subscriptions.reclaimrule",
        "subscriptions.reconciliation",
        "subscriptions.reportsettings",
    }
)
TOO_MANY = gettext_lazy(
    "The audit has too many events to verify them while a page loads. An operator does it with manage.py verify_audit."
)
# For the export.
DETAILS = json.JSONEncoder(ensure_ascii=False, sort_keys=True)


class WhenFilter(NamedFilter, RangeDateTimeFilter):
    name = gettext_lazy("when")


class ActionFilter(DropdownFilter):
    title = gettext_lazy("action")
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(action.value, str(action.label)) for action in Action]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        return queryset.filter(action=self.value()) if self.value() else queryset


def names_for_file() -> Callable[[AuditEvent], str]:
    """Return a function that names the actor of an event. It reads all names once, for one file."""
    names = names_by_account()
    return lambda event: names.get(event.actor_id, event.actor_name)


class AuditList(PagedChangeList):
    """Adds the name of the person to each event of the page: `who`."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        named(self.result_list)


@admin.register(AuditEvent)
class AuditEventAdmin(ExportMixin, ReadOnlyAdmin):
    list_display = ("number", "when", "who", "action_label", "what", "details")
    list_filter = (ActionFilter, ("at", WhenFilter))
    list_filter_submit = True
    # The search field needs a value here. get_search_results() does the search.
    search_fields = ("actor_name",)
    search_help_text = gettext_lazy("How the name begins: who did it, or what it happened to")
    list_before_template = "admin/audit/auditevent/verify.html"
    list_per_page = 50
    rows_name = gettext_lazy("events")
    columns = (
        ListColumn("number", [("#", attrgetter("sequence"))]),
        ListColumn("when", [(gettext_lazy("When"), Moment(attrgetter("at")))]),
        ListColumn(
            "who",
            lambda: [(gettext_lazy("Who"), names_for_file()), (gettext_lazy("Account"), attrgetter("actor_name"))],
        ),
        ListColumn("action_label", [(gettext_lazy("Action"), attrgetter("action"))]),
        ListColumn(
            "what",
            [
                (gettext_lazy("What"), attrgetter("target_label")),
                (gettext_lazy("Kind"), attrgetter("target_type")),
                (gettext_lazy("ID"), attrgetter("target_id")),
            ],
        ),
        ListColumn("details", [(gettext_lazy("Details"), lambda event: DETAILS.encode(event.data))]),
        ListColumn("action_id", [(gettext_lazy("Action ID"), attrgetter("correlation"))]),
        ListColumn("signature", [(gettext_lazy("Signature"), attrgetter("hmac"))]),
        ListColumn("hash_of_event", [(gettext_lazy("Hash"), attrgetter("hash"))]),
        ListColumn("hash_of_previous", [(gettext_lazy("Hash of the previous event"), attrgetter("previous_hash"))]),
    )
    export_fields = tuple(field.name for field in AuditEvent._meta.concrete_fields)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[AuditList]:
        return AuditList

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("evidence/", view(self.evidence), name="audit_auditevent_evidence"),
            path("verify/", view(self.verify), name="audit_auditevent_verify"),
            path("evidence-pack/", view(self.evidence_pack), name="audit_auditevent_evidence_pack"),
            *kept_pack_page.urls(view),
            path("verifier/", view(self.verifier), name="audit_auditevent_verifier"),
            *super().get_urls(),
        ]

    def evidence(self, request: HttpRequest) -> HttpResponse:
        """Show what is proved, since when it is only plausible, and what was changed."""
        context = self.admin_site.each_context(request)
        if self.has_view_permission(request):
            context |= evidence_context(request)
            return TemplateResponse(request, "admin/audit/auditevent/evidence.html", context)
        if not may_have_packs(request.user):
            raise PermissionDenied
        # An account whose roles hold for some profiles only: the rest is about the whole company.
        context |= {"title": _("Evidence"), "section": pack_card(request)}
        return TemplateResponse(request, "admin/audit/auditevent/only_packs.html", context)

    def verify(self, request: HttpRequest) -> HttpResponse:
        """Verify everything now. The right to read is enough, but no link or prefetch may start it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not verify_history(signed_in(request)):
            messages.warning(request, TOO_MANY)
        return HttpResponseRedirect(reverse("admin:audit_auditevent_evidence"))

    def evidence_pack(self, request: HttpRequest) -> HttpResponseBase:
        """The evidence pack that the form of the page names."""
        return refuse_unless_post(request, PERMISSIONS[0]) or pack_of_choice(request)

    def verifier(self, request: HttpRequest) -> HttpResponse:
        """The file with which an auditor checks an extract without LicenseHub."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        file = Path(offline_verifier.__file__).read_bytes()
        headers = {"Content-Disposition": 'attachment; filename="verify.py"'}
        return HttpResponse(file, content_type="text/x-python; charset=utf-8", headers=headers)

    def page_context(self, request: HttpRequest, row: AuditEvent) -> dict[str, Any]:
        named([row])
        related = AuditEvent.objects.filter(correlation=row.correlation).exclude(pk=row.pk)
        return {
            "event": row,
            "when": day_and_time(row.at),
            "ago": ago(row.at),
            "kind": kind_of(row),
            "target_link": _target_link(row),
            "details": json.dumps(row.data, indent=2, ensure_ascii=False, sort_keys=True),
            "related": related.order_by("sequence")[:20],
        }

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent], search_term: str
    ) -> tuple[QuerySet[AuditEvent], bool]:
        """Find events by the beginnings of names. These have indexes, since there may be millions of events."""
        words, given = Q(), dict.fromkeys(search_term.split())
        if len(given) > MAX_WORDS:
            return queryset.none(), False
        for word in given:
            words &= _begins(word)
        return queryset.filter(words | _begins(search_term.strip())) if search_term.strip() else queryset, False

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Sort a span of time by the index on time; the numbers have the same order."""
        in_time = any(name.startswith("at_") for name in request.GET)
        return ("-at", "-sequence") if in_time else ("-sequence",)

    @admin.display(description="#", ordering="sequence")
    def number(self, event: AuditEvent) -> str:
        return f"#{event.sequence}"

    @admin.display(description=gettext_lazy("When"), ordering="sequence")
    def when(self, event: AuditEvent) -> SafeString:
        return two_lines(day_and_time(event.at), ago(event.at))

    @admin.display(description=gettext_lazy("Who"))
    def who(self, event: Any) -> SafeString | str:
        """The name, and below it the account, which is the value that the signature covers."""
        return event.who if event.who == event.actor_name else two_lines(event.who, event.actor_name)

    @admin.display(description=gettext_lazy("Action"))
    def action_label(self, event: AuditEvent) -> str:
        return event.action_label

    @admin.display(description=gettext_lazy("What"))
    def what(self, event: AuditEvent) -> SafeString:
        return two_lines(_label_of(event), kind_of(event))

    @admin.display(description=gettext_lazy("Details"))
    def details(self, event: AuditEvent) -> SafeString:
        # As it was stored and signed: a text, or JSON.
        shown = [
            f"{key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
            for key, value in list(event.data.items())[:DETAILS_IN_LIST]
        ]
        return format_html('<span class="lh-sentence" lang="en">{}</span>', "; ".join(shown))


def _begins(text: str) -> Q:
    """A condition on events: the name of the actor or of the target begins with this text, in any spelling."""
    begins = Q()
    persons = User.objects.filter(Q(first_name__istartswith=text) | Q(last_name__istartswith=text))
    for account in sorted(persons.values_list("username", flat=True)[:MAX_ACCOUNTS]):
        begins |= Q(actor_name__istartswith=account, actor_name=account)
    for spelling in sorted(spellings(text)):
        begins |= Q(actor_name__istartswith=spelling) | Q(target_label__istartswith=spelling)
    return begins


def _label_of(event: AuditEvent) -> str:
    """Translated only where it has words of ours: the name of an account or a person may be a word, e.g. `approver`."""
    return translated(event.target_label) if event.target_type in WORDED else event.target_label


def kind_of(event: AuditEvent) -> str:
    """`subscriptions.removalcandidate` -> `removal candidate`. A type of a former version is shown as it is."""
    try:
        return str(apps.get_model(event.target_type)._meta.verbose_name)
    except (LookupError, ValueError):
        return event.target_type


def _target_link(event: AuditEvent) -> str:
    """The page of the target; empty where there is none."""
    try:
        return reverse(f"admin:{event.target_type.replace('.', '_')}_change", args=[event.target_id])
    except NoReverseMatch:
        return ""
