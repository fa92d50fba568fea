"""The values of one kind of row as the events have them. `signed_fields` has the list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model, QuerySet

from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent

Values = dict[str, Any]
Says = Callable[[AuditEvent], Values]


class Always:
    """An event that says these values by its action."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    def __call__(self, event: AuditEvent) -> Values:
        return self._values


class ByActor:
    """An event that says its actor's id under this name, and these values by its action."""

    def __init__(self, name: str, **values: Any) -> None:
        self._name, self._values = name, values

    def __call__(self, event: AuditEvent) -> Values:
        return {self._name: event.actor_id, **self._values}


@dataclass(frozen=True, slots=True)
class SignedTable:
    """One kind of row. `says`: what an event says about its subject, by action. `shown`: the row's values, by field.

    `begins`: the actions that make a row; none for rows that may have no event, e.g. accounts of an installation.
    `may_say`: the fields of which an event may say the value, by action; all fields for an action that is not in it.
    `without_text`: what an event says whose text was erased, where this is less than with it.
    `about`: the subject of the events, which has the id of the row, if it is another model.
    """

    model: type[Model]
    shown: Callable[[Any], Values]
    says: Mapping[Action, Says]
    begins: frozenset[Action] = frozenset()
    prefetch: tuple[str, ...] = ()
    about: type[Model] | None = None
    may_say: Mapping[Action, frozenset[str]] = field(default_factory=dict)
    without_text: Mapping[Action, Says] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return self.model._meta.label_lower

    @property
    def subject(self) -> str:
        return (self.about or self.model)._meta.label_lower

    def said_by(self, event: AuditEvent) -> Values:
        """The values that a genuine event says: those of its action and its actor alone, if its text was erased."""
        action = Action(event.action)
        if event.salt:
            return self.says[action](event)
        says = self.without_text.get(action, self.says[action])
        return says(event) if isinstance(says, Always | ByActor) else {}

    def rows(self) -> QuerySet[Any]:
        rows: QuerySet[Any] = self.model._default_manager.all()
        return rows.prefetch_related(*self.prefetch)
