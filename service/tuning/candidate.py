"""What can be tried, and what a trial brings."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import median

EXACT: Mapping[str, str] = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}
"""The properties under which the engine computes what the weights mean, whatever shares the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to run the model.

    properties: OpenVINO's. max_batched_tokens: of all requests in one step. max_running: requests at once.
    """

    name: str
    properties: Mapping[str, str] = field(default_factory=dict)
    max_batched_tokens: int = 256
    max_running: int = 100

    def changed(
        self,
        name: str,
        properties: Mapping[str, str] | None = None,
        *,
        max_batched_tokens: int | None = None,
        max_running: int | None = None,
    ) -> "Candidate":
        """The same with some changes, called after itself and them."""
        return replace(
            self,
            name=f"{self.name}, {name}",
            properties={**self.properties, **(properties or {})},
            max_batched_tokens=max_batched_tokens or self.max_batched_tokens,
            max_running=max_running or self.max_running,
        )

    def differs_in_numbers_alone(self, other: "Candidate") -> bool:
        """Whether nothing but what is computed sets the two apart: neither threads nor batches."""
        return self.properties != other.properties and self._beside_numbers() == other._beside_numbers()

    def _beside_numbers(self) -> tuple[object, ...]:
        others = {name: value for name, value in self.properties.items() if name not in EXACT}
        return others, self.max_batched_tokens, self.max_running

    @property
    def is_exact(self) -> bool:
        """Whether it holds EXACT: all that reproducible answers need."""
        return all(self.properties.get(name) == value for name, value in EXACT.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one round brought: tokens/s of one request and of many, and seconds to a first token."""

    alone_per_s: float
    together_per_s: float
    ttft_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """How many times better than something else: above 1 is better, `first_token` too."""

    alone: float
    together: float
    first_token: float

    def over(self, other: "Gain") -> "Gain":
        """The gain over what has the gain `other` over the same thing."""
        return Gain(
            alone=self.alone / other.alone,
            together=self.together / other.together,
            first_token=self.first_token / other.first_token,
        )


NO_GAIN = Gain(alone=1.0, together=1.0, first_token=1.0)


def medians(samples: list[Sample]) -> Sample:
    """The median of each figure."""
    return Sample(
        alone_per_s=median(one.alone_per_s for one in samples),
        together_per_s=median(one.together_per_s for one in samples),
        ttft_s=median(one.ttft_s for one in samples),
    )


def gain(samples: list[Sample], control: list[Sample]) -> Gain:
    """The ratios of the medians of two series that were measured in turn."""
    mine, theirs = medians(samples), medians(control)
    return Gain(
        alone=mine.alone_per_s / theirs.alone_per_s,
        together=mine.together_per_s / theirs.together_per_s,
        first_token=theirs.ttft_s / mine.ttft_s,
    )
