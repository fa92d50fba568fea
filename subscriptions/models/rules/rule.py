"""The reclaim rule says when a person is inactive. Each profile has one."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from integrations.models import IntegrationProfile
from integrations.scopes.visibility import ProfileManager

THRESHOLD = [
    MinValueValidator(1, _("Enter the threshold in days, at least 1. Usual values are 30, 60 and 90.")),
    MaxValueValidator(3650, _("Enter the threshold in days, at most 3650 (ten years).")),
]
PERCENT = [
    MinValueValidator(1, _("At least 1 percent. To stop everything, stop sending for the profile.")),
    MaxValueValidator(100, _("At most 100 percent.")),
]


class NeverActive(models.TextChoices):
    REVIEW = "review", _("Show them for review")
    CANDIDATE = "candidate", _("Make them candidates, counted from the day the license was assigned")


class AdminRoles(models.TextChoices):
    REVIEW = "review", _("Show them for review when they are inactive")
    CANDIDATE = "candidate", _("Treat them like everybody else")
    LEAVE = "leave", _("Leave them alone")


class KeepMeans(models.TextChoices):
    FINAL = "final", _("The seat stays; nobody needs to decide")
    ASK = "ask", _("The approver sees the wish and decides")


class FileRequests(models.TextChoices):
    BY_HAND = "by_hand", _("By hand: somebody chooses candidates and asks")
    AUTOMATIC = "automatic", _("After each download, up to the batch cap; a person still approves")


class ReclaimRule(models.Model):
    """The terms that decide who is a candidate. `version` counts the changes, and is part of the evidence."""

    profile = models.OneToOneField(IntegrationProfile, on_delete=models.PROTECT, related_name="rule")
    last_activity_threshold = models.PositiveIntegerField(
        _("last activity threshold"),
        default=60,
        validators=THRESHOLD,
        help_text=_("Days without activity after which a seat counts as unused."),
    )
    licenses = models.JSONField(_("license types"), default=list)
    new_joiner_grace = models.PositiveIntegerField(
        _("new joiner grace"),
        default=30,
        validators=[MaxValueValidator(3650)],
        help_text=_("Days after a license was assigned in which nobody is a candidate."),
    )
    never_active = models.CharField(
        _("people who were never active"), max_length=10, choices=NeverActive.choices, default=NeverActive.REVIEW
    )
    admin_roles = models.CharField(
        _("people with an admin role"),
        max_length=10,
        choices=AdminRoles.choices,
        default=AdminRoles.REVIEW,
        help_text=_("Roles with which somebody administers a part of the organization, e.g. its users or content."),
    )
    notify_user = models.BooleanField(
        _("notify user"),
        default=False,
        help_text=_("Each person is asked by mail first, and may keep or release the seat."),
    )
    days_to_answer = models.PositiveIntegerField(
        _("days to answer"),
        default=7,
        validators=[
            MinValueValidator(1, _("Give people at least one day to answer.")),
            MaxValueValidator(90, _("Give people at most 90 days to answer.")),
        ],
        help_text=_("Counted from the day the mail was handed over. A reminder goes out half-way."),
    )
    keep_means = models.CharField(
        _("when somebody keeps the seat"), max_length=10, choices=KeepMeans.choices, default=KeepMeans.FINAL
    )
    file_requests = models.CharField(
        _("file requests"), max_length=10, choices=FileRequests.choices, default=FileRequests.BY_HAND
    )
    batch_cap_people = models.PositiveIntegerField(
        _("people per request"),
        default=50,
        validators=[MinValueValidator(1, _("A request needs room for at least one person."))],
        help_text=_("A larger request can be approved only after another person has raised its cap."),
    )
    batch_cap_percent = models.PositiveIntegerField(
        _("percent of active licenses per request"),
        default=5,
        validators=PERCENT,
        help_text=_("The smaller cap counts."),
    )
    rolling_cap_percent = models.PositiveIntegerField(
        _("percent of active licenses in 24 hours"),
        default=10,
        validators=PERCENT,
        help_text=_("What is approved beyond this waits; nothing is lost."),
    )
    stale_feed_days = models.PositiveIntegerField(
        _("days without any activity"),
        default=3,
        validators=[
            MinValueValidator(1, _("At least one day.")),
            MaxValueValidator(90, _("At most 90 days. If a feed has stopped for longer, people look inactive.")),
        ],
        help_text=_(
            "A download without any activity in these days is quarantined, if the download before had some. 3 "
            "days cover a weekend; allow more where the whole company is away for longer."
        ),
    )
    surge_factor = models.PositiveIntegerField(
        _("times as many inactive people"),
        default=2,
        validators=[
            MinValueValidator(2, _("At least 2: twice as many as in the download before.")),
            MaxValueValidator(100, _("At most 100 times as many.")),
        ],
        help_text=_(
            "A download is quarantined if its share of inactive people is more than this many times the share of the "
            "download before, and above the percentage below."
        ),
    )
    surge_percent = models.PositiveIntegerField(
        _("percent of active licenses that are inactive"),
        default=10,
        validators=[
            MinValueValidator(1, _("At least 1 percent.")),
            MaxValueValidator(100, _("At most 100 percent. With 100, no download is doubted for this reason.")),
        ],
        help_text=_("Up to this share, a download is accepted."),
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    # Set while everybody has to be evaluated again; the process that does it holds the lease. See `rules.evaluation`.
    evaluation_due_at = models.DateTimeField(null=True, editable=False)
    evaluation_lease_until = models.DateTimeField(null=True, editable=False)
    # The moment of the last evaluation of everybody: the time spans in verdicts and charts end then.
    evaluated_at = models.DateTimeField(null=True, editable=False)
    changed_at = models.DateTimeField(auto_now=True)

    profile_path: ClassVar[str] = "profile"
    objects = ProfileManager()

    class Meta:
        verbose_name = _("reclaim rule")
        verbose_name_plural = _("reclaim rules")
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return _("{profile}: {days} days").format(profile=self.profile, days=self.last_activity_threshold)


class LicenseThreshold(models.Model):
    """Another threshold for one license type."""

    rule = models.ForeignKey(ReclaimRule, on_delete=models.CASCADE, related_name="license_thresholds")
    license = models.CharField(_("license type"), max_length=40)
    last_activity_threshold = models.PositiveIntegerField(_("last activity threshold"), validators=THRESHOLD)

    profile_path: ClassVar[str] = "rule__profile"
    objects = ProfileManager()

    class Meta:
        verbose_name = _("threshold for a license type")
        verbose_name_plural = _("thresholds for license types")
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["rule", "license"], name="threshold_one_per_license")]

    def __str__(self) -> str:
        return _("{license}: {days} days").format(license=self.license, days=self.last_activity_threshold)
