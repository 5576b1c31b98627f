"""What a verification found: the content of report.json."""

from datetime import datetime
from pathlib import Path
from typing import Literal

import pydantic

from service.manifest import Source

FILE_NAME = "report.json"
SCHEMA_VERSION = 1


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class Measures(_Model):
    """How far the converted model is from its source, over a number of positions; KL is in nats."""

    positions: int
    source_perplexity: float
    converted_perplexity: float
    perplexity_ratio: float
    kl_mean: float
    kl_p99: float
    top1_agreement: float
    confident_share: float
    confident_agreement: float


class Histogram(_Model):
    """`counts[i]` values lie between `edges[i]` and `edges[i + 1]`."""

    edges: list[float]
    counts: list[int]


class GreedyPrefixes(_Model):
    """For each prompt, for how many tokens of `limit` both models write the same greedily."""

    limit: int
    lengths: list[int]

    @property
    def mean(self) -> float:
        """Of all prompts."""
        return sum(self.lengths) / len(self.lengths)

    @property
    def whole(self) -> int:
        """For how many prompts both write the same to the end."""
        return sum(length == self.limit for length in self.lengths)


class Runner(_Model):
    """One of the two models, as it ran; speeds are of this machine under the load it had."""

    runtime: str
    device: str
    dtype: str
    properties: dict[str, str]
    size_bytes: int
    prefill_tokens_per_s: float
    decode_tokens_per_s: float


class TextSet(_Model):
    """The texts compared on; `cut` of the passages were longer than `max_tokens`."""

    sha256: str
    passages: int
    tokens: int
    cut: int
    max_tokens: int


class Check(_Model):
    """One measure against its limit, and why the limit is what it is."""

    measure: str
    value: float
    limit: float
    at: Literal["most", "least"]
    passed: bool
    reason: str


class LayerGroup(_Model):
    """The error that the weights of one group alone bring, the others being the source's."""

    group: str
    weights: int
    kl_mean: float
    rms_logit_error: float
    top1_agreement: float


class Machine(_Model):
    """Where it ran."""

    processor: str
    cores: int
    load: float = pydantic.Field(description="average load of the last minute at the end")


class Report(_Model):
    """The whole comparison; `accepted` when it is published although a check failed."""

    schema_version: Literal[1] = 1
    model: str
    weight_format: str
    source: Source
    against: str = pydantic.Field(description="name of the file or folder that the source was read from")
    converted_at: datetime
    verified_at: datetime
    texts: TextSet
    reference: Runner
    converted: Runner
    measures: Measures
    by_kind: dict[str, Measures]
    kl_histogram: Histogram
    greedy: GreedyPrefixes
    layers: list[LayerGroup] | None = None
    checks: list[Check]
    accepted: bool = False
    seconds: float
    machine: Machine
    tool_versions: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether every check did."""
        return all(check.passed for check in self.checks)


def read_report(folder: Path) -> Report | None:
    """The report in `folder`; None when it has none that can be read."""
    try:
        return Report.model_validate_json((folder / FILE_NAME).read_bytes())
    except (OSError, pydantic.ValidationError):
        return None


def write_report(folder: Path, report: Report) -> None:
    """Write `folder`/report.json, whole or not at all."""
    part = folder / f".{FILE_NAME}.part"
    part.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    part.replace(folder / FILE_NAME)
