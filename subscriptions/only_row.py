"""Save settings of the whole installation, and never over a change that the person has not seen."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from licensehub.database.clock import database_now
from subscriptions.errors import NotActionable
from subscriptions.models.installation import OnlyRow


def check_version(row: OnlyRow, seen: int) -> None:
    """`seen` is the version that the person saw, 0 for none. Raises NotActionable when it is another one by now."""
    if row.version != seen:
        raise _changed_meanwhile()


def save_only_row(model: type[OnlyRow], values: Mapping[str, object], *, seen: int, actor: User) -> None:
    """One guarded statement. Raises NotActionable when somebody else was faster."""
    values = {**values, "version": seen + 1, "changed_by": actor, "changed_at": database_now()}
    if seen:
        saved = model._default_manager.filter(pk=model.ONLY, version=seen).update(**values) == 1
    else:
        _row, saved = model._default_manager.get_or_create(pk=model.ONLY, defaults=values)
    if not saved:
        raise _changed_meanwhile()


def _changed_meanwhile() -> NotActionable:
    return NotActionable(_("Somebody has changed this page meanwhile. Look at it again. Nothing was changed."))
