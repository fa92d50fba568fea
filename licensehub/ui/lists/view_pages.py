"""The pages that change the columns and the saved views of a list. All lists that export have them."""

from __future__ import annotations

from copy import copy
from typing import Any

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from licensehub.ui.admin import signed_in
from licensehub.ui.lists import saved_views
from licensehub.ui.lists.address import COLUMNS_VAR, VIEW_VAR, query_of
from licensehub.ui.lists.columns import ColumnsMixin, choose_columns
from licensehub.ui.lists.id_filter import is_id
from licensehub.ui.lists.saved_views import ViewRefused
from licensehub.ui.models import SavedView


class ViewsMixin(ColumnsMixin):
    """Adds the menus *Views* and *Columns*, which are in templates/admin/list_columns.html and list_views.html."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("views/", view(self.views_menu), name=f"{self.of_list}_views"),
            path("views/save/", view(self.save_view), name=f"{self.of_list}_save_view"),
            path("columns/", view(self.save_columns), name=f"{self.of_list}_columns"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Find the saved view that `view` in the address names, and whether the list differs from it."""
        asked = request.GET.get(VIEW_VAR, "")
        view = self._visible(request, asked) if asked else None
        if asked and view is None:
            messages.warning(request, _("This view does not exist any more, or it is private to somebody else."))
            rest = request.GET.copy()
            del rest[VIEW_VAR]
            return HttpResponseRedirect(f"{request.path}?{rest.urlencode()}")
        if view and set(request.GET) == {VIEW_VAR}:
            return HttpResponseRedirect(f"{request.path}{saved_views.address_of(view)}")
        more = {"view": view, "view_changed": view is not None and self._differs(request, view)}
        return super().changelist_view(request, {**(extra_context or {}), **more})

    def _differs(self, request: HttpRequest, view: SavedView) -> bool:
        shown = self.get_list_display(request)
        return query_of(request.GET.urlencode()) != view.query or shown != self.known_columns(request, view.columns)

    def _visible(self, request: HttpRequest, pk: str) -> SavedView | None:
        if not isinstance(request.user, User) or not is_id(pk):
            return None
        return saved_views.visible_views(request.user).filter(of_list=self.of_list, pk=int(pk)).first()

    def _reader(self, request: HttpRequest) -> User:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return signed_in(request)

    def views_menu(self, request: HttpRequest) -> HttpResponse:
        """The menu *Views*. It is read when somebody opens it, with the parameters of the list."""
        user = self._reader(request)
        view = self._visible(request, request.GET.get(VIEW_VAR, ""))
        views = saved_views.visible_views(user).filter(of_list=self.of_list)
        named = [{"view": row, "url": saved_views.address_of(row), "mine": row.owner_id == user.pk} for row in views]
        context = {
            "views": named,
            "list_url": reverse(f"admin:{self.of_list}_changelist"),
            "save_url": reverse(f"admin:{self.of_list}_save_view"),
            "view": view,
            "is_mine": view is not None and view.owner_id == user.pk,
            "is_changed": view is not None and self._differs(request, view),
            "may_share": user.has_perm(saved_views.SHARE),
            "address": request.GET.urlencode(),
            "columns": ",".join(self.get_list_display(request)),
            "max_name": SavedView.MAX_NAME,
        }
        return TemplateResponse(request, "admin/list_views.html", context)

    def save_view(self, request: HttpRequest) -> HttpResponse:
        """Do what a button of the menu asks for; `do` names the button."""
        user = self._reader(request)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        here = f"{reverse(f'admin:{self.of_list}_changelist')}?{query_of(request.POST.get('address', ''))}"
        try:
            view, done = self._do(request, user)
        except ViewRefused as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(here)
        messages.success(request, done)
        return HttpResponseRedirect(f"{here.partition('?')[0]}{saved_views.address_of(view)}" if view else here)

    def _do(self, request: HttpRequest, user: User) -> tuple[SavedView | None, str]:
        """The view that is shown afterwards, and what was done. Raises ViewRefused."""
        given, do = request.POST, request.POST.get("do", "")
        address = given.get("address", "")
        columns = self.known_columns(request, given.get("columns", "").split(","))
        if do in ("create", "replace"):
            self._check(request, address)
        if do == "create":
            name, shared = given.get("name", ""), given.get("shared") == "on"
            made = saved_views.create_view(self.of_list, name, address, columns, shared=shared, actor=user)
            return made, _("The view “{name}” is saved.").format(name=made)
        view = self._visible(request, given.get("view", ""))
        if view is None:
            raise ViewRefused(_("This view does not exist any more. Nothing was changed."))
        if do == "replace":
            saved_views.replace_view(view, address, columns, actor=user)
            return view, _("The view “{name}” now shows what you see.").format(name=view)
        if do == "rename":
            saved_views.rename_view(view, given.get("name", ""), actor=user)
            return view, _("The view is called “{name}” now.").format(name=view)
        if do in ("share", "unshare"):
            saved_views.share_view(view, do == "share", actor=user)
            if view.shared:
                return view, _("Everybody who may see this list can use the view “{name}” now.").format(name=view)
            return view, _("Only you see the view “{name}” now.").format(name=view)
        if do == "delete":
            saved_views.delete_view(view, actor=user)
            return None, _("The view “{name}” is deleted.").format(name=view)
        raise ViewRefused(_("Choose what to do with the view. Nothing was changed."))

    def _check(self, request: HttpRequest, address: str) -> None:
        """Refuse a view that the list cannot show. Raises ViewRefused."""
        probe = copy(request)
        probe.GET = QueryDict(query_of(address))
        try:
            self.get_changelist_instance(probe)
        except (IncorrectLookupParameters, SuspiciousOperation) as error:
            raise ViewRefused(_("This list does not know these filters. Nothing was saved.")) from error

    def save_columns(self, request: HttpRequest) -> HttpResponse:
        """Show the menu; a POST stores its columns for this account. Columns in the address of the list are removed."""
        user = self._reader(request)
        if request.method != "POST":
            save_url = reverse(f"admin:{self.of_list}_columns")
            context = {"chooser": self.chooser(request), "address": request.GET.urlencode(), "save_url": save_url}
            return TemplateResponse(request, "admin/list_columns.html", context)
        chosen = self.known_columns(request, request.POST.getlist("column")) if "reset" not in request.POST else []
        choose_columns(user, self.of_list, chosen)
        rest = QueryDict(request.POST.get("address", ""), mutable=True)
        rest.pop(COLUMNS_VAR, None)
        if VIEW_VAR in rest and chosen:
            # A view has columns of its own. The choice counts for this page, and the view can be saved with it.
            rest[COLUMNS_VAR] = ",".join(chosen)
        return HttpResponseRedirect(f"{reverse(f'admin:{self.of_list}_changelist')}?{rest.urlencode()}")
