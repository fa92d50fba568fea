from subscriptions.models.candidate import CandidateState, CloseReason, RemovalCandidate
from subscriptions.models.download import DownloadedMember, DownloadRun, RunState
from subscriptions.models.reclaim import Direction, HoldReason, Reclaim, ReclaimState
from subscriptions.models.request import ReclaimRequest, RequestedRemoval, RequestState
from subscriptions.models.rule import LicenseThreshold, NeverActive, ReclaimRule
from subscriptions.models.subscription import ActivitySnapshot, Subscription, Verdict

__all__ = [
    "ActivitySnapshot",
    "CandidateState",
    "CloseReason",
    "Direction",
    "DownloadRun",
    "DownloadedMember",
    "HoldReason",
    "LicenseThreshold",
    "NeverActive",
    "Reclaim",
    "ReclaimRequest",
    "ReclaimRule",
    "ReclaimState",
    "RemovalCandidate",
    "RequestState",
    "RequestedRemoval",
    "RunState",
    "Subscription",
    "Verdict",
]
