"""Shared by all admin pages: read-only models, actions behind POST, refusals as messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import get_language
from unfold.admin import ModelAdmin, checkbox

from licensehub.translations.stored import translated
from licensehub.ui.lists.changelist import NamedChangeList, PagedChangeList


class NoShowAllChangeList(NamedChangeList):
    """Offers no “Show all” when all rows are shown already."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        return list(self._get_deterministic_ordering(self.order_terms(request)))

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.model_admin.fill_cells(self.result_list, self.list_display)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count


class ReadOnlyPermissionsMixin:
    """Put before ModelAdmin: nobody writes these records in the admin, only functions of our packages do."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@cache
def _box(language: str | None) -> str:
    """The box of a row, with its label in this language."""
    return str(checkbox.render(ACTION_CHECKBOX_NAME, "0"))


class LargeTableMixin:
    """Put before ModelAdmin: a list that may have a million rows. Sort it only by columns that have an index."""

    # The name of the rows in the count below the list; by default the name of the list.
    rows_name: str | Promise = ""
    # Columns of related rows that have an index for the order of this list, each with its key: see `keyset.Order`.
    related_orders: ClassVar[Mapping[str, str]] = {}
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    # Unfold's template reads these for every row, and a missing attribute costs more than a value.
    list_sections: ClassVar[Sequence[Any]] = ()
    list_sections_classes = ""

    def may_lack_related(self) -> bool:
        """Whether some rows may have no related row of `related_orders` yet."""
        return False

    @admin.display(description=ModelAdmin.action_checkbox.short_description)
    def action_checkbox(self, obj: Model) -> SafeString:
        """Rendered once. A template for each row would take a tenth of the time of the page."""
        return SafeString(_box(get_language()).replace('value="0"', f'value="{int(obj.pk)}"'))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PagedChangeList]:
        return PagedChangeList


class ReadOnlyAdmin(LargeTableMixin, ReadOnlyPermissionsMixin, ModelAdmin):
    """Records with a page of their own template."""

    actions: Sequence[str] | None = None
    # The template renders the page from `page_context`.
    fieldsets = ((None, {"fields": ()}),)

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """The context of this row for the template of the page."""
        return {}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Model | None = None, **kwargs: Any
    ) -> HttpResponse:
        if obj is not None:
            context.update({"title": capfirst(self.opts.verbose_name), **self.page_context(request, obj)})
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)


def signed_in(request: HttpRequest) -> User:
    """The signed-in user. The admin lets nobody else in; this refuses an anonymous user once more."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


class WarningMessage(str):
    """The message of a successful action after which something has to be repaired."""

    __slots__ = ()


def run_and_report(request: HttpRequest, action: Callable[[], str], *, refusals: tuple[type[Exception], ...]) -> bool:
    """Run `action`, and show the message that it returns, or the refusal. Returns whether it succeeded."""
    try:
        message = action()
    except refusals as error:
        messages.error(request, sentence_of(error))
        return False
    level = messages.WARNING if isinstance(message, WarningMessage) else messages.SUCCESS
    messages.add_message(request, level, translated(message))
    return True


def sentence_of(error: Exception) -> str:
    """The text of a refusal, in the language of the reader. Errors of a connector are English."""
    return translated(" ".join(error.messages) if isinstance(error, ValidationError) else str(error))


def refuse_unless_post(request: HttpRequest, permission: str) -> HttpResponse | None:
    """None for a POST by a user with the permission: a link or a prefetch must not change anything."""
    if not request.user.has_perm(permission):
        raise PermissionDenied
    return None if request.method == "POST" else HttpResponseNotAllowed(["POST"])
