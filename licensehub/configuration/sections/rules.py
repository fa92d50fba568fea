"""The reclaim rule of a profile: saved as on its page, so everybody is evaluated again, and nobody is requested."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import models, transaction

from integrations.models import IntegrationProfile
from licensehub.configuration.changes import Kind, Plan, shown
from licensehub.configuration.reading import Entry
from subscriptions import tasks
from subscriptions.admin.rules.rule_form import license_choices
from subscriptions.models import ReclaimRule
from subscriptions.models.rules.rule import THRESHOLD
from subscriptions.rules.rules import FIELDS, change_rule, terms_of

CHANGE: Final = "subscriptions.change_reclaimrule"


def dump(profile: IntegrationProfile) -> dict[str, Any] | None:
    rule = ReclaimRule.objects.filter(profile=profile).first()
    if rule is None:
        return None
    terms = terms_of(rule)
    return {**terms, "licenses": sorted(terms["licenses"]), "by_license": dict(sorted(terms["by_license"].items()))}


def plan(name: str, entry: Entry, profile: IntegrationProfile, plan: Plan) -> None:
    entry.only(*FIELDS, "by_license")
    rule = ReclaimRule.objects.filter(profile=profile).first()
    if rule is None:
        plan.add(Kind.WAITS, f"{name}: rule", "the profile has to be connected and published first", entry)
        return
    before, given = terms_of(rule), dict[str, Any]()

    def read(field: str, one: Entry) -> None:
        given[field] = _value(rule, field, one)

    for field, one in entry.named().items():
        plan.guarded(read, field, one)
    changed = {field: value for field, value in given.items() if not _same(before[field], value)}
    if not changed:
        return
    by_license = changed.pop("by_license", None)

    def do(actor: User) -> None:
        change_rule(rule, actor=actor, changed=changed, by_license=by_license)
        transaction.on_commit(lambda: tasks.enqueue_task(tasks.evaluate_again, profile.pk))

    # One change for the whole rule, since it is saved as one version.
    values = changed if by_license is None else {**changed, "by_license": by_license}
    text = "; ".join(f"{field} {shown(before[field])} → {shown(value)}" for field, value in values.items())
    plan.add(Kind.CHANGE, f"{name}: rule", text, entry, CHANGE, do)


def _same(before: Any, value: Any) -> bool:
    """The order of license types means nothing."""
    return sorted(before) == sorted(value) if isinstance(value, list) else bool(before == value)


def _value(rule: ReclaimRule, name: str, entry: Entry) -> Any:
    if name == "by_license":
        return {license: _days(one) for license, one in entry.named().items() if _license(rule, license, one)}
    if name == "licenses":
        words = [one.text() for one in entry.items() if _license(rule, one.text(), one)]
        if not words:
            raise entry.wrong("Name at least one license type. Without one, nobody can be a candidate.")
        return sorted(set(words))
    field: Any = ReclaimRule._meta.get_field(name)
    value: Any = entry.text()
    if isinstance(field, models.BooleanField):
        return entry.switch()
    if isinstance(field, models.IntegerField):
        value = entry.number()
    elif field.choices:
        return entry.one_of([choice for choice, _label in field.choices])
    try:
        field.run_validators(value)
    except ValidationError as error:
        raise entry.wrong(" ".join(error.messages)) from error
    return value


def _days(entry: Entry) -> int:
    days = entry.number()
    try:
        for validate in THRESHOLD:
            validate(days)
    except ValidationError as error:
        raise entry.wrong(" ".join(error.messages)) from error
    return days


def _license(rule: ReclaimRule, word: str, entry: Entry) -> bool:
    """True for a license type that the page of the rule offers. Raises Wrong."""
    known = [choice for choice, _label in license_choices(rule)]
    if word not in (*known, *terms_of(rule)["by_license"]):
        raise entry.wrong(f"“{word}” is no license type that is known here. Known are: {', '.join(known)}.")
    return True
