"""A download of all subscriptions of a profile, and the staging table that it fills."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from integrations.models import IntegrationProfile
from integrations.scopes.visibility import ProfileManager
from licensehub.database.clock import database_now
from subscriptions.models.fields import LabelsField


class RunState(models.TextChoices):
    """Running: members are read. Evaluating: the facts are written, and the steps of `FollowUp` are not all done."""

    RUNNING = "running", _("Running")
    EVALUATING = "evaluating", _("Evaluating")
    COMPLETE = "complete", _("Complete")
    QUARANTINED = "quarantined", _("Quarantined")
    FAILED = "failed", _("Failed")
    DISCARDED = "discarded", _("Discarded")


# The states of a run that is not at its end.
UNDER_WAY = (RunState.RUNNING, RunState.EVALUATING)
# The members of these runs became the facts.
WITH_FACTS = (RunState.EVALUATING, RunState.COMPLETE)


class FollowUp(models.TextChoices):
    """The steps after the facts of a run are written, in their order; then the ways in which the follow-up ends."""

    NAMES = "names", _("Names")
    TEAM_ADMINS = "team_admins", _("Only admins of teams")
    VERDICTS = "verdicts", _("Verdicts")
    CANDIDATES = "candidates", _("Removal candidates")
    LISTS = "lists", _("Search and counts")
    REQUEST = "request", _("Automatic request")
    DONE = "done", _("Done")
    SUPERSEDED = "superseded", _("Taken over by a newer download")
    STOPPED = "stopped", _("Ended with the profile")


STEPS = (
    FollowUp.NAMES,
    FollowUp.TEAM_ADMINS,
    FollowUp.VERDICTS,
    FollowUp.CANDIDATES,
    FollowUp.LISTS,
    FollowUp.REQUEST,
)


class RunDoubt(models.TextChoices):
    """The reason to doubt a download that two people may accept nevertheless."""

    MEMBERS = "members", _("Members are missing")
    ACTIVITY = "activity", _("The activity dates are in doubt")


class StartedBy(models.TextChoices):
    SCHEDULE = "schedule", _("Schedule")
    PUBLISH = "publish", _("Publishing the profile")
    PERSON = "person", _("A person")
    COMMAND = "command", _("The command line")


class DownloadRunQuerySet(models.QuerySet["DownloadRun"]):
    def complete(self) -> DownloadRunQuerySet:
        """Runs whose facts and verdicts are written."""
        return self.filter(state=RunState.COMPLETE)

    def with_facts(self) -> DownloadRunQuerySet:
        """Runs whose facts are written. The verdicts of the newest one may still be those of the run before."""
        return self.filter(state__in=WITH_FACTS)

    def with_old_verdicts(self) -> DownloadRunQuerySet:
        """Runs whose facts are written, and whose verdicts are not."""
        return self.filter(state=RunState.EVALUATING, evaluated_at=None)

    def abandoned(self) -> DownloadRunQuerySet:
        """Runs in state Running that no process works on: it gave up the lease, or it was killed."""
        return self.filter(state=RunState.RUNNING, lease_until__lte=database_now())

    def to_follow_up(self) -> DownloadRunQuerySet:
        """Runs in state Evaluating that no process works on: it gave up the lease, or it was killed."""
        return self.filter(state=RunState.EVALUATING, lease_until__lte=database_now())


DownloadRunManager = ProfileManager.from_queryset(DownloadRunQuerySet)


class DownloadRun(models.Model):
    """One download. While it is under way, `token` and `lease_until` say which process owns it.

    It is made in parts: a task works for a limited time, gives up the lease, and the next task goes on at `cursor`.
    """

    LEASE: ClassVar[timedelta] = timedelta(seconds=90)

    # Four bytes: the history refers to it a thousand times.
    id = models.AutoField(primary_key=True)
    profile = models.ForeignKey(
        IntegrationProfile, verbose_name=_("profile"), on_delete=models.PROTECT, related_name="download_runs"
    )
    # The moment of the schedule that this run serves. A slot has at most one run, even if two beats run.
    slot = models.DateTimeField(null=True, editable=False)
    state = models.CharField(
        _("state"), max_length=12, choices=RunState.choices, default=RunState.RUNNING, editable=False
    )
    started_by = models.CharField(_("started by"), max_length=10, choices=StartedBy.choices, editable=False)
    started_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", editable=False
    )
    started_at = models.DateTimeField(_("started at"), default=database_now, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    token = models.UUIDField(default=uuid.uuid4, editable=False)
    lease_until = models.DateTimeField(editable=False)
    # The cursor of the next page: of members, then of the current step of the follow-up.
    cursor = models.CharField(max_length=250, blank=True, editable=False)
    # The cursor of an earlier page. If it comes again, the pages repeat in a loop.
    former_cursor = models.CharField(max_length=250, blank=True, editable=False)
    all_pages_in = models.BooleanField(default=False, editable=False)
    pages = models.PositiveIntegerField(default=0, editable=False)
    # The tasks that have worked on it, and the attempts since the last progress.
    parts = models.PositiveIntegerField(default=1, editable=False)
    tries = models.PositiveIntegerField(default=0, editable=False)
    # The seconds that it waited for the vendor, and the outages, since its last page.
    waited = models.FloatField(default=0, editable=False)
    outages = models.PositiveIntegerField(default=0, editable=False)
    # The current step after its facts were written; empty before that.
    follow_up = models.CharField(max_length=12, choices=FollowUp.choices, blank=True, editable=False)
    # {step: {"since", "until": ISO moments, "done": rows so far, "problem": why it was left out}}
    steps = models.JSONField(default=dict, editable=False)
    # The moment when the verdicts on its facts were written.
    evaluated_at = models.DateTimeField(null=True, editable=False)
    requests = models.PositiveIntegerField(default=0, editable=False)
    # What the requests cost in the vendor's own units (e.g. credits).
    credits = models.PositiveBigIntegerField(default=0, editable=False)
    read = models.PositiveIntegerField(default=0, editable=False)
    new = models.PositiveIntegerField(default=0, editable=False)
    changed = models.PositiveIntegerField(default=0, editable=False)
    gone = models.PositiveIntegerField(default=0, editable=False)
    unchanged = models.PositiveIntegerField(default=0, editable=False)
    # The subscriptions that it found first: their ids are greater than the first number, up to the second one. Each id
    # in between that has another `first_run` is one of another profile.
    new_after = models.PositiveBigIntegerField(default=0, editable=False)
    new_until = models.PositiveBigIntegerField(default=0, editable=False)
    # The number of members with a date that cannot be right, e.g. 1970. Such a date is unknown.
    implausible = models.PositiveIntegerField(default=0, editable=False)
    # What stopped it, and what to do next; one or two sentences.
    problem = models.TextField(blank=True, editable=False)
    # The reason of the quarantine, if people may accept the run. It stays when they do.
    doubt = models.CharField(max_length=10, choices=RunDoubt.choices, blank=True, default="", editable=False)
    # Quarantined with all its members in staging, and of the right organization: people may accept it.
    acceptable = models.BooleanField(default=False, editable=False)
    # Accepting takes two people: one proposes it with a reason, another one confirms it.
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", editable=False
    )
    proposed_at = models.DateTimeField(null=True, editable=False)
    proposal_reason = models.TextField(blank=True, editable=False)
    # Who accepted or discarded it; `state` says which.
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", editable=False
    )
    decided_at = models.DateTimeField(null=True, editable=False)
    # Whether the vendor showed who is the only admin of a team, which needs a scope of its own.
    team_admins_checked = models.BooleanField(default=False, editable=False)
    # Its snapshots were merged into those of the month's last run: see `retention`.
    thinned = models.BooleanField(default=False, editable=False)
    # {"full": 500}: the licenses that were bought, as far as the vendor shows it.
    purchased = models.JSONField(default=dict, editable=False)
    # {"members", "active", "by_license": {license: n}, "idle": {"0": n, "30": n, ..., "360": n}, "never": n,
    #  "newest_activity": "2026-11-27T08:00:00+00:00" or null}. Of a quarantined run, those of its downloaded members.
    # After the evaluation also "verdicts": {verdict: people}.
    stats = models.JSONField(default=dict, editable=False)

    profile_path: ClassVar[str] = "profile"
    objects = DownloadRunManager()

    class Meta:
        verbose_name = _("download run")
        verbose_name_plural = _("download runs")
        ordering: ClassVar = ["-started_at", "-pk"]
        default_permissions = ("view",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["profile"], condition=models.Q(state="running"), name="download_one_running"
            ),
            models.UniqueConstraint(fields=["profile", "slot"], name="download_one_per_slot"),
        ]
        indexes: ClassVar = [models.Index(fields=["started_at", "id"], name="download_started")]

    def __str__(self) -> str:
        return self.number

    @property
    def number(self) -> str:
        return f"D-{self.pk:04d}" if self.pk else "D-new"

    @property
    def is_under_way(self) -> bool:
        return self.state in UNDER_WAY

    @property
    def has_facts(self) -> bool:
        """Whether its members became the facts."""
        return self.state in WITH_FACTS

    @property
    def awaits_verdicts(self) -> bool:
        """The same as `with_old_verdicts`, for one run."""
        return self.state == RunState.EVALUATING and self.evaluated_at is None

    @property
    def duration(self) -> timedelta:
        return (self.finished_at or database_now()) - self.started_at


class DownloadedMember(models.Model):
    """Staging: one member as a run has read it. Nothing decides on these rows.

    Its table is made by a migration of its own, without a key, and on PostgreSQL without a log: a page is stored by one
    COPY. After a crash of the database it may be empty, which `staging.is_whole` finds.
    """

    # A primary key for Django only. Where pages overlap, the table may have the same member twice.
    external_id = models.CharField(max_length=40, primary_key=True)
    run = models.ForeignKey(DownloadRun, on_delete=models.CASCADE, related_name="members")
    email = models.CharField(max_length=254)
    active = models.BooleanField()
    license = models.CharField(max_length=40)
    role = models.CharField(max_length=60)
    license_assigned_at = models.DateTimeField(null=True)
    last_activity_at = models.DateTimeField(null=True)
    reclaimable = models.BooleanField()
    why_not = models.CharField(max_length=200, blank=True)
    admin_roles = LabelsField(blank=True)
    implausible_dates = models.CharField(max_length=120, blank=True)

    profile_path: ClassVar[str] = "run__profile"
    objects = ProfileManager()

    class Meta:
        managed = False
        db_table = "subscriptions_downloadedmember"
        default_permissions = ()

    def __str__(self) -> str:
        return self.email


class DownloadedPerson(models.Model):
    """One entry of the vendor's directory. A run gathers these rows until it has read all pages."""

    run = models.ForeignKey(
        DownloadRun, on_delete=models.CASCADE, related_name="people", db_index=False, db_constraint=False
    )
    external_id = models.TextField()
    name = models.TextField()
    given_name = models.TextField()
    department = models.TextField()
    cost_center = models.TextField()
    division = models.TextField()
    employee_number = models.TextField()
    manager = models.TextField()
    manager_id = models.TextField()
    language = models.TextField()

    profile_path: ClassVar[str] = "run__profile"
    objects = ProfileManager()

    class Meta:
        default_permissions = ()
        # PostgreSQL uses a hash join and needs no index. SQLite looks each member up.
        indexes: ClassVar = [models.Index(fields=["run", "external_id"], name="person_of_a_run")]

    def __str__(self) -> str:
        return self.name


class SoleTeamAdmin(models.Model):
    """A person who is the only active admin of a team. A run gathers these rows until it has read all teams."""

    run = models.ForeignKey(DownloadRun, on_delete=models.CASCADE, related_name="sole_team_admins")
    external_id = models.CharField(max_length=40)
    team = models.CharField(max_length=120)

    profile_path: ClassVar[str] = "run__profile"
    objects = ProfileManager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.team
