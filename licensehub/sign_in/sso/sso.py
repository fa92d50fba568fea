"""Single sign-on by OIDC or SAML: who may come in, with which account, and with which roles.

An account is bound to the subject id of the provider. An address is no person: one that equals the address of an
account here does not open that account.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _

from licensehub.audit.actions import Action
from licensehub.sign_in import step_up
from licensehub.sign_in.events import record_for, record_often
from licensehub.sign_in.factors import credentials
from licensehub.sign_in.pages import page
from licensehub.sign_in.sessions import sessions
from licensehub.sign_in.sso.provider_session import ProviderSession

CONNECT: Final = "connect"


@dataclass(frozen=True, slots=True)
class Provider:
    """One way of single sign-on. `key` is how its accounts are stored."""

    key: str
    name: str
    address: str

    @property
    def link_address(self) -> str:
        """It needs the token of the session."""
        return reverse("sso_link", args=[self.key])


def providers() -> list[Provider]:
    """Those that the settings name, in the order of the sign-in page."""
    found = []
    if settings.SSO_OIDC_URL:
        found.append(Provider("oidc", settings.SSO_NAME, reverse("openid_connect_login", args=["oidc"])))
    if settings.SSO_SAML_URL:
        found.append(Provider("saml", settings.SSO_NAME, reverse("saml_login", args=["saml"])))
    return found


def groups_in(claims: Mapping[str, Any]) -> set[str]:
    """The groups of a person, from the claim or the attribute that the settings name."""
    for part in (claims, claims.get("userinfo"), claims.get("id_token")):
        if isinstance(part, Mapping) and settings.SSO_ROLES_CLAIM in part:
            given = part[settings.SSO_ROLES_CLAIM]
            words = given if isinstance(given, list) else [given]
            return {one for one in words if isinstance(one, str)}
    return set()


def denies_address(claims: Mapping[str, Any]) -> bool:
    """Whether the provider says that nobody has confirmed the address: then the person may have typed any."""
    parts = [part for part in (claims, claims.get("userinfo"), claims.get("id_token")) if isinstance(part, Mapping)]
    return any(str(part.get("email_verified")).lower() == "false" for part in parts)


def link_token(request: HttpRequest) -> str:
    """A value that only a page of this session knows. So no other site can start a link to its own company account."""
    return salted_hmac("licensehub.sign_in.sso.link", request.session.session_key or "").hexdigest()


def may_link(request: HttpRequest) -> bool:
    return constant_time_compare(request.GET.get("token", ""), link_token(request))


def roles_for(groups: Iterable[str]) -> list[str] | None:
    """The roles of these groups by `SSO_ROLES`; None where no mapping is set, and roles are given here."""
    if not settings.SSO_ROLES:
        return None
    return sorted({role for group in groups for role in settings.SSO_ROLES.get(group, ())})


class Refusal(ImmediateHttpResponse):
    """A page that says why nobody was signed in."""

    def __init__(self, request: HttpRequest, sentence: str) -> None:
        context = {"title": _("You are not signed in"), "sentence": sentence}
        super().__init__(page(request, "sign_in/refused.html", context, status=403))


class SocialAdapter(DefaultSocialAccountAdapter):
    def account_made(self, user: User) -> None:
        """For what stands above the sign-in."""

    def roles_taken(self, user: User, *, added: set[str]) -> None:
        """The same, in the transaction of the change. `added` are the names of the new roles."""

    def list_apps(self, request: HttpRequest, provider: Any = None, client_id: Any = None) -> list[SocialApp]:
        """Only the providers of the settings, which are no rows. Somebody who can write to the database could add one,
        and come in with it as anybody.
        """
        apps: list[SocialApp] = super().list_apps(request, provider=provider, client_id=client_id)
        return [app for app in apps if app.pk is None]

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return True

    def is_auto_signup_allowed(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return True

    def get_connect_redirect_url(self, request: HttpRequest, socialaccount: Any) -> str:
        return reverse("security")

    def on_authentication_error(self, request: HttpRequest, provider: Any, **kwargs: Any) -> None:
        record_often(Action.SIGN_IN_FAILED, None, request, method="sso")
        raise Refusal(
            request,
            _("The answer of your company's sign-on was canceled or cannot be believed. Nothing was changed."),
        )

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Decide whether this person comes in. Raises Refusal."""
        if sociallogin.state.get("process") == CONNECT:
            if not step_up.is_confirmed(request):
                raise Refusal(request, _("Confirm first who you are, on the page “Security” of your account."))
            return
        roles = roles_for(groups_in(sociallogin.account.extra_data))
        if roles == []:
            if sociallogin.is_existing:
                self._leave(request, sociallogin.user)
            self._refuse(request, sociallogin, _("Your company account has no role in LicenseHub."))
        if sociallogin.is_existing:
            self._known(request, sociallogin.user, roles)
        else:
            self._refuse_unconfirmed_address(request, sociallogin)
            self._refuse_taken_address(request, sociallogin)

    def get_requests_session(self) -> ProviderSession:
        return ProviderSession()

    def _known(self, request: HttpRequest, user: User, roles: list[str] | None) -> None:
        if not user.is_active or not user.is_staff:
            record_often(Action.SIGN_IN_FAILED, user, request, method="sso")
            raise Refusal(request, _("Your account in LicenseHub is deactivated."))
        if roles is not None:
            self.take_roles(request, user, roles)

    def _leave(self, request: HttpRequest, user: User) -> None:
        """Take the roles from somebody who has none at the provider any more, and end the sessions."""
        with transaction.atomic():
            self.take_roles(request, user, [])
            sessions.end_everywhere(user, why="no role at the company's sign-on")

    def _refuse_unconfirmed_address(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        if sociallogin.user.email and denies_address(sociallogin.account.extra_data):
            self._refuse(
                request,
                sociallogin,
                _("Your company's sign-on says that your address is not confirmed. Confirm it there, and come again."),
            )

    def _refuse_taken_address(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        email = sociallogin.user.email
        if email and User.objects.filter(Q(email__iexact=email) | Q(username__iexact=email)).exists():
            self._refuse(
                request,
                sociallogin,
                _(
                    "An account in LicenseHub has the address {email} already, and it is not linked to your company's "
                    "sign-on. Sign in with that account, and link it on the page “Security”; or ask an admin."
                ).format(email=email),
            )

    def _refuse(self, request: HttpRequest, sociallogin: SocialLogin, sentence: str) -> None:
        user = sociallogin.user if sociallogin.is_existing else None
        record_often(Action.SIGN_IN_FAILED, user, request, method="sso")
        raise Refusal(request, sentence)

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        """Make the account of somebody who comes for the first time."""
        user: User = sociallogin.user
        user.username = (user.email or f"{sociallogin.account.provider}:{sociallogin.account.uid}")[:150]
        user.is_staff = True
        user.set_unusable_password()
        with transaction.atomic():
            # The address is in the account; allauth's own table of addresses is not used.
            sociallogin.email_addresses = []
            sociallogin.save(request)
            account = sociallogin.account
            data = {"provider": account.provider, "subject": account.uid, "email": user.email}
            data[credentials.ONE] = credentials.of_link(account)
            record_for(Action.ACCOUNT_BY_SIGN_ON, user, request, **data)
            roles = roles_for(groups_in(sociallogin.account.extra_data))
            if roles is not None:
                self.take_roles(request, user, roles)
        self.account_made(user)
        return user

    def take_roles(self, request: HttpRequest, user: User, roles: list[str]) -> None:
        """Replace the roles of an account by those of the provider, with one event if they differ."""
        with transaction.atomic():
            before = sorted(user.groups.values_list("name", flat=True))
            if before == roles:
                return
            user.groups.set(Group.objects.filter(name__in=roles))
            record_for(Action.ROLES_BY_SIGN_ON, user, request, before=before, after=roles)
            self.roles_taken(user, added=set(roles) - set(before))


def unlink(request: HttpRequest, user: User, pk: int) -> bool:
    """Remove a link of the own account. False if it is the only way in, or is none."""
    with transaction.atomic():
        row = SocialAccount.objects.select_for_update().filter(user=user, pk=pk).first()
        if row is None or not (user.has_usable_password() and settings.LOCAL_ACCOUNTS):
            return False
        row.delete()
        data = {"provider": row.provider, "subject": row.uid, credentials.ONE: credentials.of_link(row)}
        record_for(Action.SIGN_ON_UNLINKED, user, request, **data)
    return True
