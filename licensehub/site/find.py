"""Search over people, requests, runs, profiles, saved views and pages. *Ctrl+K* opens it on each page.

A group is asked only if the reader may see its list. Nothing here reads more than some rows of a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from integrations.models import IntegrationProfile
from licensehub.site.navigation import pages_of
from licensehub.ui.admin import signed_in
from licensehub.ui.formatting import ago, name_of
from licensehub.ui.lists.folding import contains_words, search_words
from licensehub.ui.lists.id_filter import IdIn, is_id
from licensehub.ui.lists.saved_views import address_of, visible_views
from licensehub.ui.models import SavedView
from subscriptions.admin.reclaims.steps import requester_of
from subscriptions.models import DownloadRun, ReclaimRequest, RequestState, Subscription
from subscriptions.search import matching_ids

# Results of one group, and characters of a search.
SHOWN = 6
RECENT = 3
MAX_TEXT = 100


@dataclass(frozen=True, slots=True)
class Hit:
    title: str
    detail: str
    icon: str
    url: str


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    hits: list[Hit]


def find(request: HttpRequest) -> HttpResponse:
    """The results as options of a list box. Without a text: recent rows, and all pages."""
    text = request.GET.get("q", "").replace("\x00", "").strip()[:MAX_TEXT]
    groups = [group for group in _groups(request, text) if group.hits]
    number = 0
    numbered = []
    for group in groups:
        numbered.append((group.title, list(enumerate(group.hits, number))))
        number += len(group.hits)
    context = {"groups": numbered, "count": number, "text": text}
    return TemplateResponse(request, "admin/find_results.html", context)


def _groups(request: HttpRequest, text: str) -> Iterable[Group]:
    user = signed_in(request)

    def ask(permission: str, title: str, read: Callable[[str], list[Hit]]) -> Group:
        return Group(title, read(text) if user.has_perm(permission) else [])

    if text:
        yield ask("subscriptions.view_subscription", _("People"), people)
    yield ask("subscriptions.view_reclaimrequest", pgettext("decisions", "Requests"), requests)
    yield ask("subscriptions.view_downloadrun", _("Download runs"), runs)
    if text:
        yield ask("integrations.view_integrationprofile", _("Integration profiles"), profiles)
    yield Group(_("Views"), views(request, text))
    yield Group(_("Pages"), pages(request, text))


def people(text: str) -> list[Hit]:
    """Find people by name, address or the vendor's id. If there are more than shown, add a link to all of them."""
    ids = matching_ids(text, most=SHOWN)
    rows = Subscription.objects.filter(IdIn("pk", ids)).select_related("profile").order_by("name", "pk")
    hits = [
        Hit(row.display_name, _detail(row.email if row.name else "", row.department), "person", _page(row))
        for row in rows[:SHOWN]
    ]
    if ids.number > SHOWN:
        url = f"{reverse('admin:subscriptions_subscription_changelist')}?{urlencode({'q': text})}"
        hits.append(Hit(_("All people with “{text}”").format(text=text), "", "group", url))
    return hits


def requests(text: str) -> list[Hit]:
    """Find requests by number (R-0139 or 139), requester or reason; for `R-` the newest ones.

    Without a text: those that wait for a decision.
    """
    rows = ReclaimRequest.objects.select_related("requested_by", "profile").order_by("-pk")
    if not text:
        rows = rows.filter(state=RequestState.OPEN)[:RECENT]
    else:
        number = _number(text, "R-")
        by_text = Q(reason__icontains=text) | Q(requested_by__username__icontains=text)
        by_name = Q(requested_by__first_name__icontains=text) | Q(requested_by__last_name__icontains=text)
        if number is None:
            rows = rows.filter(by_text | by_name)
        elif number:
            rows = rows.filter(pk=number)
        rows = rows[:SHOWN]
    return [
        Hit(row.number, _detail(requester_of(row), str(row.get_state_display())), "approval_delegation", _page(row))
        for row in rows
    ]


def runs(text: str) -> list[Hit]:
    """Find runs by number (D-0002 or 2); without a text and for `D-`, the newest ones."""
    rows = DownloadRun.objects.select_related("profile").order_by("-pk")
    number = _number(text, "D-")
    if text and number is None:
        return []
    rows = rows.filter(pk=number) if number else rows[:RECENT]
    return [
        Hit(row.number, _detail(str(row.get_state_display()), ago(row.started_at)), "cloud_download", _page(row))
        for row in rows
    ]


def profiles(text: str) -> list[Hit]:
    words = search_words(text)
    rows = [row for row in IntegrationProfile.objects.all() if contains_words(words, row.name, row.organization_name)]
    return [Hit(row.name, str(row.get_state_display()), "hub", _page(row)) for row in rows[:SHOWN]]


def views(request: HttpRequest, text: str) -> list[Hit]:
    """Saved views of lists that the reader may see."""
    user, words = signed_in(request), search_words(text)
    lists = {f"{model._meta.app_label}_{model._meta.model_name}": its for model, its in admin.site._registry.items()}
    found = []
    for row in visible_views(user):
        its_admin = lists.get(row.of_list)
        if its_admin and contains_words(words, row.name) and its_admin.has_view_permission(request):
            found.append(_view(row, its_admin, user))
    return found[: SHOWN if text else RECENT]


def _view(row: SavedView, its_admin: Any, user: User) -> Hit:
    url = f"{reverse(f'admin:{row.of_list}_changelist')}{address_of(row)}"
    of_list = str(its_admin.model._meta.verbose_name_plural)
    return Hit(row.name, _detail(of_list, "" if row.owner_id == user.pk else name_of(row.owner)), "bookmark", url)


def pages(request: HttpRequest, text: str) -> list[Hit]:
    words = search_words(text)
    return [Hit(title, "", icon, url) for title, icon, url in pages_of(request) if contains_words(words, title)]


def _number(text: str, prefix: str) -> int | None:
    """139 for `R-0139` and `139`; 0 for a number that is not written to its end, e.g. `R-` or `R-00`."""
    digits = text.upper().removeprefix(prefix)
    if not digits:
        return 0
    return int(digits) if is_id(digits) else None


def _detail(*parts: str) -> str:
    return " · ".join(filter(None, parts))


def _page(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
