"""Made by `manage.py openapi` from docs/api/openapi.json; do not edit."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


AdminRoles = Literal['review', 'candidate', 'leave']


class CandidateOut(TypedDict):
    """A person whose seat can be reclaimed. `evidence` is what was known when they became a candidate."""
    id: int
    profile: int
    subscription: int
    external_id: str
    name: str
    email: str
    state: Coded
    close_reason: Coded | None
    why: str
    attention: str
    since: str
    state_changed_at: str
    run: int
    evidence: dict[str, Any]


CandidateState = Literal['attention_required', 'ready', 'awaiting_user', 'awaiting_approval', 'awaiting_revocation', 'closed_complete', 'closed_skipped', 'closed_canceled']


class CellOut(TypedDict):
    """Seats, and their yearly amount at the price of each, as a decimal number."""
    seats: int
    amount: str


ChangeState = Literal['waiting', 'effective', 'refused', 'withdrawn']


class CheckOut(TypedDict):
    """One clause of the rule. `passed` is null for a clause that was not asked."""
    label: str
    fact: str
    passed: bool | None


class Coded(TypedDict):
    """A word for programs, and the same for people."""
    code: str
    label: str


class ConnectionOut(TypedDict):
    """One connection of a profile. `fingerprint` names the stored credentials; it is empty without any."""
    id: int
    profile: int
    profile_name: str
    slot: str
    label: str
    state: Coded
    state_changed_at: str | None
    fingerprint: str
    credentials_set_at: str | None
    expires_at: str | None
    error: str


class CurrencyOut(TypedDict):
    """`currency` is empty for seats without a price. Departments with few people may be shown as one."""
    currency: str
    saved: CellOut
    lines: list[LineOut]
    departments: list[DepartmentOut]
    departments_together: CellOut | None


class DeliveryOut(TypedDict):
    """One event for one webhook. `event_id` is the same in each try."""
    id: int
    event_id: str
    event: str
    profile: int | None
    occurred_at: str
    state: Coded
    tries: int
    tried_at: str | None
    delivered_at: str | None
    status: int | None
    problem: str


DeliveryState = Literal['due', 'sending', 'delivered', 'failed', 'held']


class DepartmentOut(TypedDict):
    department: str
    cost_center: str
    verified: CellOut
    again: CellOut
    saved: CellOut


Direction = Literal['deactivate', 'reactivate']


class Done(TypedDict):
    """The request of the act, and how many people it concerns."""
    request: int
    number: str
    state: str
    people: int


class EventOut(TypedDict):
    """One event of the audit. Its label and data are empty where they were erased."""
    sequence: int
    at: str
    action: Coded
    actor: str
    actor_id: int | None
    target_type: str
    target_id: int
    target: str
    data: dict[str, Any]
    correlation: str
    hash: str


class FileOut(TypedDict):
    people: int
    text: str


class FindingOut(TypedDict):
    """The outcome of one check. `level` is ok, warning, error or later; `next_step` is empty when all is well."""
    level: str
    title: str
    detail: str
    next_step: str


class Granted(TypedDict):
    """`waits`: the right to decide waits until the person has joined, and for a second admin or a day."""
    user: int
    username: str
    roles: list[str]
    waits: bool
    detail: str


class LineOut(TypedDict):
    """One license type of one profile. Potential and approved are those of now, the others those of the year."""
    profile: int
    license: str
    potential: CellOut
    approved: CellOut
    verified: CellOut
    again: CellOut
    saved: CellOut


class Me(TypedDict):
    account: str
    is_service_account: bool
    token: int
    token_name: str
    role: str | None
    profiles: list[int]
    expires_at: str
    rights: list[str]


NeverActive = Literal['review', 'candidate']


class Noted(TypedDict):
    """The sentence that says what happens next."""
    detail: str


class PageCandidateOut(TypedDict):
    items: list[CandidateOut]
    next_cursor: str | None


class PageConnectionOut(TypedDict):
    items: list[ConnectionOut]
    next_cursor: str | None


class PageDeliveryOut(TypedDict):
    items: list[DeliveryOut]
    next_cursor: str | None


class PageEventOut(TypedDict):
    items: list[EventOut]
    next_cursor: str | None


class PagePersonOut(TypedDict):
    items: list[PersonOut]
    next_cursor: str | None


class PageProfileOut(TypedDict):
    items: list[ProfileOut]
    next_cursor: str | None


class PageProtectionOut(TypedDict):
    items: list[ProtectionOut]
    next_cursor: str | None


class PageReclaimOut(TypedDict):
    items: list[ReclaimOut]
    next_cursor: str | None


class PageRequestOut(TypedDict):
    items: list[RequestOut]
    next_cursor: str | None


class PageRightsChangeOut(TypedDict):
    items: list[RightsChangeOut]
    next_cursor: str | None


class PageRoleOut(TypedDict):
    items: list[RoleOut]
    next_cursor: str | None


class PageRunOut(TypedDict):
    items: list[RunOut]
    next_cursor: str | None


class PageSubscriptionOut(TypedDict):
    items: list[SubscriptionOut]
    next_cursor: str | None


class PageUserOut(TypedDict):
    items: list[UserOut]
    next_cursor: str | None


class PageWebhookOut(TypedDict):
    items: list[WebhookOut]
    next_cursor: str | None


class PersonOut(TypedDict):
    """A person in a request, with the evidence that the request froze."""
    id: int
    candidate: int
    subscription: int
    external_id: str
    name: str
    email: str
    evidence: dict[str, Any]
    answer: Coded | None
    answered_at: str | None
    dropped_at: str | None
    drop_reason: str


class PreviewOut(TypedDict):
    """People by verdict, by the saved rule and by these terms. `counted_at` is when the people were counted."""
    sentence: str
    candidates_before: int
    candidates_after: int
    before: dict[str, int]
    after: dict[str, int]
    counted_at: str


class Problem(TypedDict):
    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: NotRequired[list[dict[str, Any]]]


class ProfileOut(TypedDict):
    """An integration profile: one organization at one vendor."""
    id: int
    name: str
    kind: str
    vendor: str
    organization_id: str
    organization_name: str
    state: Coded
    reclaims: bool
    connections_in_error: int
    last_complete_run_at: str | None
    activity_in_doubt_since: str | None
    held_because: str
    answers_lost_since: str | None


class Protected(TypedDict):
    """`changed`: people with another verdict now. `already`: people who had a protection of their own."""
    protections: list[int]
    changed: int
    withdrawn: int
    already: int


ProtectionKind = Literal['person', 'domain', 'license', 'role', 'admin_role']


class ProtectionOut(TypedDict):
    """Somebody, or everybody with a domain, license or role, is left alone. `sentence` says why."""
    id: int
    profile: int
    kind: ProtectionKind
    value: str
    external_id: str
    state: str
    sentence: str
    reason: str
    owner: str
    ends_at: str | None
    created_by: str
    created_at: str
    ended_by: str | None
    ended_at: str | None
    covered: int | None


class ReclaimOut(TypedDict):
    """One send: a deactivation, or a reactivation. `outcome` is its result in a sentence."""
    id: int
    profile: int
    direction: Direction
    state: Coded
    request: int
    subscription: int
    external_id: str
    name: str
    email: str
    requested_by: str | None
    decided_by: str | None
    queued_at: str
    hold_reason: Coded | None
    sending_at: str | None
    finished_at: str | None
    outcome: str
    read_back: str
    read_back_at: str | None
    why_not_restore: str


ReclaimState = Literal['queued', 'claimed', 'sending', 'done', 'skipped', 'failed', 'tampered', 'in_doubt']


class RequestOut(TypedDict):
    """A request to reclaim seats, or to restore people. `requested_by` is null for the schedule."""
    id: int
    number: str
    profile: int
    direction: Direction
    state: Coded
    people: int
    cap: int
    requested_by: str | None
    requested_at: str
    reason: str
    answers_until: str | None
    expires_at: str
    cap_raised_by: str | None
    decided_by: str | None
    decided_at: str | None
    comment: str
    valid_until: str | None


class RequestPage(TypedDict):
    """`digest` and `revision` name the list of people as it is now. A decision has to give both."""
    id: int
    number: str
    profile: int
    direction: Direction
    state: Coded
    people: int
    cap: int
    requested_by: str | None
    requested_at: str
    reason: str
    answers_until: str | None
    expires_at: str
    cap_raised_by: str | None
    decided_by: str | None
    decided_at: str | None
    comment: str
    valid_until: str | None
    revision: int
    digest: str
    may_decide: bool
    why_not: str


RequestState = Literal['collecting', 'open', 'approved', 'rejected', 'expired', 'canceled', 'empty']


class RightsChangeOut(TypedDict):
    """A change of an account that decides, or is to decide. A second admin confirms it in the browser."""
    id: int
    kind: Coded
    state: Coded
    account: str
    asked_by: str | None
    asked_at: str
    after: str
    comment: str


class RoleOut(TypedDict):
    id: int
    name: str
    rights: list[str]


class RuleOut(TypedDict):
    """`terms` are all fields of the rule; `by_license` among them has the thresholds of license types in days."""
    profile: int
    version: int
    changed_at: str
    terms: dict[str, Any]


class RunOut(TypedDict):
    """One download. `problem` says what stopped it, and what to do next."""
    id: int
    number: str
    profile: int
    state: Coded
    started_by: str
    started_at: str
    finished_at: str | None
    read: int
    new: int
    changed: int
    gone: int
    unchanged: int
    problem: str
    purchased: dict[str, int]
    stats: dict[str, Any]


RunState = Literal['running', 'evaluating', 'complete', 'quarantined', 'failed', 'discarded']


class SavingsOut(TypedDict):
    year: int
    currencies: list[CurrencyOut]


class SubscriptionOut(TypedDict):
    """One person in one organization, as the last download saw them."""
    id: int
    profile: int
    external_id: str
    name: str
    email: str
    department: str
    cost_center: str
    license: Coded
    role: Coded
    admin_roles: list[str]
    active: bool
    left_at: str | None
    last_activity_at: str | None
    vendor_says_now: str
    license_assigned_at: str | None
    idle_since: str | None
    facts_at: str
    verdict: VerdictOut


class SubscriptionPage(TypedDict):
    """With all clauses of the rule, the protections that cover the person, and the open candidate."""
    id: int
    profile: int
    external_id: str
    name: str
    email: str
    department: str
    cost_center: str
    license: Coded
    role: Coded
    admin_roles: list[str]
    active: bool
    left_at: str | None
    last_activity_at: str | None
    vendor_says_now: str
    license_assigned_at: str | None
    idle_since: str | None
    facts_at: str
    verdict: VerdictOut
    checks: list[CheckOut]
    protections: list[str]
    open_candidate: int | None


class UserOut(TypedDict):
    """An account. `profiles` are the ids of the profiles for which its roles hold; null for all of them."""
    id: int
    username: str
    name: str
    email: str
    state: str
    active: bool
    superuser: bool
    roles: list[str]
    profiles: list[int] | None
    last_sign_in: str | None
    account_since: str


class Validated(TypedDict):
    """`fit`: nothing is wrong, and no check was left out."""
    detail: str
    fit: bool
    findings: list[FindingOut]


Verdict = Literal['not_evaluated', 'gone', 'deactivated', 'unknown', 'not_in_scope', 'cannot_be_removed', 'protected', 'cooling_down', 'in_grace', 'active', 'dates_went_back', 'admin_role', 'never_active', 'candidate']


class VerdictOut(TypedDict):
    """`reason` says in a sentence why the person is a candidate, or why not."""
    code: str
    label: str
    reason: str


class WebhookOut(TypedDict):
    """A receiver of events. `failing_since` is the first failure after the last success."""
    id: int
    name: str
    format: str
    host: str
    state: Coded
    state_changed_at: str
    events: list[str]
    profiles: list[int] | None
    with_names: bool
    language: str
    delivered_at: str | None
    failing_since: str | None
    error: str
    version: int
