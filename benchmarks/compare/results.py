"""What came of a comparison: what the record holds, and what tables and plots are made from."""

from dataclasses import dataclass, field

from benchmarks.compare.intervals import Estimate
from benchmarks.stats import Spread

METRICS = ("tokens_per_s", "ttft_p50_s", "ttft_p99_s", "itl_p50_s", "itl_p99_s")
"""What a round is summarised by, and ratios are made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A contender as it was run. `failure` says why it was left out, from which concurrency on if not all.

    `weights_sha256` are those of the weights' files, by name; ours with the manifest's. `engine_settings`
    are where those of a tiber-serve are from, by its own word.

    `idle_share` is the CPU that it took before its first turn, in cores, settled and waiting. One that we
    started `is_suspended`: stopped (SIGSTOP) while others were measured. Both are None for one elsewhere.
    """

    label: str
    kind: str
    weights: str
    model: str
    versions: dict[str, str]
    settings: str
    launch_line: str
    is_ours: bool
    idle_share: float | None
    is_suspended: bool | None
    failure: str | None
    weights_sha256: dict[str, str] = field(default_factory=dict)
    engine_settings: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One measurement; `wall_s` is from the first request sent to the last token received, of each burst.

    `prompt_tokens` is of all requests, by the server's count. `events` are those that brought text: as many
    as tokens, unless a server sends several tokens at once. `others_cpu_s` is the CPU that went to anything
    but this contender and the client; None where the contender's own CPU is not known. `retried` requests
    were lost unread, and sent again.
    """

    wall_s: float
    tokens: int
    prompt_tokens: int
    events: int
    tokens_per_s: float
    ttft_p50_s: float
    ttft_p99_s: float
    itl_p50_s: float
    itl_p99_s: float
    cpu_s: float | None
    others_cpu_s: float | None
    retried: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A contender at one concurrency; `ttft_s` and `itl_s` are of all rounds together.

    `disturbed_rounds` are those in which others took more than a twentieth of the machine's time.
    """

    rounds: list[Round]
    tokens_per_s: Estimate
    ttft_s: Spread
    itl_s: Spread
    disturbed_rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Versus:
    """One of ours over a peer, by metric of `METRICS`: round by round, and the median of these."""

    ours: str
    peer: str
    by_round: dict[str, list[float]]
    estimates: dict[str, Estimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """All contenders that were measured at one concurrency, by label."""

    concurrency: int
    requests_per_round: int
    figures: dict[str, Figures]
    ratios: list[Versus]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareResults:
    """What came of it all."""

    sides: list[Side]
    levels: list[Level]

    @property
    def failures(self) -> list[str]:
        """Which contenders were left out, and why."""
        return [f"{side.label}: {side.failure}" for side in self.sides if side.failure]
