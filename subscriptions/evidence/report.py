"""The readable report of a pack: what it holds, and its tables, for HTML and for PDF.

It says nothing of the moment at which it is made, so that the same state gives the same report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from licensehub.audit.chain.offline_verifier import ANCHORS_FILE, EVENTS_FILE, KEYS_FILE
from licensehub.translations.stored import translated
from licensehub.ui.formatting import EMPTY, day_and_time, number
from subscriptions.company.company import company
from subscriptions.evidence.archive import MANIFEST, SIGNATURE
from subscriptions.evidence.controls import CONTROLS, LIMITS
from subscriptions.evidence.extract import VERIFIER
from subscriptions.evidence.scope import Scope, Subject
from subscriptions.evidence.tables import TABLES, Field

# The files of a pack besides the tables.
OTHER_FILES = (
    (
        EVENTS_FILE,
        gettext_lazy(
            "The events of the audit that belong to this pack. Events between them are in it as digests only."
        ),
    ),
    (ANCHORS_FILE, gettext_lazy("The anchors that prove these events.")),
    (KEYS_FILE, gettext_lazy("Our public keys. Compare them with the keys that you got in another way.")),
    (VERIFIER, gettext_lazy("The verifier. It needs Python and the package cryptography, and nothing of LicenseHub.")),
    (f"{MANIFEST}, {SIGNATURE}", gettext_lazy("The SHA-256 of each file, and the signature of this list.")),
)
# A table of the report shows at most so many rows; the file has all.
MAX_ROWS = 5000


@dataclass(frozen=True, slots=True)
class ShownTable:
    title: str
    says: str
    file: str
    headers: list[str]
    rows: list[list[str]]
    # Rows of the file that are not shown here.
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class ShownControl:
    name: str
    topic: str
    says: str
    files: list[str]


@dataclass(frozen=True, slots=True)
class Report:
    """All texts are in the language of the reader. `facts` are pairs of a label and a value."""

    title: str
    language: str
    company: str
    facts: list[tuple[str, str]]
    controls: list[ShownControl]
    limits: str
    files: list[tuple[str, str]]
    tables: list[ShownTable] = field(default_factory=list)

    def as_html(self) -> str:
        return render_to_string("evidence/report.html", {"report": self})


def report_of(scope: Scope, facts: list[tuple[str, str]], counts: Mapping[str, int]) -> Report:
    """`counts`: how many rows each file of `TABLES` has. Call it in the language and the time zone of the report."""
    files = [(table.file, str(table.says)) for table in TABLES]
    return Report(
        title=title_of(scope),
        language=get_language() or "en",
        company=company().name,
        facts=[*subject_facts(scope), *facts],
        controls=[ShownControl(one.name, str(one.topic), str(one.says), list(one.files)) for one in CONTROLS],
        limits=str(LIMITS),
        files=[*files, *((name, str(says)) for name, says in OTHER_FILES)],
        tables=[_shown(table, scope, counts[table.file]) for table in TABLES if table.shown],
    )


def title_of(scope: Scope) -> str:
    if scope.subject == Subject.REQUEST:
        return _("Evidence for request {request}").format(request=scope.name)
    if scope.subject == Subject.PERSON:
        return _("Evidence for one person")
    return _("Evidence for a period")


def subject_facts(scope: Scope) -> list[tuple[str, str]]:
    if scope.subject == Subject.PERSON and scope.target:
        vendor_id = scope.target.external_id  # type: ignore[attr-defined]  # a Subscription
        return [(_("Person"), str(scope.target)), (_("Vendor ID"), vendor_id)]
    if scope.subject == Subject.PERIOD:
        first, last = scope.name.split("-to-")
        return [(_("First day"), first), (_("Last day"), last)]
    return [(_("Request"), scope.name)]


def _shown(table: Any, scope: Scope, count: int) -> ShownTable:
    rows = [[_text(one, row) for one in table.shown] for row in islice(table.rows(scope), MAX_ROWS)]
    left = count - len(rows)
    left_out = _("{count} more rows are in {file}.").format(count=number(left), file=table.file) if left > 0 else ""
    return ShownTable(
        str(table.title), str(table.says), table.file, [str(one.label) for one in table.shown], rows, left_out
    )


def _text(one: Field, row: Any) -> str:
    value: Any | Promise = one.value(row)
    if value is None or value == "":
        return EMPTY
    if isinstance(value, datetime):
        return day_and_time(value)
    if isinstance(value, int):
        return number(value)
    return translated(str(value)) if one.sentence else str(value)
