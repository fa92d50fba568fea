"""Everything that is held on one person, as a zip: `data.json` for programs and `data.html` to read.

Colleagues who asked or decided are not named: they are other people. The audit log has their names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import IO, Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, Row, record_rows
from licensehub.audit.models import AuditEvent
from subscriptions.evidence.archive import Archive
from subscriptions.models import AccountPerson, DownloadedMember, DownloadedPerson, Subscription
from subscriptions.privacy.person import Person

FORMAT = "licensehub-person-export-1"
as_json = json.JSONEncoder(ensure_ascii=False, indent=2, sort_keys=True, default=DjangoJSONEncoder().default).encode
OF_ACCOUNT = ("username", "first_name", "last_name", "email", "is_active", "date_joined", "last_login")
# Secrets, marks of processes, and colleagues.
LEFT_OUT = frozenset(
    {"password", "token", "lease_until", "signature", "created_by", "ended_by", "dropped_by", "linked_by"}
)
SECTIONS: dict[str, str | Promise] = {
    "facts": gettext_lazy("Facts from the vendor and the directory"),
    "past_activity": gettext_lazy("Former values of these facts"),
    "candidates": gettext_lazy("Removal candidates, with the evidence of that time"),
    "requests": gettext_lazy("Requests in which the person is, and the answers"),
    "mails": gettext_lazy("Mails to the person"),
    "reclaims": gettext_lazy("Seats that were taken or given back"),
    "protections": gettext_lazy("Protections that name the person"),
    "downloads": gettext_lazy("Downloads that are not finished"),
    "accounts": gettext_lazy("Accounts of LicenseHub"),
    "events": gettext_lazy("Events of the audit log about the person"),
}


def held_on(person: Person) -> dict[str, list[dict[str, Any]]]:
    """Section -> its rows. A section without rows is empty: nothing of this kind is held."""
    staged = [
        row
        for model in (DownloadedMember, DownloadedPerson)
        for row in _rows(model._default_manager.filter(external_id__in=person.external_ids))
    ]
    links = AccountPerson.objects.filter(external_id__in=person.external_ids)
    return {
        "facts": list(_rows(Subscription.objects.filter(pk__in=person.ids).order_by("-pk"))),
        "past_activity": [row for snapshots in person.snapshots for row in _rows(snapshots)],
        "candidates": list(_rows(person.candidates)),
        "requests": list(_rows(person.removals)),
        "mails": list(_rows(person.notices)),
        "reclaims": list(_rows(person.reclaims)),
        "protections": list(_rows(person.protections)),
        "downloads": staged,
        "accounts": [*person.accounts.values(*OF_ACCOUNT), *_rows(links)],
        "events": list(_events(person)),
    }


def _rows(rows: QuerySet[Any]) -> Iterator[dict[str, Any]]:
    """The values of all columns; of a relation its id."""
    names = [field.name for field in rows.model._meta.concrete_fields if field.name not in LEFT_OUT]
    names = [name for name in names if not isinstance(rows.model._meta.get_field(name), models.CompositePrimaryKey)]
    yield from rows.values(*names).iterator(chunk_size=2000)


def _events(person: Person) -> Iterator[dict[str, Any]]:
    columns = ("sequence", "at", "action", "target_type", "target_id", "target_label", "data")
    for kind, ids in person.targets().items():
        yield from AuditEvent.objects.filter(target_type=kind, target_id__in=ids).order_by("sequence").values(*columns)


def export_person(row: Subscription, file: IO[bytes], *, language: str, actor: Actor) -> str:
    """Write the zip, and record that it was made. Returns the name for the file."""
    person = Person.of(row)
    data = held_on(person)
    with Archive(file, {"format": FORMAT, "external_id": row.external_id, "language": language}) as archive:
        archive.add("data.json", [as_json(data), "\n"])
        with translation.override(language):
            archive.add("data.html", [_page(row, data)])
    with transaction.atomic():
        event = Row(Subscription._meta.label_lower, row.pk, str(row), {"manifest_sha256": archive.manifest_digest})
        record_rows(Action.PERSON_EXPORTED, actor=actor, rows=[event])
    return f"person-{row.external_id}.zip"


def _page(row: Subscription, data: dict[str, list[dict[str, Any]]]) -> str:
    sections = [(str(title), [_lines(entry.items()) for entry in data[name]]) for name, title in SECTIONS.items()]
    title = _("Data on {person}").format(person=row.display_name)
    return render_to_string("privacy/person.html", {"title": title, "sections": sections, "language": get_language()})


def _lines(values: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    """The values that are not empty. The names of columns stay English."""
    return [
        (
            name.replace("_", " "),
            value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False),
        )
        for name, value in values
        if value not in (None, "", [], {})
    ]
