"""Invite a colleague: an account with roles, and a link by mail, with which the person chooses a password.

The link works once, for `settings.PASSWORD_RESET_TIMEOUT` seconds, and only while the account has no password: nobody
changes an existing password with it. Tokens: https://docs.djangoproject.com/en/5.2/topics/auth/default/
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.models import Group, User
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.views import PasswordResetConfirmView
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse, reverse_lazy
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, override
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from integrations.connectors.contract import english, normalized
from integrations.mail_config import NOWHERE
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.sign_in.factors import credentials
from licensehub.sign_in.passwords.guessing import may_sign_in_locally
from licensehub.site.accounts.scope_fields import ScopeFields
from licensehub.translations.stored import translated
from licensehub.ui.admin import WarningMessage
from licensehub.ui.formatting import name_of
from subscriptions.accounts.rights import is_waiting, refuse_both
from subscriptions.accounts.settings import mail_language_of
from subscriptions.errors import NotActionable, Refused
from subscriptions.notices.mail import plain_mail
from subscriptions.notices.transport import MailServer, NoServer

DAYS = settings.PASSWORD_RESET_TIMEOUT // 86_400
TEXT = gettext_lazy("""Hello {name},

{inviter} invites you to LicenseHub as {roles}. Choose a password, and you are signed in:

{link}

The link works once, for {days}. Your username is {username}.
""")


class InvitationForm(ScopeFields, forms.ModelForm):
    """The form of a new account. The address becomes the username."""

    class Meta:
        model = User
        fields = ("first_name", "last_name", "email", "groups")
        widgets = {
            "first_name": UnfoldAdminTextInputWidget,
            "last_name": UnfoldAdminTextInputWidget,
            "email": UnfoldAdminEmailInputWidget,
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.Meta.fields:
            self.fields[name].required = True
        self.fields["email"].label = _("E-mail")
        self.fields["email"].help_text = _(
            "The invitation goes to it. It is compared with the people being reclaimed: nobody decides on their own "
            "seat. It is also the username."
        )

    def clean_email(self) -> str:
        email = normalized(self.cleaned_data["email"])
        for user in User.objects.exclude(email="", username=""):
            if email in (normalized(user.email), normalized(user.username)):
                raise ValidationError(
                    _("The account “{username}” has this address already.").format(username=user.get_username())
                )
        return email

    def clean_groups(self) -> QuerySet[Group]:
        groups: QuerySet[Group] = self.cleaned_data["groups"]
        check_roles(groups)
        return groups

    def save(self, commit: bool = True) -> User:
        self.instance.username = self.instance.email
        self.instance.is_staff = True
        self.instance.set_unusable_password()
        return super().save(commit)


def check_roles(groups: QuerySet[Group]) -> None:
    """Raise ValidationError for roles that must not come together."""
    try:
        refuse_both(groups)
    except Refused as refusal:
        raise ValidationError(str(refusal)) from refusal


def is_open(user: User) -> bool:
    """Whether this person was invited and has not chosen a password yet."""
    return user.is_active and user.is_staff and not user.has_usable_password() and user.last_login is None


def link_for(user: User) -> str:
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    return settings.PUBLIC_URL + reverse("welcome", args=[uid, default_token_generator.make_token(user)])


def send(user: User, *, actor: User) -> str:
    """Mail a link to a person who was invited, outside of any transaction. Returns what happened, for the inviter.

    Without a mail server the text has the link, to hand over in another way. The event says so, since the inviter could
    open it: see `accounts.joining`. Raises NotActionable.
    """
    if not is_open(user):
        raise NotActionable(
            _("{username} has a password already, or is deactivated. Nothing was sent.").format(
                username=user.get_username()
            )
        )
    link = link_for(user)
    problem = _mail(user, link, actor)
    with transaction.atomic():
        record(Action.USER_INVITED, actor=actor, target=user, data={"to": user.email, "problem": problem})
    name = name_of(user)
    if problem:
        text = _("The invitation was not mailed: {problem} Give {name} this link, which works once, for {days}: {link}")
        if is_waiting(user):
            text += " " + _(
                "You can see the link, so the right to decide takes effect only when {name} has joined, and a second "
                "admin or an operator at the console has confirmed it afterwards."
            )
        return WarningMessage(text.format(problem=translated(problem), name=name, days=_days(), link=link))
    return _("{name} gets a mail at {email} with a link, which works once, for {days}.").format(
        name=name, email=user.email, days=_days()
    )


def _mail(user: User, link: str, actor: User) -> str:
    """Returns why the mail was not sent, or an empty text."""
    if settings.EMAIL_BACKEND in NOWHERE:
        return english("no mail server is set up (EMAIL_URL).")
    with override(mail_language_of(user)):
        message = _message(user, link, actor)
    try:
        with MailServer() as server:
            server.ready()
            failure = server.hand_over(message)
    except NoServer as error:
        return english("the mail server takes no mail now ({error}).").format(error=error)
    return english("the mail server refused it ({failure}).").format(failure=failure[1]) if failure else ""


def _message(user: User, link: str, actor: User) -> EmailMessage:
    roles = Group.objects.filter(user=user).order_by("name").values_list("name", flat=True)
    body = TEXT.format(
        name=user.first_name,
        inviter=name_of(actor),
        roles=", ".join(translated(role) for role in roles),
        link=link,
        days=_days(),
        username=user.get_username(),
    )
    return plain_mail(user.email, _("Your account at LicenseHub"), body)


def _days() -> str:
    return ngettext("{days} day", "{days} days", DAYS).format(days=DAYS)


class ChoosePasswordForm(SetPasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"})

    def save(self, commit: bool = True) -> User:
        """Writes the event first: that of the sign-in, which follows, looks for it."""
        with transaction.atomic():
            user: User = super().save(commit)
            data = {credentials.ONE: credentials.of_password(user)}
            record(Action.USER_JOINED, actor=user, target=user, data=data)
        return user


class WelcomeView(PasswordResetConfirmView):
    """The page behind the link of an invitation."""

    template_name = "registration/welcome.html"
    form_class = ChoosePasswordForm
    success_url = reverse_lazy("admin:index")
    post_reset_login = True
    post_reset_login_backend = settings.AUTHENTICATION_BACKENDS[0]
    title = gettext_lazy("Choose a password")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """With our style sheets, which the admin site names."""
        return {**admin.site.each_context(self.request), **super().get_context_data(**kwargs)}

    def get_user(self, uidb64: str) -> User | None:
        user = super().get_user(uidb64)
        return user if isinstance(user, User) and is_open(user) and may_sign_in_locally(user.get_username()) else None

    def form_valid(self, form: Any) -> Any:
        with transaction.atomic():
            return super().form_valid(form)
