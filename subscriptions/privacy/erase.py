"""Erase one person who has left: names and addresses in all tables, and the texts of events that have them.

What happened stays, with the vendor's id in place of the name: two people decided, a seat was taken, it was read back.
The chain of the audit stays unbroken, see `licensehub.audit.erase`. It needs the rights of the owner of the tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, models, transaction
from django.utils.translation import gettext as _

from integrations.connectors.contract import english
from licensehub.audit.actions import Action
from licensehub.audit.erase import erase_texts
from licensehub.audit.log import Actor, Row, record_rows
from licensehub.audit.models import AuditEvent
from licensehub.database.clock import database_now
from licensehub.ui.models import SavedView
from subscriptions.candidates.locks import lock_audit
from subscriptions.errors import NotActionable, Refused
from subscriptions.evidence import kept_packs
from subscriptions.models import (
    DownloadedMember,
    DownloadedPerson,
    Erasure,
    EvidencePack,
    SearchText,
    Subscription,
)
from subscriptions.privacy.needed_events import needed_requests, why_needed
from subscriptions.privacy.person import Person, Words

CHUNK = 2000
# The columns of a subscription that say who somebody is. Department and cost center stay: savings are shown by them.
IDENTITY = ("email", "normalized_email", "name", "given_name", "employee_number", "manager", "manager_id", "language")
# These are found by the ids of the person, or hold no text.
BY_ID = frozenset(
    {
        *("subscription", "persontoreview", "vendorfacts", "searchtext", "activitysnapshot", "rechecksnapshot"),
        *("evaluation", "bucket", "pastbucket", "countdue", "downloadedmember", "downloadedperson", "soleteamadmin"),
        *("verifiedseats", "candidateseats", "erasure"),
    }
)
# Of these, only the texts that colleagues or the vendor wrote are searched; the evidence is found by the person.
TEXTS_OF = {"removalcandidate": ("attention",), "requestedremoval": ("drop_reason",)}
STILL_THERE = english(
    "This person is still in the organization “{profile}”. First remove the account at the vendor. Otherwise the "
    "next download brings the name back."
)
OPEN = english(
    "{request} is not finished, or its rejection can still be taken back. A person can be erased when nothing about "
    "them is open."
)
HAS_ACCOUNT = english("This person has the account {account} in LicenseHub. Deactivate it first.")
CANDIDATE = english("This person is a removal candidate. Wait for the next download, which closes the candidate.")
NO_RIGHTS = english(
    "Only the owner of the database can erase texts of the audit. Run the command with the database user that runs the "
    "migrations."
)


@dataclass(frozen=True, slots=True)
class Result:
    """The number of events that lost their text, and of rows of other tables that were changed."""

    events: int
    rows: int


def ask_for_erasure(row: Subscription, *, actor: Actor, reason: str) -> Erasure:
    """Note that this person is to be erased. `actor=None`: a retention period is over. Raises Refused."""
    person, reason = Person.of(row), " ".join(reason.split())
    if not reason:
        raise Refused(_("Enter a reason without the name of the person, since LicenseHub keeps the reason."))
    if person.words().are_in(reason):
        raise Refused(
            _(
                "The reason names the person, but LicenseHub keeps the reason. Write it without the name and the "
                "address."
            )
        )
    if refusal := why_not(person):
        raise Refused(refusal)
    if Erasure.objects.filter(subscription__in=person.ids, done_at=None).exists():
        raise NotActionable(
            _("Somebody already asked for the erasure of this person. An operator must run the command.")
        )
    try:
        with transaction.atomic():
            erasure = Erasure.objects.create(subscription=row, requested_by=actor, reason=reason[:200])
            record_rows(Action.ERASURE_REQUESTED, actor=actor, rows=[_event(row, {"reason": erasure.reason})])
    except IntegrityError as error:
        raise NotActionable(_("Somebody already asked for the erasure of this person.")) from error
    return erasure


def why_not(person: Person) -> str:
    """The reason why this person cannot be erased now; empty if they can."""
    for row in person.rows:
        if row.gone_at is None and not row.profile.is_archived:
            return _(STILL_THERE).format(profile=row.profile.name)
    if request := person.requests.filter(pk__in=needed_requests().values("pk")).first():
        return _(OPEN).format(request=request.number)
    if person.candidates.open().exists():  # type: ignore[attr-defined]  # of its queryset
        return _(CANDIDATE)
    if account := person.accounts.filter(is_active=True).first():
        return _(HAS_ACCOUNT).format(account=account.get_username())
    return ""


def may_erase() -> bool:
    """Return whether this process may erase. On PostgreSQL, the runtime users may not change decisions or the audit."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege(%s, 'UPDATE')", [AuditEvent._meta.db_table])
        return bool(cursor.fetchone()[0])


def erase(erasure: Erasure, *, actor: Actor = None) -> Result:
    """Erase the person, in one transaction. Raises Refused, and notes why in the row."""
    person = Person.of(erasure.subscription)
    try:
        if refusal := why_not(person) if may_erase() else NO_RIGHTS:
            raise Refused(refusal)
        return _erase(erasure, person, actor=actor)
    except Refused as refused:
        Erasure.objects.filter(pk=erasure.pk).update(problem=str(refused)[:300])
        raise


def _erase(erasure: Erasure, person: Person, *, actor: Actor) -> Result:
    words = person.words()
    # Most events are read before the transaction, which holds up every other writer of the audit.
    found, last = _events_naming(person, words, after=0)
    with transaction.atomic():
        if Erasure.objects.filter(pk=erasure.pk, done_at=None).update(done_at=database_now(), problem="") != 1:
            raise NotActionable(_("This person is already erased."))
        # Any of them may name the person.
        kept_packs.remove_files(EvidencePack.objects.all())
        rows = _clean_rows_of(person, words) + sum(_clean_texts(model, words) for model in _models())
        # Nobody appends from here on, so no request is made and no switch is set.
        lock_audit()
        late, _end = _events_naming(person, words, after=last)
        if sentence := why_needed([*found, *late]):
            raise Refused(sentence)
        events = erase_texts([*found, *late], actor=actor, why=erasure.reason, target=None)
        data = {"reason": erasure.reason, "events": events, "rows": rows}
        record_rows(Action.PERSON_ERASED, actor=actor, rows=[_event(row, data) for row in person.rows])
    return Result(events, rows)


def _event(row: Subscription, data: dict[str, Any]) -> Row:
    return Row(Subscription._meta.label_lower, row.pk, f"Member {row.external_id}", data)


# --- Events -----------------------------------------------------------------------------------------------------------


def _events_naming(person: Person, words: Words, *, after: int) -> tuple[list[int], int]:
    """The sequences of the events that are about the person or name them, and the last sequence that was read."""
    targets, found, last = person.targets(), [], after
    columns = ("sequence", "target_type", "target_id", "target_label", "data")
    rows = AuditEvent.objects.filter(sequence__gt=after).exclude(salt="").exclude(action=Action.EVENTS_ERASED)
    for sequence, kind, pk, label, data in rows.order_by("sequence").values_list(*columns).iterator(CHUNK):
        last = sequence
        if pk in targets.get(kind, ()) or words.are_in(label) or words.are_in(data):
            found.append(sequence)
    return found, last


# --- Rows of the person -----------------------------------------------------------------------------------------------


def _clean_rows_of(person: Person, words: Words) -> int:
    """The rows that are about this person. Returns how many were changed."""
    people = Subscription.objects.filter(pk__in=person.ids)
    changed = people.update(**dict.fromkeys(IDENTITY, ""))
    changed += SearchText.objects.filter(subscription__in=person.ids).update(text="", address="")
    for snapshots in person.snapshots:
        changed += snapshots.exclude(email=None).update(email="")
    for protection in person.protections:
        # It still covers the vendor's id.
        changed += (
            type(protection)
            .objects.filter(pk=protection.pk)
            .update(value="", external_id=protection.external_id or person.rows[0].external_id)
        )
    changed += person.notices.exclude(email="").update(email="")
    changed += person.candidates.exclude(person_text="").update(person_text="")
    for rows in (person.candidates, person.removals):
        for pk, evidence in rows.values_list("pk", "evidence"):
            cleaned = {**words.cleaned(evidence), "name": "", "email": "", "erased": True}
            changed += rows.model._default_manager.filter(pk=pk).update(evidence=cleaned)
    # Other people's manager, by the vendor's id or by the name of the directory.
    names = [row.name for row in person.rows if row.name]
    managed = Subscription.objects.filter(models.Q(manager_id__in=person.external_ids) | models.Q(manager__in=names))
    changed += managed.exclude(manager="").update(manager="")
    for model in (DownloadedMember, DownloadedPerson):
        staged = model.objects.filter(external_id__in=person.external_ids)
        texts = [name for name in (*IDENTITY, "why_not") if name in {field.name for field in model._meta.fields}]
        changed += staged.update(**dict.fromkeys(texts, ""))
    # An account stays, since events have its name. It is not active any more.
    changed += person.accounts.exclude(first_name="", last_name="", email="").update(
        first_name="", last_name="", email=""
    )
    return changed


# --- Texts of all tables ----------------------------------------------------------------------------------------------


def _models() -> Iterator[type[models.Model]]:
    ours = [
        model for label in ("subscriptions", "integrations", "ui") for model in apps.get_app_config(label).get_models()
    ]
    every: list[type[models.Model]] = [*ours, LogEntry, User]
    for model in every:
        if model._meta.model_name not in BY_ID and model._meta.managed and not model._meta.proxy:
            yield model


def _clean_texts(model: type[models.Model], words: Words) -> int:
    """Replace the words in all texts of a table. Returns how many rows were changed."""
    names = TEXTS_OF.get(str(model._meta.model_name)) or [
        field.name
        for field in model._meta.concrete_fields
        if isinstance(field, models.CharField | models.TextField | models.JSONField)
        and not (field.choices or field.primary_key or field.generated)
        and field.name not in ("password", "username", "ciphertext", "signature")
    ]
    if not names:
        return 0
    some = models.Q()
    for name in names:
        some |= ~models.Q(**{name: ""})
    changed, rows = 0, model._default_manager.filter(some).order_by("pk")
    for pk, *values in rows.values_list("pk", *names).iterator(CHUNK):
        new = {name: _clean_text(model, name, value, words) for name, value in zip(names, values, strict=True)}
        if new := {name: value for (name, value), old in zip(new.items(), values, strict=True) if value != old}:
            changed += model._default_manager.filter(pk=pk).update(**new)
    return changed


def _clean_text(model: type[models.Model], name: str, value: Any, words: Words) -> Any:
    if model is SavedView and name == "query":
        return words.cleaned_query(value)
    cleaned = words.cleaned(value)
    field = model._meta.get_field(name)
    length = getattr(field, "max_length", None)
    return cleaned[:length] if isinstance(cleaned, str) and length else cleaned
