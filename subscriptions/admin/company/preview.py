"""Show the notices as a person reads them, with the texts in the form and made-up facts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import QueryDict
from django.template.loader import render_to_string
from django.utils.translation import override

from integrations.connectors.contract import NEUTRAL
from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from subscriptions.admin.company.company_form import CompanyForm
from subscriptions.company.company import WORDS
from subscriptions.company.texts import KINDS, LANGUAGES, one_line
from subscriptions.models import Company, NoticeKind
from subscriptions.notices.answers import Phase
from subscriptions.notices.mail_and_page import common_context

# The person of the preview.
FIRST_NAME, EMAIL = "Nadia", "nadia.costa@example.com"
IDLE, LEFT, KEEP_DAYS = timedelta(days=85), timedelta(days=7), 60
PAGE = "page"


def preview(row: Company, form: CompanyForm, entries: QueryDict) -> dict[str, Any]:
    """The context of the template: the mail, or the page *My license*. A field with an error shows what is saved."""
    shown = entries.get("preview", "")
    language = entries.get("preview_language", "")
    shown = shown if shown in {PAGE, *(kind.value for kind in KINDS)} else NoticeKind.ASK.value
    language = language if language in LANGUAGES else "en"
    if form.is_bound:
        form.is_valid()
        for word in WORDS:
            setattr(row, word, one_line(form.cleaned_data.get(word, getattr(row, word))))
        row.texts = form.texts
    with override(language):
        context = _context(row, NoticeKind.ASK if shown == PAGE else NoticeKind(shown))
        name = "self_service/page.html" if shown == PAGE else "notices/mail.html"
        html = render_to_string(name, context)
    return {
        "shown": shown,
        "language": language,
        "html": html,
        "subject": "" if shown == PAGE else context["wording"].subject,
        "reply_to": context["reply_to"],
        "errors": [error for item in form.notices for field in item["fields"] for error in field.errors],
    }


def _context(row: Company, kind: NoticeKind) -> dict[str, Any]:
    profile = IntegrationProfile.objects.in_use().first()
    now = database_now()
    common = common_context(
        row,
        texts=profile.texts if profile else NEUTRAL,
        organization=profile.organization_label if profile else "",
        first_name=FIRST_NAME,
        last_activity=now - IDLE,
        deadline=now + LEFT,
        kind=kind,
    )
    return {
        **common,
        "email": EMAIL,
        "keep_days": KEEP_DAYS,
        "keep_is_final": True,
        "link": "#",
        "phase": Phase.ASKED.value,
        "answer": "",
        "may_keep": True,
        "may_release": True,
        "until": now + LEFT + timedelta(days=30),
    }
