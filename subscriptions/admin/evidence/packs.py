"""*Evidence pack*: the card on the pages of a request and of a person, and the file behind its button."""

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
from subscriptions.errors import Refused
from subscriptions.evidence.pack import make_pack
from subscriptions.evidence.scope import Scope

# A pack has events of the audit, and the people of a request.
PERMISSIONS = ("audit.view_auditevent", "subscriptions.view_reclaimrequest")


def may_make_packs(user: Any) -> bool:
    return bool(user.has_perms(PERMISSIONS))


def card(request: HttpRequest, address: str) -> dict[str, Any]:
    """The context of templates/admin/subscriptions/evidence_pack.html; empty for readers who may not make packs."""
    if not may_make_packs(request.user):
        return {}
    chosen = (get_language() or settings.DEFAULT_LANGUAGE)[:2]
    languages = [(code, name, code == chosen) for code, name in settings.LANGUAGES]
    return {"evidence_pack": {"address": address, "languages": languages}}


def pack_response(request: HttpRequest, scope: Scope, *, back: str) -> HttpResponseBase:
    """The zip file, after its audit event is committed. If it is refused, the page `back` says why."""
    if refusal := refuse_unless_post(request, PERMISSIONS[0]):
        return refusal
    if not may_make_packs(request.user):
        raise PermissionDenied
    known = [code for code, _ in settings.LANGUAGES]
    language = request.POST.get("language", "")
    file = TemporaryFile()  # noqa: SIM115 - the response closes it
    try:
        language = language if language in known else settings.DEFAULT_LANGUAGE
        pack = make_pack(scope, file, language=language, actor=signed_in(request))
    except Refused as error:
        file.close()
        messages.error(request, sentence_of(error))
        return HttpResponseRedirect(back)
    file.seek(0)
    return FileResponse(file, as_attachment=True, filename=pack.name, content_type="application/zip")
