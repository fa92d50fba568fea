"""API tokens: the pages on which people make and end their own, and admins those of service accounts.

A token is shown once, in the answer that made it. So that answer is never stored by a browser.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache

from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from licensehub.sign_in.factors import second_factor
from licensehub.sign_in.models import ApiToken
from licensehub.sign_in.tokens import tokens
from licensehub.site.accounts.account_changes import record_created
from licensehub.translations.stored import translated
from licensehub.ui.admin import run_and_report, signed_in
from licensehub.ui.formatting import ago, day, name_of
from subscriptions.accounts import rights
from subscriptions.errors import NotActionable

# This right sees all tokens, ends those of others, and makes service accounts.
ACCOUNTS = "auth.change_user"


class TokenForm(forms.Form):
    """The form for a new token."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=60)
    role = forms.ModelChoiceField(Group.objects.none(), label=gettext_lazy("Role"), empty_label=None)
    profiles = forms.ModelMultipleChoiceField(
        IntegrationProfile.objects.none(), label=gettext_lazy("Profiles"), required=False
    )
    days = forms.TypedChoiceField(label=gettext_lazy("Valid for"), coerce=int, initial=tokens.DEFAULT_DAYS)
    # For a service account: an admin makes its token, and somebody else runs the program.
    holder = forms.ModelChoiceField(User.objects.none(), label=gettext_lazy("Who gets the token"))

    def __init__(self, *args: Any, account: User, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        choices: Any = self.fields
        choices["role"].queryset = tokens.roles_for(account)
        choices["role"].label_from_instance = lambda role: translated(role.name)
        choices["profiles"].queryset = IntegrationProfile.objects.in_use().order_by("name")
        choices["days"].choices = [
            (days, ngettext("{count} day", "{count} days", days).format(count=days)) for days in tokens.DAYS
        ]
        if tokens.is_service(account):
            choices["holder"].queryset = User.objects.filter(is_active=True, service_account=None).order_by("username")
            choices["holder"].label_from_instance = lambda user: f"{name_of(user)} ({user.get_username()})"
        else:
            del choices["holder"]
        for field in choices.values():
            field.widget.attrs["class"] = "lh-input"
        choices["name"].widget.attrs["autocomplete"] = "off"


class ServiceAccountForm(forms.Form):
    """A new account for a program. Roles that decide or administer accounts are for people."""

    username = forms.SlugField(label=gettext_lazy("Name"), max_length=60)
    email = forms.EmailField(label=gettext_lazy("Mailbox of the team that runs the program"), max_length=254)
    role = forms.ModelChoiceField(Group.objects.none(), label=gettext_lazy("Role"), empty_label=None)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        for_people = rights.permissions_named((*rights.DECIDING, *rights.ADMINISTERING)).values("pk")
        choices: Any = self.fields
        choices["role"].queryset = Group.objects.exclude(permissions__in=for_people).order_by("name")
        choices["role"].label_from_instance = lambda role: translated(role.name)
        for field in choices.values():
            field.widget.attrs |= {"class": "lh-input", "autocomplete": "off"}

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        if User.objects.filter(username__iexact=name).exists():
            raise ValidationError(_("There is an account “{username}” already.").format(username=name))
        return name


def _account(request: HttpRequest) -> User:
    """The account that the page is about: one's own, or a service account for an admin. Raises PermissionDenied."""
    user, wanted = signed_in(request), request.GET.get("account") or request.POST.get("account") or ""
    if wanted in ("", str(user.pk)):
        return user
    if not user.has_perm(ACCOUNTS):
        raise PermissionDenied
    known = int(wanted) if wanted.isascii() and wanted.isdecimal() and len(wanted) < 19 else 0
    return get_object_or_404(User, pk=known, service_account__isnull=False)


@never_cache
def api_tokens(request: HttpRequest) -> HttpResponse:
    """The tokens of one account. A POST makes one more, and its answer shows it."""
    account, actor = _account(request), signed_in(request)
    form, made, problem = TokenForm(request.POST or None, account=account), "", ""
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data
        try:
            _token, made = tokens.make(
                account,
                name=asked["name"],
                role=asked["role"],
                profiles=[profile.pk for profile in asked["profiles"]],
                days=asked["days"],
                holder=asked.get("holder"),
                factor_at=database_now() if _has_proved(request, account) else None,
                actor=actor,
            )
        except tokens.CannotMake as refusal:
            problem = str(refusal)
        else:
            form = TokenForm(account=account)
    context = {
        **admin.site.each_context(request),
        "title": _("API tokens"),
        "account": account,
        "name": name_of(account),
        "is_own": account.pk == actor.pk,
        "form": form,
        "made": made,
        "problem": problem,
        "rows": _rows(ApiToken.objects.filter(user=account)),
        "sees_all": actor.has_perm(ACCOUNTS),
    }
    return TemplateResponse(request, "admin/api_tokens.html", context)


def _has_proved(request: HttpRequest, account: User) -> bool:
    """Whether the owner has used a second factor: this page asks for it again, if the account has one."""
    own = account.pk == signed_in(request).pk
    return own and request.session.get(second_factor.STATE) == second_factor.USED and second_factor.has_one(account)


def end_api_token(request: HttpRequest, pk: int) -> HttpResponse:
    """A POST ends an own token; an admin ends each."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    user = signed_in(request)
    everybody = user.has_perm(ACCOUNTS)
    mine = ApiToken.objects.all() if everybody else ApiToken.objects.filter(user=user)
    token = get_object_or_404(mine.select_related("user"), pk=pk)

    def do() -> str:
        if not tokens.end(token, actor=user):
            raise NotActionable(_("This token had already ended."))
        return _("The token “{name}” ended. Programs that use it are refused from now on.").format(name=token.name)

    run_and_report(request, do, refusals=(NotActionable,))
    return HttpResponseRedirect(reverse("api_tokens" if token.user_id == user.pk else "all_api_tokens"))


@never_cache
def all_api_tokens(request: HttpRequest) -> HttpResponse:
    """The tokens of all accounts, and the service accounts. A POST makes a service account."""
    user = signed_in(request)
    if not user.has_perm(ACCOUNTS):
        raise PermissionDenied
    form = ServiceAccountForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            made = tokens.make_service_account(**form.cleaned_data, actor=user)
            record_created(made, actor=user)
        return HttpResponseRedirect(f"{reverse('api_tokens')}?account={made.pk}")
    context = {
        **admin.site.each_context(request),
        "title": _("API tokens of all accounts"),
        "form": form,
        "rows": _rows(ApiToken.objects.all()),
        "services": User.objects.filter(service_account__isnull=False).order_by("username").prefetch_related("groups"),
    }
    return TemplateResponse(request, "admin/all_api_tokens.html", context)


SHOWN = 200


def _rows(found: QuerySet[ApiToken]) -> list[dict[str, Any]]:
    """The newest tokens, those in use first."""
    rows = found.select_related("user", "role").order_by("-pk")[:SHOWN]
    names = dict(IntegrationProfile.objects.values_list("pk", "name"))
    now = database_now()
    shown = [
        {
            "pk": row.pk,
            "name": row.name,
            "prefix": f"lh_{row.prefix}_…",
            "account": name_of(row.user),
            "role": translated(row.role.name) if row.role else "–",
            "profiles": ", ".join(names.get(pk, "?") for pk in row.profiles) or _("All profiles"),
            "used": ago(row.used_at) if row.used_at else _("Never used"),
            "address": row.used_from or "",
            "until": day(row.expires_at),
            "state": _state(row, now),
            "is_open": row.ended_at is None and row.expires_at > now,
        }
        for row in rows
    ]
    return sorted(shown, key=lambda row: not row["is_open"])


def _state(row: ApiToken, now: Any) -> str:
    if row.ended_at is not None:
        return _("Ended {day}").format(day=day(row.ended_at))
    return _("Expired {day}").format(day=day(row.expires_at)) if row.expires_at <= now else ""
