from subscriptions.models.account import AccountPerson, AccountSettings
from subscriptions.models.download import (
    DownloadedMember,
    DownloadedPerson,
    DownloadRun,
    RunDoubt,
    RunState,
    SoleTeamAdmin,
)
from subscriptions.models.installation import Company, ReportSettings
from subscriptions.models.mail.notice import Notice, NoticeKind, NoticeState
from subscriptions.models.mail.notification import (
    Delivery,
    Deputy,
    Notification,
    NotificationChoice,
    NotificationKind,
    NotificationMail,
    NotificationRecipient,
)
from subscriptions.models.money import CandidateSeats, Contract, Per, Price, SeatFloor, VerifiedSeats
from subscriptions.models.privacy import Erasure
from subscriptions.models.protection import Protection, ProtectionKind
from subscriptions.models.reclaims.candidate import CandidateState, CloseReason, RemovalCandidate
from subscriptions.models.reclaims.evidence import EvidencePack, EvidencePackPart, PackState
from subscriptions.models.reclaims.reclaim import HoldReason, Reclaim, ReclaimState
from subscriptions.models.reclaims.reconciliation import Reconciliation
from subscriptions.models.reclaims.request import (
    Answer,
    Direction,
    KeptAs,
    ReclaimRequest,
    RequestedRemoval,
    RequestState,
)
from subscriptions.models.report import MonthlyReport
from subscriptions.models.rights import ChangeKind, ChangeState, DecidingRight, RightsChange
from subscriptions.models.rules.evaluation import Bucket, CountDue, Evaluation, PastBucket
from subscriptions.models.rules.rule import (
    AdminRoles,
    FileRequests,
    KeepMeans,
    LicenseThreshold,
    NeverActive,
    ReclaimRule,
)
from subscriptions.models.snapshot import ActivitySnapshot, RecheckSnapshot
from subscriptions.models.subscription import PersonToReview, SearchText, Subscription, VendorFacts, Verdict

__all__ = [
    "AccountPerson",
    "AccountSettings",
    "ActivitySnapshot",
    "AdminRoles",
    "Answer",
    "Bucket",
    "CandidateSeats",
    "CandidateState",
    "ChangeKind",
    "ChangeState",
    "CloseReason",
    "Company",
    "Contract",
    "CountDue",
    "DecidingRight",
    "Delivery",
    "Deputy",
    "Direction",
    "DownloadRun",
    "DownloadedMember",
    "DownloadedPerson",
    "Erasure",
    "Evaluation",
    "EvidencePack",
    "EvidencePackPart",
    "FileRequests",
    "HoldReason",
    "KeepMeans",
    "KeptAs",
    "LicenseThreshold",
    "MonthlyReport",
    "NeverActive",
    "Notice",
    "NoticeKind",
    "NoticeState",
    "Notification",
    "NotificationChoice",
    "NotificationKind",
    "NotificationMail",
    "NotificationRecipient",
    "PackState",
    "PastBucket",
    "Per",
    "PersonToReview",
    "Price",
    "Protection",
    "ProtectionKind",
    "RecheckSnapshot",
    "Reclaim",
    "ReclaimRequest",
    "ReclaimRule",
    "ReclaimState",
    "Reconciliation",
    "RemovalCandidate",
    "ReportSettings",
    "RequestState",
    "RequestedRemoval",
    "RightsChange",
    "RunDoubt",
    "RunState",
    "SearchText",
    "SeatFloor",
    "SoleTeamAdmin",
    "Subscription",
    "VendorFacts",
    "Verdict",
    "VerifiedSeats",
]
