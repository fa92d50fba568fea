"""A storm: random faults, the same for the same seed. `Faults` holds the single faults that a test asks for."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from integrations.connectors.miro.sandbox.behavior.faults import MATCHES, Fault
from integrations.connectors.miro.sandbox.messages import Answer, Json, Request, SandboxError

# Faults that fit any request.
MIXABLE = (
    "rate_limited",
    "error_before",
    "error_after",
    "hang",
    "hang_after",
    "truncated",
    "cut",
    "html",
    "other_json",
)


@dataclass(frozen=True, slots=True)
class FaultMix:
    """`mix`: kind of fault -> its share of the requests that `match`.

    `limited_seconds` is the wait that a 429 asks for.
    """

    seed: int
    mix: Mapping[str, float]
    match: dict[str, str] = field(default_factory=dict)
    hang_seconds: float = 3.0
    limited_seconds: float = 1.0

    def kind(self, request: Request) -> str:
        """The fault for this request, or "". It depends only on the seed and the number of the request."""
        rest = random.Random(f"{self.seed}:{request.n}").random()  # noqa: S311 - the same storm in each run
        for kind, share in self.mix.items():
            if rest < share:
                return kind
            rest -= share
        return ""


class FaultStorm:
    """The mix in force, if any, and how many requests each kind of fault hit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fault_mix: FaultMix | None = None
        self._struck: Counter[str] = Counter()

    def begin(self, doc: Json) -> Json:
        fault_mix = _fault_mix(doc)
        with self._lock:
            self._fault_mix, self._struck = fault_mix, Counter()
        return self.as_json()

    def end(self) -> Json:
        """The counts stay."""
        with self._lock:
            self._fault_mix = None
        return self.as_json()

    def as_json(self) -> Json:
        with self._lock:
            return {"storm": asdict(self._fault_mix) if self._fault_mix else None, "struck": dict(self._struck)}

    def pick(self, request: Request, answer: Answer | None = None) -> Fault | None:
        """The fault for a request before it is carried out (no answer yet), or after it; see `Faults.pick`."""
        with self._lock:
            fault_mix = self._fault_mix
            if fault_mix is None:
                return None
            seconds = {"rate_limited": fault_mix.limited_seconds}
            kind = fault_mix.kind(request)
            fault = Fault(kind, match=fault_mix.match, seconds=seconds.get(kind, fault_mix.hang_seconds))
            if not kind or fault.is_before != (answer is None) or not fault.matches(request, answer):
                return None
            self._struck[kind] += 1
            return fault


def _fault_mix(doc: Json) -> FaultMix:
    try:
        fault_mix = FaultMix(**doc)
        shares = [float(share) for share in fault_mix.mix.values()]
    except (TypeError, ValueError, AttributeError) as error:
        raise SandboxError(f"A storm cannot be made of {doc!r}.") from error
    if set(fault_mix.mix) - set(MIXABLE):
        raise SandboxError(f"A storm can hold {', '.join(MIXABLE)}.")
    if min(shares, default=0) < 0 or sum(shares) > 1:
        raise SandboxError("The shares of a storm must not be below 0, nor above 1 together.")
    if set(fault_mix.match) - MATCHES:
        raise SandboxError(f"match takes {', '.join(sorted(MATCHES))}.")
    return fault_mix
