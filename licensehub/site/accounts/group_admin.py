"""The roles, which are groups."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.models import Group
from django.forms import ModelMultipleChoiceField
from django.http import HttpRequest
from django.utils.translation import gettext_lazy, gettext_noop
from unfold.admin import ModelAdmin

from licensehub.site.accounts import account_changes
from licensehub.translations.stored import translated
from licensehub.ui.admin import signed_in
from licensehub.ui.lists.filters import NamedFilter
from licensehub.ui.lists.folding import FoldedSearch

admin.site.unregister(Group)


# Name -> what it may do, in one line of a form. The names are stored in English.
ROLES = {
    gettext_noop("Company admin"): gettext_lazy("accounts, connections, rules, prices and requests; decides nothing"),
    gettext_noop("License manager"): gettext_lazy("rules, protections, requests and restores"),
    gettext_noop("Approver"): gettext_lazy("decides on requests of others"),
    gettext_noop("Auditor"): gettext_lazy("reads everything, and changes nothing"),
    gettext_noop("Operator"): gettext_lazy("connections, downloads and schedules; sees no people"),
}


class RolesField(ModelMultipleChoiceField):
    def label_from_instance(self, obj: Group) -> str:
        name = translated(obj.name)
        return f"{name}: {ROLES[obj.name]}" if obj.name in ROLES else name


class RoleFilter(NamedFilter, admin.RelatedFieldListFilter):
    name = gettext_lazy("roles")

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        return [(pk, translated(str(name))) for pk, name in super().field_choices(field, request, model_admin)]


@admin.register(Group)
class GroupAdmin(FoldedSearch, BaseGroupAdmin, ModelAdmin):
    """The roles. Nobody but a superuser changes what a role may do."""

    def save_model(self, request: HttpRequest, obj: Group, form: Any, change: bool) -> None:
        form.rights_before = account_changes.rights_of_role(obj) if change else []
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        account_changes.record_role(form.instance, form.rights_before, actor=signed_in(request))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
