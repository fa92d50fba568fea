"""The page *Security* of the own account: how one signs in, where one is signed in, and who one is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent
from licensehub.sign_in.factors import second_factor
from licensehub.sign_in.sessions import sessions
from licensehub.sign_in.sso.sso import link_token, providers
from licensehub.sign_in.tokens.tokens import open_tokens
from licensehub.site.accounts import account_persons
from licensehub.site.accounts.account_texts import roles_text
from licensehub.ui.admin import run_and_report, signed_in
from licensehub.ui.formatting import ago, day, day_and_time, name_of
from subscriptions.accounts.rights import DECIDE, may
from subscriptions.errors import NotActionable
from subscriptions.notifications import deputies

LATELY = 6
BAD = (Action.SIGN_IN_FAILED.value, Action.SIGN_IN_LOCKED.value)
SHOWN = (
    Action.SIGNED_IN,
    Action.SIGN_IN_FAILED,
    Action.SIGN_IN_LOCKED,
    Action.SESSIONS_ENDED,
    Action.FACTOR_ADDED,
    Action.FACTOR_REMOVED,
    Action.PASSWORD_CHANGED,
    Action.API_TOKEN_MADE,
    Action.API_TOKEN_ENDED,
    Action.API_TOKEN_REFUSED,
)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to sign in. `action` is the address of its button, empty where there is none."""

    icon: str
    name: str
    detail: str
    label: str = ""
    action: str = ""


def security(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    linked = set(SocialAccount.objects.filter(user=user).values_list("provider", flat=True))
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Your account"),
        "account_line": ", ".join(filter(None, [name_of(user), user.email, roles_text(user)])),
        "ways": ways_of(user),
        "has_factor": second_factor.has_one(user),
        "needs_factor": second_factor.is_needed(user),
        "has_app": Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists(),
        "link_token": link_token(request),
        "linkable": [one for one in providers() if one.key not in linked],
        "browsers": [_browser_row(row) for row in sessions.browsers_of(user, request)],
        "idle_minutes": settings.SESSION_IDLE_MINUTES,
        "hours": settings.SESSION_HOURS,
        "step_up_minutes": settings.STEP_UP_MINUTES,
        "may_decide": may(user, DECIDE),
        "deputies": [
            {"name": name_of(row.deputy), "days": f"{day(row.starts)} – {day(row.ends)}"}
            for row in deputies.deputies_of(user).select_related("deputy")
        ],
        "organizations": account_persons.context_of(user, request)["organizations"],
        "tokens": open_tokens().filter(user=user).count(),
        "lately": _lately(user),
    }
    return TemplateResponse(request, "admin/security.html", context)


def ways_of(user: User) -> list[Way]:
    """Single sign-on, factors, recovery codes and the password, in this order."""
    names = {one.key: one.name for one in providers()}
    found = [
        Way(
            "domain",
            names.get(account.provider, account.provider),
            _("Linked {day}.").format(day=day(account.date_joined)),
            _("Unlink"),
            reverse("sso_unlink", args=[account.pk]),
        )
        for account in SocialAccount.objects.filter(user=user)
    ]
    factors = Authenticator.objects.filter(user=user).order_by("created_at")
    found += [_factor(row) for row in factors if row.type in second_factor.FACTORS]
    found += [_codes(row) for row in factors if row.type == Authenticator.Type.RECOVERY_CODES]
    if user.has_usable_password():
        change = reverse("admin:password_change")
        found.append(Way("password", _("Password"), _("Of your account here."), _("Change"), change))
    return found


def _factor(row: Authenticator) -> Way:
    used = _("Last used {day}.").format(day=day(row.last_used_at)) if row.last_used_at else _("Never used.")
    detail = " ".join([_("Added {day}.").format(day=day(row.created_at)), used])
    if row.type == Authenticator.Type.TOTP:
        remove = reverse("mfa_deactivate_totp")
        return Way("phonelink_lock", second_factor.method_name(row.type), detail, _("Remove"), remove)
    return Way("passkey", row.wrap().name, detail, _("Remove"), reverse("mfa_remove_webauthn", args=[row.pk]))


def _codes(row: Authenticator) -> Way:
    left = len(row.wrap().get_unused_codes())
    detail = ngettext("{left} of 10 is left.", "{left} of 10 are left.", left).format(left=left)
    made = _("Made {day}.").format(day=day(row.created_at))
    name, address = second_factor.method_name(row.type), reverse("mfa_generate_recovery_codes")
    return Way("pin", name, f"{detail} {made}", _("Make new ones"), address)


def _browser_row(row: sessions.SignedInBrowser) -> dict[str, Any]:
    since = _("Since {moment}, {address}.").format(moment=day_and_time(row.started_at), address=row.address or "–")
    end = _("Ends at {moment}.").format(moment=day_and_time(row.ends_at))
    seen = _("Last active {ago}.").format(ago=ago(row.seen_at))
    return {
        "pk": row.pk,
        "name": _device(row.device),
        "icon": "smartphone" if "iPhone" in row.device or "Android" in row.device else "computer",
        "detail": f"{since} {end if row.is_this else seen}",
        "is_this": row.is_this,
    }


def _device(stored: str) -> str:
    """`Chrome on macOS` in the language of the reader."""
    browser, both, system = stored.partition(" on ")
    return _("{browser} on {system}").format(browser=browser, system=system) if both else stored or _("Unknown browser")


def _lately(user: User) -> list[dict[str, Any]]:
    rows = AuditEvent.objects.filter(
        target_type="auth.user", target_id=user.pk, action__in=[action.value for action in SHOWN]
    ).order_by("-sequence")[:LATELY]
    return [
        {"label": row.action_label, "when": day_and_time(row.at), "detail": _detail(row.data), "bad": row.action in BAD}
        for row in rows
    ]


def _detail(data: dict[str, Any]) -> str:
    """Method, number and address, as far as the event has them."""
    times = data.get("times", 1)
    methods = [_method(one) for one in str(data.get("method", "")).split(" + ") if one]
    parts = [" + ".join(methods), f"{times} ×" if times > 1 else "", str(data.get("address") or "")]
    return ", ".join(part for part in parts if part)


def _method(name: str) -> str:
    own = {"password": _("Password"), "sso": settings.SSO_NAME, "invitation": _("Invitation"), "code": _("Code")}
    return own.get(name) or second_factor.method_name(name)


def end_sessions(request: HttpRequest) -> HttpResponse:
    """A POST with `session` ends that one, without it all others."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    user, one = signed_in(request), request.POST.get("session", "")

    def end() -> str:
        ended = (
            sessions.end_one(user, int(one), request)
            if one.isascii() and one.isdecimal()
            else sessions.end_others(user, request)
        )
        if not ended:
            raise NotActionable(_("This session was over already."))
        return ngettext("{count} session was ended.", "{count} sessions were ended.", ended).format(count=ended)

    run_and_report(request, end, refusals=(NotActionable,))
    return HttpResponseRedirect(reverse("security"))
