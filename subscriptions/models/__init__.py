from subscriptions.models.bucket import Crowd
from subscriptions.models.candidate import CandidateState, CloseReason, RemovalCandidate
from subscriptions.models.download import DownloadedMember, DownloadRun, RunState
from subscriptions.models.evaluation import Judgment
from subscriptions.models.notice import Notice, NoticeKind, NoticeState
from subscriptions.models.protection import Exclusion, ExclusionKind
from subscriptions.models.reclaim import HoldReason, Reclaim, ReclaimState
from subscriptions.models.reconciliation import Comparison
from subscriptions.models.request import Answer, Direction, ReclaimRequest, RequestedRemoval, RequestState
from subscriptions.models.rule import FileRequests, KeepMeans, LicenseThreshold, NeverActive, ReclaimRule
from subscriptions.models.snapshot import ActivitySnapshot, ChangeBetweenRuns
from subscriptions.models.subscription import SearchText, Subscription, Verdict

__all__ = [
    "ActivitySnapshot",
    "Answer",
    "CandidateState",
    "ChangeBetweenRuns",
    "CloseReason",
    "Comparison",
    "Crowd",
    "Direction",
    "DownloadRun",
    "DownloadedMember",
    "Exclusion",
    "ExclusionKind",
    "FileRequests",
    "HoldReason",
    "Judgment",
    "KeepMeans",
    "LicenseThreshold",
    "NeverActive",
    "Notice",
    "NoticeKind",
    "NoticeState",
    "Reclaim",
    "ReclaimRequest",
    "ReclaimRule",
    "ReclaimState",
    "RemovalCandidate",
    "RequestState",
    "RequestedRemoval",
    "RunState",
    "SearchText",
    "Subscription",
    "Verdict",
]
