"""An organization of any size, made inside the database: members, candidates, reclaims and audit events.

The same size gives the same rows. About 15 % of the members are candidates, 4 % were never active, 3 % take no seat,
and 12 % are guests. The signatures of the audit events are not valid: a verification reports the first one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Max, Min
from django.utils import timezone

from integrations.models import IntegrationProfile, ProfileState
from subscriptions.eligibility.buckets import count_buckets
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.models import DownloadRun, Price, ReclaimRule, Subscription
from subscriptions.money.candidate_seats import count_candidates
from subscriptions.money.verified_seats import count_verified
from subscriptions.search import refresh_search
from subscriptions.stats import run_stats

# A number that looks random and is the same each time.
SOME = "(n::bigint * 7919 %% 1000)"
WORDS = "ARRAY['Ann','Ben','Chloe','David','Emma','Farid','Grace','Henry','Ines','Jonas','Karim','Lena','Mia','Noah']"
MEMBERS = f"""
INSERT INTO subscriptions_subscription
    (profile_id, external_id, email, name, department, active, license, role, license_assigned_at, last_activity_at,
     reclaimable, why_not, admin_roles, first_run_id, changed_run_id, facts_at, gone_at)
SELECT %(profile)s, (3074457340000000000 + n)::text, 'person' || n || '@northwind.example',
       CASE WHEN {SOME} < 880 THEN ({WORDS})[1 + n %% 14] || ' Tester' || (n::bigint * 7919 %% 1000003) ELSE '' END,
       'Department ' || n %% 40,
       {SOME} >= 20, CASE WHEN {SOME} < 600 THEN 'full' WHEN {SOME} < 999 THEN 'free' ELSE 'standard' END,
       CASE WHEN n %% 5000 = 0 THEN 'organization_internal_admin' WHEN {SOME} >= 880 THEN 'organization_external_user'
            ELSE 'organization_internal_user' END,
       %(now)s - (n %% 900 + 5) * interval '1 day',
       CASE WHEN n %% 25 <> 0 THEN %(now)s - interval '1 minute' * (n::bigint * 7919 %% 120000) *
            CASE WHEN n %% 100 < 70 THEN 0.5 ELSE 6 END END,
       n %% 5000 <> 0 AND {SOME} < 880, CASE WHEN n %% 5000 = 0 THEN 'A company admin.' ELSE '' END, '',
       %(run)s, %(run)s, %(now)s, CASE WHEN n %% 100 = 7 THEN %(now)s END
  FROM generate_series(1, %(members)s) AS n
"""  # noqa: S608 - the parts are constants of this module
EVIDENCE = """jsonb_build_object('external_id', s.external_id, 'name', s.name, 'email', s.email,
    'department', s.department, 'license', s.license, 'role', s.role, 'last_activity_at', to_jsonb(s.last_activity_at),
    'license_assigned_at', to_jsonb(s.license_assigned_at), 'idle_days', 100, 'why', 'Inactive 100 days, 40 days over.',
    'run', s.first_run_id, 'facts_at', to_jsonb(s.facts_at), 'terms', '{"threshold": 60, "licenses": ["full"],
    "grace": 30, "never_active": "review", "by_license": {}, "version": 1}'::jsonb)"""
# Each later download changed every twentieth person, and one of fifty of these left. The changes come in no order, as
# from a hash join.
DOWNLOADS = 12
SNAPSHOTS = """
INSERT INTO subscriptions_activitysnapshot (subscription_id, run_id, last_activity_at, gone)
SELECT id, %(run)s, CASE WHEN id %% 1000 <> %(number)s THEN last_activity_at END,
       CASE WHEN id %% 1000 = %(number)s THEN FALSE END
  FROM subscriptions_subscription WHERE id %% 20 = %(number)s ORDER BY md5(id::text)
"""
CANDIDATES = f"""
INSERT INTO subscriptions_removalcandidate
    (profile_id, subscription_id, run_id, state, close_reason, attention, evidence, created_at, state_changed_at,
     person_text, person_department, person_cost_center)
SELECT s.profile_id, s.id, s.first_run_id, CASE WHEN s.id %% 2000 = 0 THEN 'attention_required' ELSE 'ready' END, '',
       CASE WHEN s.id %% 2000 = 0 THEN 'Miro refused.' ELSE '' END, {EVIDENCE}, %(now)s, %(now)s,
       t.text, t.department, t.cost_center
  FROM subscriptions_subscription AS s JOIN subscriptions_evaluation AS j ON j.subscription_id = s.id
  JOIN subscriptions_searchtext AS t ON t.subscription_id = s.id
 WHERE j.verdict = 'candidate'
"""  # noqa: S608 - names of our own tables
# Everybody was requested, approved and reclaimed once, with ten people in each request.
CLOSED = f"""
INSERT INTO subscriptions_removalcandidate
    (profile_id, subscription_id, run_id, state, close_reason, attention, evidence, created_at, state_changed_at,
     person_text, person_department, person_cost_center)
SELECT s.profile_id, s.id, s.first_run_id, 'closed_complete', 'reclaimed', '', {EVIDENCE}, %(now)s, %(now)s,
       t.text, t.department, t.cost_center
  FROM subscriptions_subscription AS s JOIN subscriptions_searchtext AS t ON t.subscription_id = s.id
 ORDER BY s.id LIMIT %(reclaims)s
"""  # noqa: S608 - names of our own tables
REQUESTS = """
INSERT INTO subscriptions_reclaimrequest
    (direction, profile_id, state, requested_by_id, requested_at, reason, expires_at, cap, cap_reason, decided_by_id,
     decided_at, comment, valid_until)
SELECT 'deactivate', %(profile)s, CASE WHEN n %% 2 = 0 THEN 'open' ELSE 'approved' END, %(asks)s,
       %(now)s - n * interval '10 minutes', 'Unused', %(now)s + interval '3 days', 50, '',
       CASE WHEN n %% 2 <> 0 THEN %(decides)s::bigint END, CASE WHEN n %% 2 <> 0 THEN %(now)s END, 'Yes',
       CASE WHEN n %% 2 <> 0 THEN %(now)s + interval '7 days' END
  FROM generate_series(1, GREATEST(1, %(reclaims)s / 10)) AS n
"""
REMOVALS = """
INSERT INTO subscriptions_requestedremoval (request_id, candidate_id, evidence, answer, drop_reason)
SELECT (SELECT MIN(id) FROM subscriptions_reclaimrequest) + (c.place - 1) / 10, c.id, c.evidence, '', ''
  FROM (SELECT id, evidence, row_number() OVER (ORDER BY id) AS place FROM subscriptions_removalcandidate
         WHERE state = 'closed_complete') AS c
 WHERE (c.place - 1) / 10 < (SELECT COUNT(*) FROM subscriptions_reclaimrequest)
"""
RECLAIMS = """
INSERT INTO subscriptions_reclaim
    (profile_id, subscription_id, removal_id, direction, license, state, queued_at, hold_reason, sending_at,
     finished_at, http_status, request_id, read_back, reads, outcome)
SELECT %(profile)s, c.subscription_id, r.id, 'deactivate', COALESCE(c.license, ''),
       CASE WHEN r.id %% 1000 = 0 THEN 'in_doubt' WHEN r.id %% 50 = 0 THEN 'skipped' ELSE 'done' END,
       %(now)s - r.id * interval '10 seconds', '', %(now)s - r.id %% 360 * interval '1 day' - interval '1 hour',
       %(now)s - r.id %% 360 * interval '1 day' - interval '1 hour', 200, '', 'inactive', 1,
       'Deactivated, and read back.'
  FROM subscriptions_requestedremoval AS r JOIN subscriptions_removalcandidate AS c ON c.id = r.candidate_id
"""
# The tables were empty a moment ago: with the former statistics, the next statement that joins them takes minutes.
STATISTICS = """
ANALYZE subscriptions_subscription, subscriptions_searchtext, subscriptions_evaluation, subscriptions_removalcandidate,
        subscriptions_reclaimrequest, subscriptions_requestedremoval
"""
EVENTS = """
INSERT INTO audit_auditevent
    (sequence, at, action, actor_id, actor_name, target_type, target_id, target_label, data, correlation,
     salt, text_digest, previous_hash, hash, hmac)
SELECT n, %(now)s - (%(events)s - n) * interval '3 seconds',
       CASE WHEN n %% 1000 = 0 THEN 'download.completed' ELSE 'candidate.proposed' END, n %% 50,
       'person' || n %% 50, 'subscriptions.removalcandidate', n %% 200000, 'Tester' || n %% 200000,
       jsonb_build_object('why', 'Inactive ' || n %% 400 || ' days.'), gen_random_uuid(),
       md5(n::text), '', md5(n::text), md5((n + 1)::text), ''
  FROM generate_series((SELECT COALESCE(MAX(sequence), 0) FROM audit_auditevent) + 1, %(events)s) AS n
"""


def organization(
    *, members: int, reclaims: int = 0, events: int = 0, statistics: str = "VACUUM ANALYZE"
) -> IntegrationProfile:
    """Fill an empty PostgreSQL database. All sizes are numbers of rows. VACUUM does not run inside a transaction."""
    now = timezone.now()
    profile = IntegrationProfile.objects.create(
        name="Northwind", organization_id="3074457345", kind="miro_enterprise", state=ProfileState.PUBLISHED
    )
    ReclaimRule.objects.create(profile=profile, licenses=[*profile.connector.default_licenses])
    Price.objects.create(
        profile=profile, license="full", amount=Decimal(240), currency="USD", per="year", valid_from=date(2025, 1, 1)
    )
    usual = {"profile": profile, "state": "complete", "started_by": "schedule", "finished_at": now, "lease_until": now}
    usual |= {"read": members, "purchased": {"full": members}}
    run = DownloadRun.objects.create(**usual)
    given = {"profile": profile.pk, "run": run.pk, "now": now, "members": members}
    _execute(MEMBERS, given)
    first, last = Subscription.objects.aggregate(first=Min("pk"), last=Max("pk")).values()
    DownloadRun.objects.filter(pk=run.pk).update(new=members, new_after=first - 1, new_until=last)
    for number in range(DOWNLOADS):
        changed, gone = members // 20, members // 1000
        later = DownloadRun.objects.create(**usual, changed=changed - gone, gone=gone)
        _execute(SNAPSHOTS, {"run": later.pk, "number": number})
    refresh_search(profile)
    evaluate_profile(profile)
    _execute(STATISTICS, {})
    _execute(CANDIDATES, given)
    if reclaims:
        _reclaims(given, reclaims)
    if events:
        audit_events(events)
    DownloadRun.objects.update(stats=run_stats(profile, now=now))
    _execute(statistics, {})
    count_buckets(profile)
    count_verified(profile)
    count_candidates(profile)
    return profile


def _reclaims(given: Mapping[str, Any], reclaims: int) -> None:
    from django.contrib.auth.models import User

    emails = {name: {"email": f"{name}@admins.example", "is_staff": True} for name in ("asks", "decides")}
    people = {name: User.objects.get_or_create(username=name, defaults=email)[0].pk for name, email in emails.items()}
    for statement in (CLOSED, REQUESTS, REMOVALS, RECLAIMS):
        _execute(statement, {**given, **people, "reclaims": min(reclaims, Subscription.objects.count())})
        _execute(STATISTICS, {})


def audit_events(events: int) -> None:
    _execute(EVENTS, {"events": events, "now": timezone.now()})
    _execute("UPDATE audit_chainhead SET sequence = %(events)s", {"events": events})


def _execute(statement: str, given: Mapping[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, given or None)
