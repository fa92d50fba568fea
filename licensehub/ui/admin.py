"""What all admin pages here share: read-only models, acts behind POST, refusals as one message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from unfold.admin import ModelAdmin, checkbox

from licensehub.ui.lists.changelist import NamedChangeList, PagedChangeList


class NoShowAllChangeList(NamedChangeList):
    """Says nothing of “Show all” where all is shown already."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count


class ReadOnlyPermissionsMixin:
    """Put before ModelAdmin: records are made by the plain functions only, and by nobody in the admin."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@cache
def _box() -> str:
    return str(checkbox.render(ACTION_CHECKBOX_NAME, "0"))


class LargeTableMixin:
    """Put before ModelAdmin: a list that may have a million rows. Sort it by columns of an index only."""

    # How the count below the list calls its rows; without it, by the name of the list.
    rows_name = ""
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    # Unfold's template asks for these with every row, and a miss costs more than the answer.
    list_sections: ClassVar[Sequence[Any]] = ()
    list_sections_classes = ""

    @admin.display(description=ModelAdmin.action_checkbox.short_description)
    def action_checkbox(self, obj: Model) -> SafeString:
        """Drawn once, since a template of its own in every row takes a tenth of the page."""
        return SafeString(_box().replace('value="0"', f'value="{int(obj.pk)}"'))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PagedChangeList]:
        return PagedChangeList


class ReadOnlyAdmin(LargeTableMixin, ReadOnlyPermissionsMixin, ModelAdmin):
    """Records whose page is a template of its own."""

    actions = None
    # The page is drawn by its template, from `page_context`.
    fieldsets = ((None, {"fields": ()}),)

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What the page's template needs to know about this row."""
        return {}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Model | None = None, **kwargs: Any
    ) -> HttpResponse:
        if obj is not None:
            context.update({"title": capfirst(self.opts.verbose_name), **self.page_context(request, obj)})
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)


def signed_in(request: HttpRequest) -> User:
    """Who acts. The admin lets nobody else come this far; a guest who did is refused."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


class WarningMessage(str):
    """The sentence of an act that was done, and left something to repair."""

    __slots__ = ()


def run_and_report(request: HttpRequest, act: Callable[[], str], *, refusals: tuple[type[Exception], ...]) -> bool:
    """Do it, and say what came of it in one message. `act` gives back the sentence for success."""
    try:
        done = act()
    except refusals as error:
        messages.error(request, sentence_of(error))
        return False
    messages.add_message(request, messages.WARNING if isinstance(done, WarningMessage) else messages.SUCCESS, done)
    return True


def sentence_of(error: Exception) -> str:
    """The sentence of a refusal."""
    return " ".join(error.messages) if isinstance(error, ValidationError) else str(error)


def refuse_unless_post(request: HttpRequest, permission: str) -> HttpResponse | None:
    """A link, a prefetch or a stranger must not act."""
    if not request.user.has_perm(permission):
        raise PermissionDenied
    return None if request.method == "POST" else HttpResponseNotAllowed(["POST"])
