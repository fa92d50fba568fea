"""*Evidence pack*: the card on the pages of a request and of a person, and the file behind its button.

A long pack is made by a worker: the button leads to its page.
"""

from __future__ import annotations

from tempfile import TemporaryFile
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.translation import get_language

from licensehub.ui.admin import refuse_unless_post, sentence_of, signed_in
from subscriptions.admin.evidence import kept_pack_page
from subscriptions.errors import Refused
from subscriptions.evidence import kept_packs
from subscriptions.evidence.pack import PERMISSIONS, make_pack, may_have_packs
from subscriptions.evidence.scope import Scope
from subscriptions.tasks import enqueue_task, make_evidence_pack


def card(request: HttpRequest, address: str) -> dict[str, Any]:
    """The context of templates/admin/subscriptions/evidence_pack.html; empty for readers who may not make packs."""
    if not may_have_packs(request.user):
        return {}
    chosen = (get_language() or settings.DEFAULT_LANGUAGE)[:2]
    languages = [(code, name, code == chosen) for code, name in settings.LANGUAGES]
    return {"evidence_pack": {"address": address, "languages": languages}}


def pack_response(request: HttpRequest, scope: Scope, *, back: str) -> HttpResponseBase:
    """The zip file, after its audit event is committed, or the page of a long pack.

    If it is refused, the page `back` says why.
    """
    if refusal := refuse_unless_post(request, PERMISSIONS[0]):
        return refusal
    if not may_have_packs(request.user):
        raise PermissionDenied
    known = [code for code, _ in settings.LANGUAGES]
    language = request.POST.get("language", "")
    language = language if language in known else settings.DEFAULT_LANGUAGE
    file = TemporaryFile()  # noqa: SIM115 - the response closes it
    try:
        if scope.is_long():
            pack = kept_packs.ask_for_pack(scope, language=language, actor=signed_in(request))
            enqueue_task(make_evidence_pack, pack.pk)
            file.close()
            return HttpResponseRedirect(kept_pack_page.address(pack))
        made = make_pack(scope, file, language=language, actor=signed_in(request))
    except Refused as error:
        file.close()
        messages.error(request, sentence_of(error))
        return HttpResponseRedirect(back)
    file.seek(0)
    return FileResponse(file, as_attachment=True, filename=made.name, content_type="application/zip")
