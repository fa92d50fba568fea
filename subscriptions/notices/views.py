"""*My license*: the one page for people who are not admins, by the signed link of a mail. No login, no script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csp.constants import NONE, SELF
from csp.decorators import csp_replace
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from integrations.scopes.visibility import seen_by
from subscriptions.errors import NotActionable
from subscriptions.models import Answer
from subscriptions.notices.answers import BadLink, Link, answer, read_link
from subscriptions.notices.mail_and_page import company_context
from subscriptions.notices.self_service import page_context

# Search engines must not list the page or keep a copy, and the pages it links to must not get its address.
HEADERS = {"X-Robots-Tag": "noindex, nofollow", "Referrer-Policy": "same-origin"}


@seen_by(None)  # a signed-in colleague answers here for their own seat
@never_cache
@csrf_protect
@csp_replace({"script-src": [NONE], "style-src": [SELF]})  # type: ignore[arg-type]  # typed for views without arguments
@require_http_methods(["GET", "HEAD", "POST"])
def my_license(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows the page and changes nothing: mail scanners follow links. POST answers, and redirects to the page."""
    try:
        link = read_link(token)
    except BadLink:
        return _page(request, "self_service/invalid_link.html", company_context(), status=404)
    if request.method != "POST":
        context = page_context(link.person, until=link.until, former_address=link.former_address)
        return _page(request, "self_service/page.html", context)
    return _answer(request, link, token)


def _answer(request: HttpRequest, link: Link, token: str) -> HttpResponse:
    given = request.POST.get("answer", "")
    if given not in Answer.values:
        return _with_problem(request, link, _("Choose whether to keep or to release your license."), status=400)
    try:
        answer(link.person, Answer(given), former_address=link.former_address)
    except NotActionable as error:
        return _with_problem(request, link, str(error), status=409)
    response = HttpResponseRedirect(reverse("my_license", args=[token]), headers=HEADERS)
    response.status_code = 303
    return response


def _with_problem(request: HttpRequest, link: Link, problem: str, *, status: int) -> HttpResponse:
    context = {**page_context(link.person, until=link.until, former_address=link.former_address), "problem": problem}
    return _page(request, "self_service/page.html", context, status=status)


def _page(request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    response = render(request, template, dict(context), status=status)
    for name, value in HEADERS.items():
        response[name] = value
    return response
