"""One difference between a row and the audit, and its sentence.

The sentences are stored with the result of a verification, so they are English. A page shows them `translated`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib.auth.models import User
from django.core.exceptions import FieldDoesNotExist

from integrations.connectors.contract import english
from licensehub.translations.stored import in_english
from licensehub.ui.names import account_of

# Findings about the row as a whole: it was inserted or deleted, or an event about it was changed.
ROW, EVENT = "row", "event"
NEVER_MADE, GONE, CHANGED_EVENT = "inserted", "deleted", "changed"

INSERTED = english("{what} was made outside of LicenseHub: the audit has no event about it.")
DELETED = english("{what} was deleted outside of LicenseHub: the last event of the audit about it is {event}.")
EVENT_CHANGED = english("{what}: event {event} of the audit about it was changed outside of LicenseHub.")
DIFFERS = english("{what} was changed outside of LicenseHub: {field} (event {event}).")
OTHER_VALUE = english(
    "{what} was changed outside of LicenseHub: {field} is “{shown}”, the signed version says “{signed}”."
)
NOTHING, YES, NO = english("nothing"), english("yes"), english("no")
LABELS = {
    "active": english("active"),
    "answer": english("answer"),
    "by_license": english("thresholds of license types"),
    "cap": english("cap"),
    "cap_raised_by_id": english("who raised the cap"),
    "cap_reason": english("reason of the raised cap"),
    "comment": english("comment"),
    "created_by_id": english("who protected it"),
    "decided_at": english("moment of the decision"),
    "decided_by_id": english("who decided"),
    "digest": english("what was requested, or the people in it"),
    "dropped": english("dropped"),
    "dropped_by_id": english("who dropped the person"),
    "email": english("e-mail address"),
    "ended": english("ended"),
    "ended_by_id": english("who ended it"),
    "ends_at": english("end"),
    "held": english("held"),
    "http_status": english("answer of the vendor"),
    "last_activity_threshold": english("last activity threshold"),
    "name": english("name"),
    "outcome": english("outcome"),
    "owner": english("owner"),
    "people": english("the people in it, or their evidence"),
    "read_back": english("what was read back"),
    "reason": english("reason"),
    "reclaim_enabled": english("reclaim subscriptions"),
    "requested_by_id": english("who requested it"),
    "roles": english("roles"),
    "sending_stopped": english("sending stopped"),
    "signature": english("signature of the approval"),
    "state": english("state"),
    "stopped": english("all sending stopped"),
    "superuser": english("superuser"),
    "username": english("user name"),
    "valid_until": english("end of the validity"),
    "value": english("what is protected"),
    "version": english("version"),
}
# Two digests tell a reader nothing.
WITHOUT_VALUES = ("digest", "people", "signature")
MAX_VALUE = 80


@dataclass(frozen=True, slots=True)
class RowFinding:
    """One value of a row that differs from the newest signed event. `sequence` is that event; None without one.

    `model` is the label of the model, e.g. `auth.user`. `field` is a field of it, ROW or EVENT, or the digest of what
    belongs to it: `people` and `digest` of a request.
    """

    model: str
    pk: int
    field: str
    shown: Any
    signed: Any
    sequence: int | None

    @property
    def sentence(self) -> str:
        """`Reclaim 3 was changed outside of LicenseHub: state is “done”, the signed version says “skipped”.`"""
        model = apps.get_model(self.model)
        what = f"{in_english(model._meta.verbose_name or '').capitalize()} {self.pk}"
        values = {"what": what, "event": self.sequence, "field": self._label}
        values |= {"shown": _value(self.field, self.shown), "signed": _value(self.field, self.signed)}
        return self._template().format(**values)

    @property
    def versions(self) -> tuple[str, str, str] | None:
        """The field in words, what the signed event says, and what the row says now; None if they tell nothing.

        They are English, so a page shows them `translated`.
        """
        if self._template() is not OTHER_VALUE:
            return None
        signed, shown = _value(self.field, self.signed), _value(self.field, self.shown)
        return self._label, signed, shown

    @property
    def _label(self) -> str:
        if known := LABELS.get(self.field):
            return known
        try:
            column = apps.get_model(self.model)._meta.get_field(self.field)
        except FieldDoesNotExist:
            return self.field
        return in_english(getattr(column, "verbose_name", self.field))

    def _template(self) -> str:
        if self.field == ROW:
            return DELETED if self.signed == GONE else INSERTED
        if self.field == EVENT:
            return EVENT_CHANGED
        return DIFFERS if self.field in WITHOUT_VALUES else OTHER_VALUE


def _value(field: str, value: Any) -> str:
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return YES if value else NO
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or NOTHING
    if field.endswith("_by_id"):
        user = User.objects.filter(pk=value).first()
        return account_of(user) if user else f"#{value}"
    return str(value)[:MAX_VALUE]
