"""One person in all tables: the rows that are about them, and the words that name them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.contrib.auth.models import User
from django.db.models import Model, Q, QuerySet

from integrations.connectors.contract import normalized
from subscriptions.activity.person_rows import rows_of_person
from subscriptions.evidence.scope import protections_of_person
from subscriptions.models import (
    AccountPerson,
    ActivitySnapshot,
    Notice,
    Protection,
    RecheckSnapshot,
    Reclaim,
    ReclaimRequest,
    RemovalCandidate,
    RequestedRemoval,
    Subscription,
)

ERASED = "(erased)"


@dataclass(frozen=True, slots=True)
class Person:
    """All rows of one person, the newest first. It has at least one."""

    rows: list[Subscription]

    @classmethod
    def of(cls, row: Subscription) -> Person:
        return cls(rows_of_person(row))

    @property
    def ids(self) -> list[int]:
        return [row.pk for row in self.rows]

    @property
    def external_ids(self) -> list[str]:
        return [row.external_id for row in self.rows]

    @property
    def candidates(self) -> QuerySet[RemovalCandidate]:
        return RemovalCandidate.objects.filter(subscription__in=self.ids).order_by("pk")

    @property
    def removals(self) -> QuerySet[RequestedRemoval]:
        return RequestedRemoval.objects.filter(candidate__subscription__in=self.ids).order_by("pk")

    @property
    def requests(self) -> QuerySet[ReclaimRequest]:
        return ReclaimRequest.objects.filter(pk__in=self.removals.order_by().values("request")).order_by("pk")

    @property
    def reclaims(self) -> QuerySet[Reclaim]:
        return Reclaim.objects.filter(subscription__in=self.ids).order_by("pk")

    @property
    def notices(self) -> QuerySet[Notice]:
        return Notice.objects.filter(removal__in=self.removals.order_by().values("pk")).order_by("pk")

    @property
    def protections(self) -> QuerySet[Protection]:
        return protections_of_person(self.rows)

    @property
    def snapshots(self) -> tuple[QuerySet[ActivitySnapshot], QuerySet[RecheckSnapshot]]:
        of_runs = ActivitySnapshot.objects.filter(subscription__in=self.ids).order_by("subscription", "run")
        return of_runs, RecheckSnapshot.objects.filter(subscription__in=self.ids).order_by("seen_at", "pk")

    @property
    def accounts(self) -> QuerySet[User]:
        """The accounts of LicenseHub that belong to this person."""
        linked = AccountPerson.objects.filter(external_id__in=self.external_ids).values("user")
        addresses = Q(email__in=[row.email for row in self.rows if row.email])
        return User.objects.filter(Q(pk__in=linked) | addresses).order_by("pk")

    def targets(self) -> dict[str, set[int]]:
        """Label of a model -> the ids of the rows of this person that events may be about."""
        about: tuple[tuple[type[Model], Iterable[int]], ...] = (
            (Subscription, self.ids),
            (RemovalCandidate, self.candidates.values_list("pk", flat=True)),
            (Reclaim, self.reclaims.values_list("pk", flat=True)),
            (Protection, self.protections.values_list("pk", flat=True)),
        )
        return {model._meta.label_lower: set(ids) for model, ids in about}

    def words(self) -> Words:
        """All names and addresses that any row has or had."""
        found = {text for row in self.rows for text in (row.name, row.email)}
        for rows in (self.candidates, self.removals):
            for name, email in rows.values_list("evidence__name", "evidence__email"):
                found |= {name, email}
        for snapshots in self.snapshots:
            found |= {email or "" for email in snapshots.exclude(email=None).values_list("email", flat=True)}
        found |= set(self.notices.values_list("email", flat=True))
        found |= set(self.protections.filter(kind="person").values_list("value", flat=True))
        return Words(text for text in found if text)


class Words:
    """Names and addresses of one person. They are found in any case and encoding, and never as a part of a word.

    A name is one word of a directory: a single given name would be found in the texts of other people.
    """

    def __init__(self, words: Iterable[str]) -> None:
        chosen = {form for word in words if " " in word or "@" in word for form in _forms(word)}
        self.known = sorted(chosen, key=lambda word: (-len(word), word))
        found = "|".join(re.escape(word) for word in self.known) or r"(?!)"
        self._pattern = re.compile(rf"(?<![\w.+-])(?:{found})(?![\w-]|\.\w)", re.IGNORECASE)

    def are_in(self, value: Any) -> bool:
        return bool(self.cleaned(value) != value)

    def cleaned(self, value: Any) -> Any:
        """The value without these words. A JSON value is cleaned in all its parts."""
        if isinstance(value, str):
            return self._pattern.sub(ERASED, value)
        if isinstance(value, dict):
            return {self.cleaned(key): self.cleaned(part) for key, part in value.items()}
        return [self.cleaned(part) for part in value] if isinstance(value, list | tuple) else value

    def cleaned_query(self, query: str) -> str:
        """The query of an address without the parameters that name the person."""
        pairs = parse_qsl(query, keep_blank_values=True)
        kept = [(name, value) for name, value in pairs if not self.are_in(value)]
        return query if kept == pairs else urlencode(kept)


def _forms(word: str) -> set[str]:
    # The capital form of `ß` has two letters, which no comparison of single letters finds.
    plain = {word, word.upper(), word.casefold(), *([normalized(word)] if "@" in word else [])}
    return {unicodedata.normalize(form, text) for text in plain for form in ("NFC", "NFD")}
