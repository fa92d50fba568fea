"""Users and groups in the look of the admin, and no admin for the task schedule."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.hashers import is_password_usable
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UnfoldReadOnlyPasswordHashWidget, UserChangeForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from licensehub.site.accounts import account_changes, account_persons, invitations, scope_fields
from licensehub.site.accounts.account_texts import roles_text, state_of
from licensehub.site.accounts.group_admin import GroupAdmin as GroupAdmin
from licensehub.site.accounts.group_admin import RoleFilter, RolesField
from licensehub.site.audit.audit_admin import AuditEventAdmin as AuditEventAdmin
from licensehub.ui.admin import NoShowAllChangeList, refuse_unless_post, run_and_report, signed_in
from licensehub.ui.csv_file import Moment
from licensehub.ui.export import ExportMixin
from licensehub.ui.formatting import badge, day_ago, name_of, two_lines
from licensehub.ui.lists.columns import ListColumn
from licensehub.ui.lists.folding import FoldedSearch
from subscriptions.accounts import persons, rights
from subscriptions.admin.widgets.signed_rows import SignedRowsMixin, marked
from subscriptions.errors import NotActionable, Refused
from subscriptions.evidence.rows.signed_fields import USERS

admin.site.unregister(User)
# A person who may edit a PeriodicTask can run any task with any argument, and so bypass every rule.
admin.site.unregister([ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule])
# A person who may edit these signs in as somebody else: by another identity, or without the second factor.
admin.site.unregister([Authenticator, EmailAddress, SocialAccount, SocialApp, SocialToken])


class PasswordState(UnfoldReadOnlyPasswordHashWidget):
    """Whether the account has a password. Django's widget shows the algorithm, and parts of salt and hash."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        has_one = bool(value) and is_password_usable(value)
        state = _("A password is set") if has_one else _("No password is set")
        return {**super().get_context(name, value, attrs), "summary": [{"label": state}]}


class AccountForm(scope_fields.ScopeFields, UserChangeForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "password" in self.fields:
            # unfold's own sentence has no German.
            text = _('Only a digest of it is stored. <a class="lh-text-link" href="{address}">Set a new password</a>')
            self.fields["password"].help_text = format_html(text, address="../password/")
            self.fields["password"].widget = PasswordState()
        # Django's labels and texts are for developers.
        labels = {"username": _("Account"), "email": _("E-mail")}
        labels |= {"is_active": _("Active"), "is_staff": _("May sign in")}
        for name in labels.keys() & self.fields.keys():
            self.fields[name].label, self.fields[name].help_text = labels[name], ""

    def clean_groups(self) -> QuerySet[Group]:
        groups: QuerySet[Group] = self.cleaned_data["groups"]
        invitations.check_roles(groups)
        return groups


@admin.register(User)
class UserAdmin(SignedRowsMixin, FoldedSearch, ExportMixin, BaseUserAdmin, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Accounts are deactivated, never deleted: the audit log names them."""

    form = AccountForm
    add_form = invitations.InvitationForm
    change_password_form = AdminPasswordChangeForm
    signed_table = USERS
    add_label = gettext_lazy("Invite a person")
    list_display = ("person", "roles", "state", "signed_in")
    list_display_links = ("person",)
    list_filter = ("is_active", ("groups", RoleFilter))
    columns = (
        ListColumn(
            "person",
            [
                (gettext_lazy("Account"), lambda user: user.username),
                (gettext_lazy("Name"), lambda user: user.get_full_name()),
                (gettext_lazy("E-mail"), lambda user: user.email),
            ],
        ),
        ListColumn(
            "roles",
            [
                (gettext_lazy("Roles"), roles_text),
                (gettext_lazy("Profiles"), lambda user: scope_fields.text_for(user) or _("all profiles")),
            ],
        ),
        ListColumn("state", [(gettext_lazy("State"), lambda user: state_of(user)[0])]),
        ListColumn("signed_in", [(gettext_lazy("Last sign-in"), Moment(lambda user: user.last_login))]),
        ListColumn("joined", [(gettext_lazy("Account since"), Moment(lambda user: user.date_joined))]),
    )
    list_filter_sheet = True
    show_full_result_count = False
    filter_horizontal = ()
    change_form_outer_after_template = account_persons.TEMPLATE
    add_fieldsets = (
        (gettext_lazy("Person"), {"fields": ("first_name", "last_name", "email")}),
        (gettext_lazy("Role"), {"fields": ("groups",)}),
    )
    person_fields = (
        (None, {"fields": ("username", "password")}),
        (gettext_lazy("Person"), {"fields": ("first_name", "last_name", "email")}),
        (
            gettext_lazy("Role"),
            {
                "fields": ("is_active", "is_staff", "groups"),
                "description": gettext_lazy(
                    "Switch “Active” off instead of deleting an account: the audit log names it."
                ),
            },
        ),
        (pgettext_lazy("account", "Dates"), {"fields": ("signed_in", "joined")}),
    )
    readonly_fields = ("signed_in", "joined")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[NoShowAllChangeList]:
        return NoShowAllChangeList

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """There are few roles, so checkboxes instead of a list that needs the Control key."""
        if db_field.name == "groups":
            return RolesField(
                Group.objects.order_by("name"),
                label=_("Roles"),
                required=False,
                widget=UnfoldAdminCheckboxSelectMultipleWidget(),
                help_text=_("What this person may see and do is the sum of the roles."),
            )
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        rows = super().get_queryset(request).select_related("service_account", "profile_scope")
        return rows.prefetch_related("groups", "profile_scope__profiles")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Single permissions and the superuser switch are for superusers only."""
        holds = (_("Profiles"), {"fields": scope_fields.FIELDS})
        scope = (holds,) if scope_fields.are_shown() else ()
        if obj is None:
            return (*self.add_fieldsets, *scope)
        fields = (*self.person_fields[:3], *scope, *self.person_fields[3:])
        if not request.user.is_superuser:
            return fields
        rights = (_("Single rights"), {"fields": ("is_superuser", "user_permissions"), "classes": ("collapse",)})
        return (*fields, rights)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Nobody changes their own address, since four eyes compares it. Who has none yet may enter one."""
        own = obj is not None and obj.pk == request.user.pk and obj.email
        return (*self.readonly_fields, "email") if own else self.readonly_fields

    def get_urls(self) -> list[URLPattern]:
        person = self.admin_site.admin_view(account_persons.change_view)
        invite = self.admin_site.admin_view(self.invite_again)
        return [
            path("<int:pk>/person/<int:profile_id>/", person, name="auth_user_person"),
            path("<int:pk>/invite/", invite, name="auth_user_invite"),
            *super().get_urls(),
        ]

    def invite_again(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A POST mails a new link to somebody who was invited and has no password yet."""
        if refusal := refuse_unless_post(request, "auth.add_user"):
            return refusal
        user = get_object_or_404(User, pk=pk)
        if not self.has_change_permission(request, user):
            raise PermissionDenied
        run_and_report(request, lambda: invitations.send(user, actor=signed_in(request)), refusals=(NotActionable,))
        return HttpResponseRedirect(reverse("admin:auth_user_change", args=[pk]))

    def response_add(self, request: HttpRequest, obj: User, post_url_continue: str | None = None) -> HttpResponse:
        """The mail is handed over after the account is stored."""

        def invite() -> None:
            run_and_report(request, lambda: invitations.send(obj, actor=signed_in(request)), refusals=(NotActionable,))

        transaction.on_commit(invite)
        return HttpResponseRedirect(reverse("admin:auth_user_change", args=[obj.pk]))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["show_save_and_add_another"] = False
        if kwargs.get("obj") is not None:
            context.update(account_persons.context_of(kwargs["obj"], request))
            context["is_invited"] = invitations.is_open(kwargs["obj"])
        else:
            context["title"] = _("Invite a person")
        return super().render_change_form(request, context, *args, **kwargs)

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """Nothing is saved when a change of the same kind waits already."""
        try:
            return super().changeform_view(request, object_id, *args, **kwargs)
        except (NotActionable, Refused) as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(request.path)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """A new password of an account that decides waits for a second admin."""
        user = self.get_object(request, unquote(id))
        if request.method == "POST" and user is not None and self.has_change_permission(request, user):
            form = self.change_password_form(user, request.POST)
            if form.is_valid():
                new = form.cleaned_data["password1"] if form.cleaned_data["set_usable_password"] else None

                def do() -> str:
                    return account_changes.set_password(user, new, actor=signed_in(request))

                run_and_report(request, do, refusals=(Refused, NotActionable))
                if user.pk == request.user.pk:
                    update_session_auth_hash(request, user)
                return HttpResponseRedirect(reverse("admin:auth_user_change", args=[user.pk]))
        return super().user_change_password(request, id, form_url)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """The persons of the former address are noted first, so that a new address hides no seat."""
        if change:
            form.facts_before = account_changes.facts_of(obj)
            for told in account_changes.hold_back(obj, actor=signed_in(request)):
                messages.warning(request, told)
            if "email" in form.changed_data:
                persons.find_everywhere(User.objects.get(pk=obj.pk))
        super().save_model(request, obj, form, change)
        persons.find_everywhere(obj)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        actor, user = signed_in(request), form.instance
        if told := scope_fields.save(form, user, actor=actor):
            messages.warning(request, told)
        if change:
            account_changes.record_changes(user, form.facts_before, actor=actor)
        else:
            account_changes.record_created(user, actor=actor)
        if rights.is_waiting(user):
            messages.warning(
                request,
                _(
                    "The right to decide waits for a second admin, or for a day, and at least until the person has "
                    "joined."
                ),
            )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody else may change a superuser's account, and so its password."""
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description=gettext_lazy("Person"), ordering="username")
    def person(self, user: User) -> SafeString:
        return marked(user, two_lines(name_of(user), user.email or user.username))

    @admin.display(description=gettext_lazy("Roles"))
    def roles(self, user: User) -> SafeString | str:
        profiles = scope_fields.text_for(user)
        return two_lines(roles_text(user), profiles) if profiles else roles_text(user)

    @admin.display(description=gettext_lazy("State"), ordering="is_active")
    def state(self, user: User) -> SafeString:
        label, tone, icon = state_of(user)
        return badge(label, tone=tone, icon=icon)

    @admin.display(description=gettext_lazy("Last sign-in"), ordering="last_login")
    def signed_in(self, user: User) -> SafeString:
        return day_ago(user.last_login)

    @admin.display(description=gettext_lazy("Account since"), ordering="date_joined")
    def joined(self, user: User) -> SafeString:
        return day_ago(user.date_joined)
