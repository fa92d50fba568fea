"""The protected people of a profile as one CSV file: written, and read as a whole or not at all."""

from __future__ import annotations

import csv
from io import StringIO
from typing import Annotated, Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Schema
from pydantic import Field

from integrations.models import IntegrationProfile
from licensehub.api.acts import once
from licensehub.api.acts.profiles import PROTECT, Protected, allowed, protected
from licensehub.api.problems import Problem
from licensehub.api.reading.rows import Id, one_for, rows_for
from licensehub.api.router import router
from licensehub.ui.csv_file import harmless
from subscriptions.models import Protection, ProtectionKind
from subscriptions.rules import protect_many
from subscriptions.rules.protect_many import Outcome, Plan
from subscriptions.rules.protection_lines import COLUMNS, MAX_BYTES, read_lines
from subscriptions.rules.protections import ProtectionInput

TAGS = ["Records"]
# Problems in one answer.
MAX_PROBLEMS = 100


class ProtectionFile(Schema):
    """Lines with address (or the vendor's id), reason, owner and end, as the page *Protect many people* reads them.

    `reason` and `owner` fill the lines that have none.
    """

    text: Annotated[str, Field(min_length=1, max_length=MAX_BYTES)]
    reason: Annotated[str, Field(max_length=500)] = ""
    owner: Annotated[str, Field(max_length=150)] = ""


class FileOut(Schema):
    people: int
    text: str


@router.get("/profiles/{pk}/protected-people", tags=TAGS, response=FileOut, summary="The protected people as CSV")
def protection_file(request: HttpRequest, pk: Id) -> Any:
    """Protections of people that are in force. Domains, license types and roles are not in the file."""
    profile = one_for(request, IntegrationProfile, pk)
    seen = rows_for(request, Protection).filter(profile=profile, kind=ProtectionKind.PERSON)
    rows = Protection.objects.in_force().filter(pk__in=seen.values("pk")).order_by("value", "external_id", "pk")
    text, count = StringIO(), 0
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows.iterator():
        end = timezone.localtime(row.ends_at, timezone.get_default_timezone()).date() if row.ends_at else ""
        cells = (row.value or row.external_id, row.reason, row.owner, end)
        writer.writerow([harmless(cell) for cell in cells])
        count += 1
    return {"people": count, "text": text.getvalue()}


@router.post("/profiles/{pk}/protected-people", tags=TAGS, response=Protected, summary="Protect the people of a file")
def protect_file(request: HttpRequest, pk: Id, sent: ProtectionFile) -> Any:
    """All lines or none. People who are protected already are counted in `already`, so it may be repeated."""
    caller, profile = allowed(request, PROTECT), one_for(request, IntegrationProfile, pk)

    def act() -> Protected:
        lines = read_lines(sent.text)
        plan = protect_many.plan(profile, lines, ProtectionInput(sent.reason, sent.owner))
        _refuse_unreadable(plan)
        effect = protect_many.protect_many(profile, plan, actor=caller.user)
        return protected(effect, already=len(plan.of(Outcome.ALREADY)))

    return once.do(request, act)


def _refuse_unreadable(plan: Plan) -> None:
    if wrong := plan.of(Outcome.UNREADABLE):
        errors = [{"place": f"line {one.line.number}", "detail": one.note} for one in wrong[:MAX_PROBLEMS]]
        detail = f"{len(wrong)} lines cannot be read, so nobody was protected. `errors` lists them with their numbers."
        raise Problem(422, "unreadable_lines", detail, errors=errors)
