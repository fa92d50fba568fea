"""A storm: faults mixed by chance, the same for the same seed. `Faults` is for the one that a test wants right now."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from integrations.connectors.miro.sandbox.behavior.faults import MATCHES, Fault
from integrations.connectors.miro.sandbox.messages import Answer, Json, Request, SandboxError

# What may strike any request whatever it asks for.
MIXABLE = ("rate_limited", "error_before", "error_after", "hang", "hang_after", "truncated", "cut", "html")


@dataclass(frozen=True, slots=True)
class Weather:
    """`mix`: kind of fault -> its share of the requests that `match`.

    `limited_seconds` is how long a 429 asks everybody to wait.
    """

    seed: int
    mix: Mapping[str, float]
    match: dict[str, str] = field(default_factory=dict)
    hang_seconds: float = 3.0
    limited_seconds: float = 1.0

    def kind(self, request: Request) -> str:
        """What strikes this request, or "". Decided by the seed and the number of the request, by nothing else."""
        rest = random.Random(f"{self.seed}:{request.n}").random()  # noqa: S311 - the same storm in each run
        for kind, share in self.mix.items():
            if rest < share:
                return kind
            rest -= share
        return ""


class Storm:
    """The weather in force, if any, and how often it struck."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._weather: Weather | None = None
        self._struck: Counter[str] = Counter()

    def begin(self, doc: Json) -> Json:
        weather = _weather(doc)
        with self._lock:
            self._weather, self._struck = weather, Counter()
        return self.as_json()

    def end(self) -> Json:
        """How often it struck is still told."""
        with self._lock:
            self._weather = None
        return self.as_json()

    def as_json(self) -> Json:
        with self._lock:
            return {"storm": asdict(self._weather) if self._weather else None, "struck": dict(self._struck)}

    def pick(self, request: Request, answer: Answer | None = None) -> Fault | None:
        """As `Faults.pick`: before the request is carried out, or after it."""
        with self._lock:
            weather = self._weather
            if weather is None:
                return None
            seconds = {"rate_limited": weather.limited_seconds}
            kind = weather.kind(request)
            fault = Fault(kind, match=weather.match, seconds=seconds.get(kind, weather.hang_seconds))
            if not kind or fault.is_before != (answer is None) or not fault.wants(request, answer):
                return None
            self._struck[kind] += 1
            return fault


def _weather(doc: Json) -> Weather:
    try:
        weather = Weather(**doc)
        shares = [float(share) for share in weather.mix.values()]
    except (TypeError, ValueError, AttributeError) as error:
        raise SandboxError(f"A storm cannot be made of {doc!r}.") from error
    if set(weather.mix) - set(MIXABLE):
        raise SandboxError(f"A storm is mixed of {', '.join(MIXABLE)}.")
    if min(shares, default=0) < 0 or sum(shares) > 1:
        raise SandboxError("The shares of a storm are none below 0, and together at most 1.")
    if set(weather.match) - MATCHES:
        raise SandboxError(f"match takes {', '.join(sorted(MATCHES))}.")
    return weather
