"""Saved views: filters, search, order and columns of a list under a name, private to their owner or shared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.database.clock import database_now
from licensehub.ui.lists.address import COLUMNS_VAR, VIEW_VAR, query_of
from licensehub.ui.models import SavedView

SHARE = "ui.share_savedview"
# For one list and one owner, so that the menu stays short.
MAX_VIEWS = 50


class ViewRefused(Exception):
    """A view was not saved, changed or deleted. Its text is shown to the person."""


def visible_views(user: User) -> QuerySet[SavedView]:
    """The user's own views, and those that others share."""
    return SavedView.objects.filter(Q(owner=user) | Q(shared=True)).select_related("owner")


def address_of(view: SavedView) -> str:
    """The parameters that open the view. It has columns, so that a later choice of columns does not change it."""
    return f"?{urlencode([*parse_qsl(view.query), (COLUMNS_VAR, ','.join(view.columns)), (VIEW_VAR, view.pk)])}"


def create_view(
    of_list: str, name: str, address: str, columns: Sequence[str], *, shared: bool, actor: User
) -> SavedView:
    """Save a new view. Raises ViewRefused."""
    row = SavedView(
        of_list=of_list,
        name=_name(name),
        owner=actor,
        shared=shared,
        query=_query(address),
        columns=[*columns],
    )
    _may_share(actor, shared)
    if SavedView.objects.filter(owner=actor, of_list=of_list).count() >= MAX_VIEWS:
        sentence = _("You have {count} views of this list already. Delete one first. Nothing was saved.")
        raise ViewRefused(sentence.format(count=MAX_VIEWS))
    try:
        with transaction.atomic():
            row.save()
            if shared:
                _record(Action.VIEW_SHARED, row, actor)
    except IntegrityError as error:
        raise _taken(row.name) from error
    return row


def replace_view(row: SavedView, address: str, columns: Sequence[str], *, actor: User) -> None:
    """Let the view show what its owner sees now. Raises ViewRefused."""
    _write(row, Action.VIEW_CHANGED, actor, query=_query(address), columns=[*columns])


def rename_view(row: SavedView, name: str, *, actor: User) -> None:
    """Give the view another name. Raises ViewRefused."""
    new = _name(name)
    try:
        _write(row, Action.VIEW_CHANGED, actor, name=new)
    except IntegrityError as error:
        raise _taken(new) from error


def share_view(row: SavedView, shared: bool, *, actor: User) -> None:
    """Share a view, or stop that. Raises ViewRefused."""
    _may_share(actor, shared)
    _write(row, Action.VIEW_SHARED if shared else Action.VIEW_UNSHARED, actor, always=True, shared=shared)


def delete_view(row: SavedView, *, actor: User) -> None:
    """Delete the actor's own view, or a shared one if the actor may share: its owner may have left.

    Raises ViewRefused.
    """
    mine = SavedView.objects.filter(pk=row.pk, owner=actor)
    rows = mine | SavedView.objects.filter(pk=row.pk, shared=True) if actor.has_perm(SHARE) else mine
    with transaction.atomic():
        was = rows.select_for_update().first()
        if was is None:
            raise _not_yours()
        if was.shared:
            _record(Action.VIEW_DELETED, was, actor)
        was.delete()


def _write(row: SavedView, action: Action, actor: User, *, always: bool = False, **values: Any) -> None:
    """Change the view with one guarded UPDATE.

    The audit log gets an event for shared views, and none for private ones.
    """
    with transaction.atomic():
        if SavedView.objects.filter(pk=row.pk, owner=actor).update(**values, changed_at=database_now()) != 1:
            raise _not_yours()
        row.refresh_from_db()
        if always or row.shared:
            _record(action, row, actor)


def _record(action: Action, row: SavedView, actor: User) -> None:
    data = {"list": row.of_list, "query": row.query, "columns": row.columns, "owner": row.owner.get_username()}
    record(action, actor=actor, target=row, data=data)


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name:
        raise ViewRefused(_("Enter a name for the view. Nothing was saved."))
    if len(name) > SavedView.MAX_NAME:
        raise ViewRefused(
            _("The name of a view has at most {count} characters. Nothing was saved.").format(count=SavedView.MAX_NAME)
        )
    return name


def _query(address: str) -> str:
    query = query_of(address)
    if len(query) > SavedView.MAX_QUERY:
        raise ViewRefused(_("The filters and the search of this list are too long for a view. Nothing was saved."))
    return query


def _may_share(actor: User, shared: bool) -> None:
    if shared and not actor.has_perm(SHARE):
        raise ViewRefused(_("Your role may not share views. Nothing was saved."))


def _taken(name: str) -> ViewRefused:
    return ViewRefused(_("You already have a view “{name}” of this list. Choose another name.").format(name=name))


def _not_yours() -> ViewRefused:
    return ViewRefused(_("Only its owner may do this with a view. Nothing was changed."))
