"""The page of a long evidence pack: it follows the worker that makes it, and has the file for who asked for it."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from licensehub.database.clock import database_now
from licensehub.translations.stored import translated
from licensehub.ui.admin import run_and_report, sentence_of, signed_in
from licensehub.ui.formatting import ago, badge, day, day_and_time
from subscriptions.admin.widgets import live
from subscriptions.admin.widgets.actions import REFUSALS
from subscriptions.errors import Refused
from subscriptions.evidence import kept_packs
from subscriptions.evidence.pack import may_have_packs
from subscriptions.models import EvidencePack, PackState

NAME: Final = "audit_auditevent_"
# The key of the session: the pack whose download was just confirmed, and until when its file may be taken.
TAKE: Final = "evidence_pack"
TAKE_SECONDS: Final = 60
LATELY: Final = 5
BADGES: Final = {
    PackState.WAITING: ("neutral", "hourglass_empty"),
    PackState.MAKING: ("info", "progress_activity"),
    PackState.READY: ("ok", "check_circle"),
    PackState.FAILED: ("error", "error"),
    PackState.REMOVED: ("neutral", "delete"),
}


def urls(view: Any) -> list[URLPattern]:
    return [
        path("evidence-packs/<int:pk>/", view(pack_page), name=f"{NAME}pack"),
        path("evidence-packs/<int:pk>/live/", view(pack_live), name=f"{NAME}pack_live"),
        path("evidence-packs/<int:pk>/file/", view(pack_file), name=f"{NAME}pack_file"),
    ]


def address(pack: EvidencePack) -> str:
    return reverse(f"admin:{NAME}pack", args=[pack.pk])


def packs_lately(user: User) -> list[dict[str, Any]]:
    """The last packs that this account asked for, for the card of the page *Evidence*."""
    return [
        {"address": address(pack), "name": name_of_pack(pack), "badge": pack_badge(pack), "asked": ago(pack.asked_at)}
        for pack in islice(kept_packs.packs_of(user), LATELY)
    ]


def name_of_pack(pack: EvidencePack) -> str:
    """`R-0139`, the name of a person, or the days."""
    if pack.request:
        return pack.request.number
    if pack.subscription:
        return pack.subscription.display_name
    return f"{day(pack.first)} – {day(pack.last)}"


def pack_badge(pack: EvidencePack) -> SafeString:
    tone, icon = BADGES[PackState(pack.state)]
    return badge(pack.get_state_display(), tone=tone, icon=icon)


def _own(request: HttpRequest, pk: int) -> EvidencePack:
    """The pack of this account. Nobody else gets it, whatever their role. The right is asked again each time."""
    user = signed_in(request)
    if not may_have_packs(user):
        raise PermissionDenied
    pack = next(kept_packs.packs_of(user, pk=pk), None)
    if pack is None:
        raise Http404
    return pack


def pack_page(request: HttpRequest, pk: int) -> HttpResponse:
    pack = _own(request, pk)
    under_way = pack.state in kept_packs.UNDER_WAY
    context = {
        **admin.site.each_context(request),
        "title": _("Evidence pack"),
        "pack": pack,
        "name": name_of_pack(pack),
        "badge": pack_badge(pack),
        "asked": ago(pack.asked_at),
        "until": day_and_time(pack.ends_at),
        "size": filesizeformat(pack.size),
        "under_way": under_way,
        "problem": translated(pack.problem),
        "live_url": live.address(reverse(f"admin:{NAME}pack_live", args=[pk]), pack.state) if under_way else "",
        "file_url": reverse(f"admin:{NAME}pack_file", args=[pk]) if pack.state == PackState.READY else "",
        # The browser loads it at once, and stays on this page.
        "begins": pack.state == PackState.READY and _may_take(request, pk),
    }
    return TemplateResponse(request, "admin/subscriptions/kept_pack.html", context)


def pack_live(request: HttpRequest, pk: int) -> HttpResponse:
    return live.reload_if_changed(request, _own(request, pk).state)


def pack_file(request: HttpRequest, pk: int) -> HttpResponseBase:
    """A POST, for which one confirms who one is, records the download. Then the page gets the file, once."""
    pack = _own(request, pk)
    back = HttpResponseRedirect(address(pack))
    if request.method == "POST":

        def hand_out() -> str:
            kept_packs.note_download(pack, actor=signed_in(request))
            request.session[TAKE] = [pk, database_now().timestamp() + TAKE_SECONDS]
            return _("The download begins.")

        run_and_report(request, hand_out, refusals=REFUSALS)
        return back
    if not _may_take(request, pk):
        return back
    del request.session[TAKE]
    try:
        file = kept_packs.kept_file(pack)
    except Refused as error:
        messages.error(request, sentence_of(error))
        return back
    return FileResponse(file, as_attachment=True, filename=pack.name, content_type="application/zip")


def _may_take(request: HttpRequest, pk: int) -> bool:
    known, until = request.session.get(TAKE, (0, 0))
    return known == pk and database_now().timestamp() < until
