"""The reclaim rule of a profile, and how many people another one would find."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from django.http import Http404, HttpRequest
from ninja import Schema
from pydantic import Field

from licensehub.api.reading.rows import Id, rows_for
from licensehub.api.router import router
from subscriptions.admin.rules.rule_preview import by_saved_rule, difference
from subscriptions.eligibility.preview import preview_rule
from subscriptions.eligibility.terms import COLUMNS, Terms
from subscriptions.models import AdminRoles, NeverActive, ReclaimRule, Verdict
from subscriptions.rules.rules import terms_of

TAGS = ["Rules"]
Days = Annotated[int, Field(ge=1, le=3650)]
Word = Annotated[str, Field(min_length=1, max_length=40)]


class RuleOut(Schema):
    """`terms` are all fields of the rule; `by_license` among them has the thresholds of license types in days."""

    profile: int
    version: int
    changed_at: datetime
    terms: dict[str, Any]


class OtherTerms(Schema):
    """The terms to try. What is null stays as in the saved rule."""

    last_activity_threshold: Days | None = None
    licenses: Annotated[list[Word], Field(max_length=50)] | None = None
    new_joiner_grace: Annotated[int, Field(ge=0, le=3650)] | None = None
    never_active: NeverActive | None = None
    admin_roles: AdminRoles | None = None
    by_license: Annotated[dict[Word, Days], Field(max_length=50)] | None = None


class PreviewOut(Schema):
    """People by verdict, by the saved rule and by these terms. `counted_at` is when the people were counted."""

    sentence: str
    candidates_before: int
    candidates_after: int
    before: dict[str, int]
    after: dict[str, int]
    counted_at: datetime


def _rule(request: HttpRequest, profile: int) -> ReclaimRule:
    row = rows_for(request, ReclaimRule).filter(profile=profile).first()
    if row is None:
        raise Http404
    return row


@router.get("/profiles/{pk}/rule", tags=TAGS, response=RuleOut, summary="The reclaim rule of a profile")
def rule(request: HttpRequest, pk: Id) -> Any:
    """A profile that was never published has none."""
    row = _rule(request, pk)
    return {"profile": row.profile_id, "version": row.version, "changed_at": row.changed_at, "terms": terms_of(row)}


@router.post("/profiles/{pk}/rule/preview", tags=TAGS, response=PreviewOut, summary="Preview another rule")
def preview(request: HttpRequest, pk: Id, sent: OtherTerms) -> Any:
    """Nothing is changed. The rule itself is changed in the browser, or by `licensehub apply`."""
    row = _rule(request, pk)
    saved = Terms.of(row)
    given = {name: getattr(sent, column) for name, column in COLUMNS.items()} | {"by_license": sent.by_license}
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    wanted = replace(saved, **{name: value for name, value in given.items() if value is not None})
    before = by_saved_rule(row, saved)
    after = before if wanted == saved else preview_rule(row.profile, wanted)
    return {
        "sentence": difference(before.verdicts, after.verdicts, saved, wanted),
        "candidates_before": before.verdicts.get(Verdict.CANDIDATE, 0),
        "candidates_after": after.verdicts.get(Verdict.CANDIDATE, 0),
        "before": before.verdicts,
        "after": after.verdicts,
        "counted_at": after.at,
    }
