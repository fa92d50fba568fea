"""The tables of an evidence pack. One definition gives the file (CSV or JSON lines) and the table of the report.

Files have English column names, times in UTC and the stored English sentences, whoever reads them. The report is in the
language of its reader.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import F
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from integrations.connectors.contract import english
from licensehub.ui.csv_file import harmless
from licensehub.ui.formatting import name_of
from subscriptions.approvals.decides_for import decides_for, decides_since
from subscriptions.evidence.scope import Scope
from subscriptions.models import Direction, Notice, Reclaim, ReclaimRequest, RequestedRemoval

CHUNK = 2000
BY_SCHEDULE = english("LicenseHub, by schedule")
json_line = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=DjangoJSONEncoder().default).encode


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a row: a text, a number, a moment, a JSON value or None. Without a label it is in the file only.

    `sentence`: a stored sentence, which the report shows in the language of its reader.
    """

    name: str
    value: Callable[[Any], Any]
    label: str | Promise = ""
    sentence: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """`file` ends with `.csv` or `.jsonl`. Without a label in any field, the report does not show it."""

    file: str
    title: str | Promise
    says: str | Promise
    rows: Callable[[Scope], Iterable[Any]]
    fields: tuple[Field, ...]

    @property
    def shown(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if field.label)

    def pieces(self, scope: Scope) -> Iterator[str]:
        """The contents of the file, line by line."""
        return self._csv(scope) if self.file.endswith(".csv") else self._json_lines(scope)

    def _csv(self, scope: Scope) -> Iterator[str]:
        yield _line([field.name for field in self.fields])
        for row in self.rows(scope):
            yield _line([harmless(_plain(field.value(row))) for field in self.fields])

    def _json_lines(self, scope: Scope) -> Iterator[str]:
        for row in self.rows(scope):
            yield json_line({field.name: _plain(field.value(row)) for field in self.fields}) + "\n"


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def _line(cells: list[str]) -> str:
    file = io.StringIO()
    csv.writer(file).writerow(cells)
    return file.getvalue()


# --- Rows -------------------------------------------------------------------------------------------------------------


def _requests(scope: Scope) -> Iterator[Any]:
    """Each request with `decides_for` and `decides_since`, which the event of its decision says."""
    people = ("profile", "requested_by", "decided_by", "cap_raised_by", "repeats__removal__request")
    rows: Iterator[Any] = scope.requests.select_related(*people).iterator(CHUNK)
    while chunk := list(islice(rows, CHUNK)):
        profiles, since = decides_for(chunk), decides_since(chunk)
        for row in chunk:
            row.decides_for, row.decides_since = profiles.get(row.pk, ""), since.get(row.pk, "")
            yield row


def _removals(scope: Scope) -> Iterator[RequestedRemoval]:
    related = ("request", "candidate__subscription", "dropped_by")
    people = scope.removals.annotate(signature=F("reclaim__signature"))
    return people.select_related(*related).defer("candidate__evidence").iterator(CHUNK)


def _asked(scope: Scope) -> Iterator[Notice]:
    related = ("removal__request", "removal__candidate__subscription")
    return scope.notices.select_related(*related).defer("removal__candidate__evidence").iterator(CHUNK)


def _reclaims(scope: Scope) -> Iterator[Reclaim]:
    related = ("subscription", "removal__request", "removal__restores__removal__request", "profile")
    return scope.reclaims.select_related(*related).iterator(CHUNK)


def _sent(scope: Scope) -> Iterator[Reclaim]:
    return (item for item in _reclaims(scope) if item.sending_at)


def _read_back(scope: Scope) -> Iterator[Reclaim]:
    return (item for item in _reclaims(scope) if item.read_back)


def _restores(scope: Scope) -> Iterator[Reclaim]:
    return (item for item in _reclaims(scope) if item.direction == Direction.REACTIVATE)


def _moment(evidence: dict[str, Any], name: str) -> datetime | None:
    return datetime.fromisoformat(evidence[name]) if evidence.get(name) else None


def _requester(row: ReclaimRequest) -> str:
    return name_of(row.requested_by) if row.requested_by else BY_SCHEDULE


def _account(user: Any) -> str:
    return user.get_username() if user else ""


def _name(user: Any) -> str:
    return name_of(user) if user else ""


# --- Tables -----------------------------------------------------------------------------------------------------------

REQUESTS = Table(
    "requests.jsonl",
    _("Requests and decisions"),
    _(
        "Who asked and why, and who decided. Nobody decides on their own request. One person alone can restore a "
        "single seat."
    ),
    _requests,
    (
        Field("request", lambda row: row.number, _("Request")),
        Field("direction", lambda row: row.direction),
        Field("profile", lambda row: row.profile.name, _("Profile")),
        Field("requested_by", _requester, _("Requested by"), sentence=True),
        Field("requested_by_account", lambda row: _account(row.requested_by)),
        Field("requested_at", lambda row: row.requested_at, _("Requested at")),
        Field("reason", lambda row: row.reason, _("Why now")),
        Field("state", lambda row: row.state),
        Field("outcome", lambda row: row.get_state_display(), _("State")),
        Field("decided_by", lambda row: _name(row.decided_by), _("Decided by")),
        Field("decided_by_account", lambda row: _account(row.decided_by)),
        Field("decides_for", lambda row: row.decides_for, _("Decides for")),
        Field("decides_since", lambda row: row.decides_since, _("Right to decide")),
        Field("decided_at", lambda row: row.decided_at, _("Decided at")),
        Field("comment", lambda row: row.comment, _("Comment")),
        Field("valid_until", lambda row: row.valid_until),
        Field("expires_at", lambda row: row.expires_at),
        Field("answers_until", lambda row: row.answers_until),
        Field("cap", lambda row: row.cap),
        Field("cap_raised_by", lambda row: _name(row.cap_raised_by)),
        Field("cap_raised_at", lambda row: row.cap_raised_at),
        Field("cap_reason", lambda row: row.cap_reason),
        Field("kept_as", lambda row: row.kept_as),
        Field("kept_until", lambda row: row.kept_until),
        Field("revision", lambda row: row.revision),
        Field("repeats", lambda row: row.repeats.removal.request.number if row.repeats else ""),
    ),
)
PEOPLE = Table(
    "people.csv",
    _("People and their evidence"),
    _("The facts of each person when the request was made. The approver saw these facts."),
    _removals,
    (
        Field("request", lambda row: row.request.number, _("Request")),
        Field("vendor_id", lambda row: row.evidence["external_id"]),
        Field("name", lambda row: row.evidence["name"], _("Name")),
        Field("email", lambda row: row.evidence["email"], _("E-mail")),
        Field("department", lambda row: row.evidence["department"], _("Department")),
        Field("license", lambda row: row.evidence["license"], _("License")),
        Field("role", lambda row: row.evidence["role"]),
        Field("admin_roles", lambda row: ", ".join(row.evidence.get("admin_roles", ()))),
        Field("last_activity_at", lambda row: _moment(row.evidence, "last_activity_at"), _("Last activity")),
        Field("license_assigned_at", lambda row: _moment(row.evidence, "license_assigned_at")),
        Field("idle_days", lambda row: row.evidence["idle_days"], _("Idle days")),
        Field("why", lambda row: row.evidence["why"], _("Why"), sentence=True),
        Field("facts_at", lambda row: _moment(row.evidence, "facts_at")),
        Field("rule_version", lambda row: row.evidence["terms"]["version"]),
        Field("dropped_at", lambda row: row.dropped_at, _("Dropped")),
        Field("dropped_by", lambda row: _name(row.dropped_by)),
        Field("drop_reason", lambda row: row.drop_reason),
    ),
)
EVIDENCE = Table(
    "evidence.jsonl",
    _("Evidence in full"),
    _("The same evidence with the whole rule, and the signature of the approval."),
    _removals,
    (
        Field("request", lambda row: row.request.number),
        Field("candidate", lambda row: row.candidate_id),
        Field("evidence", lambda row: row.evidence),
        Field("signature", lambda row: row.signature or ""),
    ),
)
QUESTIONS = Table(
    "questions.csv",
    _("Mails that asked people"),
    _("The time at which each mail was handed over, and if it came back."),
    _asked,
    (
        Field("request", lambda row: row.removal.request.number, _("Request")),
        Field("vendor_id", lambda row: row.removal.evidence["external_id"]),
        Field("email", lambda row: row.email, _("E-mail")),
        Field("kind", lambda row: row.get_kind_display(), _("Kind")),
        Field("state", lambda row: row.get_state_display(), _("State")),
        Field("sent_at", lambda row: row.sent_at, _("Sent at")),
        Field("bounced_at", lambda row: row.bounced_at, _("Came back")),
        Field("tries", lambda row: row.tries),
        Field("problem", lambda row: row.problem),
    ),
)
ANSWERS = Table(
    "answers.csv",
    _("Answers"),
    _("The answer of each person who was asked. It is empty if the person did not answer."),
    lambda scope: _removals_asked(scope),
    (
        Field("request", lambda row: row.request.number, _("Request")),
        Field("vendor_id", lambda row: row.evidence["external_id"]),
        Field("email", lambda row: row.evidence["email"], _("E-mail")),
        Field("answer", lambda row: row.get_answer_display(), _("Answer")),
        Field("answered_at", lambda row: row.answered_at, _("Answered at")),
    ),
)
CALLS = Table(
    "calls.csv",
    _("Calls to the vendor"),
    _("Each change that was sent, with its time, the answer and the outcome."),
    _sent,
    (
        Field("request", lambda row: row.removal.request.number, _("Request")),
        Field("profile", lambda row: row.profile.name),
        Field("vendor_id", lambda row: row.subscription.external_id),
        Field("email", lambda row: row.removal.evidence["email"], _("E-mail")),
        Field("direction", lambda row: row.get_direction_display(), _("Direction")),
        Field("queued_at", lambda row: row.queued_at),
        Field("sending_at", lambda row: row.sending_at, _("Sent at")),
        Field("http_status", lambda row: row.http_status, _("HTTP status")),
        Field("vendor_request_id", lambda row: row.request_id),
        Field("finished_at", lambda row: row.finished_at),
        Field("state", lambda row: row.state),
        Field("result", lambda row: row.get_state_display(), _("State")),
        Field("outcome", lambda row: row.outcome, _("Outcome"), sentence=True),
    ),
)
READ_BACK = Table(
    "read_back.csv",
    _("Read back"),
    _("The state that LicenseHub read from the vendor after each call."),
    _read_back,
    (
        Field("request", lambda row: row.removal.request.number, _("Request")),
        Field("vendor_id", lambda row: row.subscription.external_id),
        Field("email", lambda row: row.removal.evidence["email"], _("E-mail")),
        Field("direction", lambda row: row.get_direction_display(), _("Direction")),
        Field("read_back", lambda row: row.read_back, _("The vendor showed"), sentence=True),
        Field("read_back_at", lambda row: row.read_back_at, _("Read at")),
        Field("reads", lambda row: row.reads),
        Field("license_after", lambda row: row.license_after),
        Field("back_at", lambda row: row.back_at),
        Field("bought_again", lambda row: row.bought_again),
    ),
)
RESTORES = Table(
    "restores.csv",
    _("Restores"),
    _("Seats that were given back, and the reclaim that each restore undoes."),
    _restores,
    (
        Field("request", lambda row: row.removal.request.number, _("Request")),
        Field("vendor_id", lambda row: row.subscription.external_id),
        Field("email", lambda row: row.removal.evidence["email"], _("E-mail")),
        Field(
            "restores",
            lambda row: row.removal.restores.removal.request.number if row.removal.restores else "",
            _("Undoes a reclaim of"),
        ),
        Field("queued_at", lambda row: row.queued_at, _("Queued at")),
        Field("sending_at", lambda row: row.sending_at, _("Sent at")),
        Field("result", lambda row: row.get_state_display(), _("State")),
        Field("license_after", lambda row: row.license_after, _("License")),
    ),
)


def _removals_asked(scope: Scope) -> Iterator[RequestedRemoval]:
    asked = scope.notices.order_by().values("removal")
    related = ("request", "candidate")
    return scope.removals.filter(pk__in=asked).select_related(*related).defer("candidate__evidence").iterator(CHUNK)


TABLES = (REQUESTS, PEOPLE, EVIDENCE, QUESTIONS, ANSWERS, CALLS, READ_BACK, RESTORES)
