"""Subscriptions: who holds which license, as downloaded, and the possible verdicts on it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar, NamedTuple

from django.db import models
from django.db.models import Case, F, Value, When
from django.db.models.functions import Coalesce, Lower
from django.utils.translation import gettext_lazy as _

from integrations.connectors.contract import is_plain, normalized
from integrations.models import IntegrationProfile
from integrations.scopes.visibility import ProfileManager
from licensehub.translations.stored import translated
from subscriptions.models.download import DownloadRun
from subscriptions.models.fields import LabelsField, position_of


class Verdict(models.TextChoices):
    """The reason for which a subscription is, or is not, a candidate. See `eligibility.clauses`, which picks one."""

    NOT_EVALUATED = "not_evaluated", _("Not evaluated yet")
    GONE = "gone", _("Left the organization")
    DEACTIVATED = "deactivated", _("Deactivated")
    UNKNOWN = "unknown", _("Facts missing")
    NOT_IN_SCOPE = "not_in_scope", _("License not in scope")
    CANNOT_BE_REMOVED = "cannot_be_removed", _("Cannot be removed")
    PROTECTED = "protected", _("Protected")
    COOLING_DOWN = "cooling_down", _("Cooling down")
    IN_GRACE = "in_grace", _("New joiner")
    ACTIVE = "active", _("Active lately")
    DATES_WENT_BACK = "dates_went_back", _("Dates went back")
    ADMIN_ROLE = "admin_role", _("Admin role")
    NEVER_ACTIVE = "never_active", _("Never active")
    CANDIDATE = "candidate", _("Inactive")


class ReviewAct(StrEnum):
    """The action that the list *Needs review* suggests for a person. The other actions are in the menu of the row."""

    KEEP = "keep"
    LOOK_UP = "look_up"


class ReviewReason(NamedTuple):
    """A verdict that waits for a person's decision. Its label names the tab, and its clause has the sentence.

    The clause of a reason must be false where `Subscription.review_passed` is set: an admin has decided then.
    """

    verdict: Verdict
    suggested: ReviewAct


# The reasons of the list *Needs review*, in the order of its tabs.
REVIEW_REASONS = (
    ReviewReason(Verdict.NEVER_ACTIVE, ReviewAct.KEEP),
    ReviewReason(Verdict.DATES_WENT_BACK, ReviewAct.KEEP),
    ReviewReason(Verdict.ADMIN_ROLE, ReviewAct.KEEP),
    ReviewReason(Verdict.UNKNOWN, ReviewAct.LOOK_UP),
)
# The verdicts that the lists group besides the candidates.
NEEDS_REVIEW = tuple(reason.verdict for reason in REVIEW_REASONS)
# The same values as SQL text; a test compares them.
REVIEW_LABELS = _("Never active, dates went back, admin role, facts missing")
LEFT_OUT = (Verdict.CANNOT_BE_REMOVED, Verdict.PROTECTED)


# These people take no seat, whatever the rule says.
TAKES_NO_SEAT = (Verdict.GONE, Verdict.DEACTIVATED)


# The facts that a download writes. Staging and Subscription have the same columns. Only `last_activity_at` may differ:
# see `activity.known_dates`.
FACTS = (
    "email",
    "active",
    "license",
    "role",
    "license_assigned_at",
    "last_activity_at",
    "reclaimable",
    "why_not",
    "admin_roles",
    "implausible_dates",
)

# The columns for a vendor's date that is older than the known one, or empty.
WENT_BACK = ("dates_went_back", "vendor_activity_at")
# A change of these ends `review_passed`: the decision was made on other facts.
REVIEWED_FACTS = (*(fact for fact in FACTS if fact not in ("email", "why_not")), *WENT_BACK)

# A seat that counts: in the organization, and not deactivated.
HELD = models.Q(active=True, gone_at=None)
# All others. Written out, since an index has this condition and PostgreSQL must recognize it.
FREE = models.Q(active=False) | models.Q(gone_at__isnull=False)
HAS_ADMIN_ROLE = ~models.Q(admin_roles="")
NEVER_ACTIVE = HELD & models.Q(last_activity_at=None)
# Counts and charts show this verdict: facts that are newer than the verdicts count first.
SHOWN_VERDICT = Case(
    When(gone_at__isnull=False, then=Value(Verdict.GONE.value)),
    When(active=False, then=Value(Verdict.DEACTIVATED.value)),
    When(evaluation=None, then=Value(Verdict.NOT_EVALUATED.value)),
    default=F("evaluation__verdict"),
    output_field=models.CharField(),
)


class AsciiLower(Lower):
    """Lower case of ASCII letters only, on both databases and in every locale. `normalized` lowers other letters."""

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template='LOWER(%(expressions)s COLLATE "C")', **extra)


def comparable(email: str) -> str:
    """The value of the column `normalized_email` for this address."""
    return "" if is_plain(email) else normalized(email)


def address_key() -> Case:
    """An expression for rows of Subscription: `normalized(email)`. Addresses are compared by it. Empty without one."""
    return Case(When(normalized_email="", then=AsciiLower("email")), default=F("normalized_email"))


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def with_admin_role(self, role: str = "") -> SubscriptionQuerySet:
        """People who have this admin role; with "" those who have any."""
        rows = self.filter(HAS_ADMIN_ROLE)
        return rows.alias(at=position_of(Value(role), F("admin_roles"))).filter(at__gt=0) if role else rows

    def admin_roles_seen(self) -> list[str]:
        """All admin roles of these people, sorted. Few people have one."""
        stored = self.filter(HAS_ADMIN_ROLE).order_by().values_list("admin_roles", flat=True).distinct()
        return sorted({role for roles in stored for role in roles}, key=lambda role: (role.casefold(), role))

    def held(self) -> SubscriptionQuerySet:
        """Seats that count."""
        return self.filter(HELD)

    def with_verdict(self, verdict: str) -> SubscriptionQuerySet:
        """The people with this `SHOWN_VERDICT`, read by the index of the verdicts."""
        if verdict in TAKES_NO_SEAT:
            return self.filter(evaluation__verdict=verdict)
        return self.filter(HELD, evaluation__verdict=verdict)

    def candidates(self) -> SubscriptionQuerySet:
        """The inactive people: held seats of which the saved rule says so."""
        return self.with_verdict(Verdict.CANDIDATE)


SubscriptionManager = ProfileManager.from_queryset(SubscriptionQuerySet)


class Subscription(models.Model):
    """One person in one organization: the facts from the vendor. `Evaluation` has the verdict on them."""

    # Four bytes: its history refers to it a thousand times.
    id = models.AutoField(primary_key=True)
    # No index of its own: the unique constraint below begins with it. No foreign key: only the merge writes rows, a
    # hundred thousand at once, and to check the keys of a row costs more than to write it. The runs below, too.
    profile = models.ForeignKey(
        IntegrationProfile,
        on_delete=models.PROTECT,
        related_name="subscriptions",
        editable=False,
        db_index=False,
        db_constraint=False,
    )
    external_id = models.CharField(_("vendor ID"), max_length=40, editable=False)
    email = models.CharField(_("e-mail"), max_length=254, editable=False)
    # `normalized(email)` if it differs from the lower case, else empty: see `address_key`.
    normalized_email = models.CharField(max_length=254, blank=True, default="", db_default="", editable=False)
    name = models.CharField(max_length=254, blank=True, default="", db_default="", editable=False)
    department = models.CharField(max_length=120, blank=True, default="", db_default="", editable=False)
    cost_center = models.CharField(max_length=120, blank=True, default="", db_default="", editable=False)
    given_name = models.CharField(max_length=120, blank=True, default="", db_default="", editable=False)
    division = models.CharField(max_length=120, blank=True, default="", db_default="", editable=False)
    employee_number = models.CharField(max_length=60, blank=True, default="", db_default="", editable=False)
    manager = models.CharField(max_length=254, blank=True, default="", db_default="", editable=False)
    # The directory's reference to the manager: mostly the vendor's id of that person.
    manager_id = models.CharField(max_length=254, blank=True, default="", db_default="", editable=False)
    # The preferred language in the directory. Mails to this person are in this language.
    language = models.CharField(max_length=60, blank=True, default="", db_default="", editable=False)
    active = models.BooleanField(editable=False)
    license = models.CharField(max_length=40, editable=False)
    role = models.CharField(max_length=60, editable=False)
    license_assigned_at = models.DateTimeField(_("assigned since"), null=True, editable=False)
    last_activity_at = models.DateTimeField(_("last activity"), null=True, editable=False)
    # The vendor now shows an older date than `last_activity_at`, or none: `vendor_activity_at`.
    dates_went_back = models.BooleanField(default=False, db_default=False, editable=False)
    vendor_activity_at = models.DateTimeField(_("last activity as the vendor says now"), null=True, editable=False)
    # Dates of the vendor that cannot be right: `last activity 1970-01-01`. The columns above are empty then.
    implausible_dates = models.CharField(max_length=120, blank=True, default="", db_default="", editable=False)
    reclaimable = models.BooleanField(editable=False)
    why_not = models.CharField(max_length=200, blank=True, editable=False)
    # Roles with which this person administers a part of the organization, in the vendor's words.
    admin_roles = LabelsField(blank=True, default=(), db_default="", editable=False)
    # Teams that would have no admin without this person; the vendor refuses to deactivate such a person.
    sole_admin_of = models.CharField(max_length=500, blank=True, default="", db_default="", editable=False)
    idle_since = models.GeneratedField(
        expression=Coalesce("last_activity_at", "license_assigned_at"),
        output_field=models.DateTimeField(null=True),
        db_persist=True,
    )
    # Set only by a complete and plausible run.
    gone_at = models.DateTimeField(null=True, editable=False)
    cooldown_until = models.DateTimeField(null=True, editable=False)
    cooldown_reason = models.CharField(max_length=200, blank=True, default="", db_default="", editable=False)
    # An admin made this person a candidate although a review was needed. The next change of the facts ends that.
    review_passed = models.BooleanField(default=False, db_default=False, editable=False)
    # The run that found this row first, and the one that last wrote it; rows that did not change are not written.
    first_run = models.ForeignKey(
        DownloadRun, on_delete=models.PROTECT, related_name="+", editable=False, db_index=False, db_constraint=False
    )
    changed_run = models.ForeignKey(
        DownloadRun, on_delete=models.PROTECT, related_name="+", editable=False, db_index=False, db_constraint=False
    )
    facts_at = models.DateTimeField(_("facts of"), editable=False)
    # The same person's row before this one, in this profile or an archived one: see downloads.facts.former_accounts.
    former = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        related_name="later",
        editable=False,
        db_index=False,
        db_constraint=False,
    )
    profile_path: ClassVar[str] = "profile"
    objects = SubscriptionManager()

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        ordering: ClassVar = ["profile", "idle_since", "pk"]
        default_permissions = ("view",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["profile", "external_id"], name="subscription_one_per_member")
        ]
        # Each of these costs every download; the last three hold few rows.
        indexes: ClassVar = [
            models.Index(fields=["idle_since", "id"], name="subscription_idle"),
            models.Index(fields=["license"], name="subscription_license"),
            models.Index(fields=["role"], name="subscription_role"),
            models.Index(fields=["idle_since", "id"], condition=NEVER_ACTIVE, name="subscription_never"),
            models.Index(fields=["idle_since", "id"], condition=FREE, name="subscription_free"),
            models.Index(fields=["former"], condition=models.Q(former__isnull=False), name="subscription_former"),
            models.Index(fields=["idle_since", "id"], condition=HAS_ADMIN_ROLE, name="subscription_admin"),
        ]

    def __str__(self) -> str:
        return self.display_name

    @property
    def display_name(self) -> str:
        """The name, or the e-mail address of those whom the directory does not know."""
        return self.name or self.email or f"Member {self.external_id}"

    @property
    def verdict(self) -> Verdict:
        """The verdict of its `evaluation`, which a list loads with `select_related`."""
        evaluation = getattr(self, "evaluation", None)
        return Verdict(evaluation.verdict) if evaluation else Verdict.NOT_EVALUATED

    @property
    def license_label(self) -> str:
        return self.profile.license_label(self.license)

    @property
    def role_label(self) -> str:
        return translated(self.profile.connector.roles.get(self.role, self.role))

    @property
    def admin_roles_label(self) -> str:
        """`Content Admin, User Admin`; empty for people without an admin role."""
        return ", ".join(self.admin_roles)

    @property
    def all_roles_label(self) -> str:
        """`Member, User Admin`: the role in the organization, and the admin roles."""
        return ", ".join((self.role_label, *self.admin_roles))


class PersonToReview(Subscription):
    """A subscription in the list *Needs review*."""

    class Meta:
        proxy = True
        verbose_name = _("person to review")
        verbose_name_plural = _("people to review")
        default_permissions: ClassVar = ()


class VendorFacts(models.Model):
    """The facts that the vendor showed last for each person. It reads columns of the table of subscriptions.

    It has no field `last_activity_at`: a query annotates the vendor's own date under this name. So the clauses of a
    rule can evaluate these rows as they evaluate downloaded members.
    """

    id = models.AutoField(primary_key=True)
    profile_id = models.BigIntegerField()
    email = models.CharField(max_length=254)
    active = models.BooleanField()
    license = models.CharField(max_length=40)
    role = models.CharField(max_length=60)
    license_assigned_at = models.DateTimeField(null=True)
    known_activity_at = models.DateTimeField(null=True, db_column="last_activity_at")
    dates_went_back = models.BooleanField()
    vendor_activity_at = models.DateTimeField(null=True)
    implausible_dates = models.CharField(max_length=120)
    admin_roles = LabelsField()
    reclaimable = models.BooleanField()
    gone_at = models.DateTimeField(null=True)

    profile_path: ClassVar[str] = "profile_id"
    objects = ProfileManager()

    class Meta:
        managed = False
        db_table = "subscriptions_subscription"
        default_permissions = ()

    def __str__(self) -> str:
        return self.email


class SearchText(models.Model):
    """The texts of a person by which lists search, sort and filter: see `subscriptions.search`.

    Name and e-mail address are as `folded` makes them; department and cost center are copies, NULL where there is none.
    A separate table: an UPDATE of a row rewrites every index of its table, and the trigram index (PostgreSQL only,
    created by a migration) costs more than all others together.
    """

    subscription = models.OneToOneField(
        Subscription, on_delete=models.CASCADE, primary_key=True, related_name="search", db_constraint=False
    )
    MAX_TEXT: ClassVar[int] = 520
    MAX_ADDRESS: ClassVar[int] = 254
    text = models.CharField(max_length=MAX_TEXT)
    address = models.CharField(max_length=MAX_ADDRESS)
    # NULL and not an empty text, so that lists show those people last in either direction.
    department = models.CharField(max_length=120, null=True)
    cost_center = models.CharField(max_length=120, null=True)

    profile_path: ClassVar[str] = "subscription__profile"
    objects = ProfileManager()

    class Meta:
        default_permissions: ClassVar = ()
        indexes: ClassVar = [
            models.Index(fields=["address"], name="search_address"),
            models.Index(fields=["text", "subscription"], name="search_text"),
            models.Index(fields=["department", "subscription"], name="search_department"),
            models.Index(fields=["cost_center", "subscription"], name="search_cost_center"),
        ]

    def __str__(self) -> str:
        return self.text
