"""Judges requests by what was promised for them; pure."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.stats import gaps, percentile
from benchmarks.traffic.samples import Sample
from benchmarks.traffic.specs import read_duration_s
from service.errors import ConfigError

_ITL_PERCENT = 99


def ttft_s(sample: Sample) -> float:
    """From when it was due until the first chunk."""
    return sample.chunk_times_s[0] - sample.due_s


def end_to_end_s(sample: Sample) -> float:
    """From when it was due until the response had ended."""
    return sample.ended_s - sample.due_s


def tpot_s(sample: Sample) -> float | None:
    """Time per output token after the first chunk; None for a single token."""
    if sample.output_tokens is None or sample.output_tokens < 2:
        return None
    return (sample.chunk_times_s[-1] - sample.chunk_times_s[0]) / (sample.output_tokens - 1)


def itl_s(sample: Sample) -> float | None:
    """99 of 100 of its gaps between chunks are at most this long; None for a single chunk."""
    between = gaps(sample.chunk_times_s)
    return percentile(between, _ITL_PERCENT) if between else None


_MEASURES: dict[str, Callable[[Sample], float | None]] = {
    "ttft": ttft_s,
    "itl": itl_s,
    "tpot": tpot_s,
    "e2e": end_to_end_s,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """Service level objectives: the most seconds that each measure of a request may take."""

    limits_s: dict[str, float]

    @classmethod
    def from_spec(cls, text: str) -> "Slo":
        """Read `ttft=500ms,itl=100ms`. Raises: ConfigError when it says anything else."""
        limits_s = {}
        for part in filter(None, (one.strip() for one in text.split(","))):
            name, _, value = part.partition("=")
            if name not in _MEASURES:
                allowed = ", ".join(_MEASURES)
                raise ConfigError(f"--slo knows {allowed}, not {name!r}: for example ttft=500ms,itl=100ms")
            if name in limits_s:
                raise ConfigError(f"--slo has {name} twice")
            limits_s[name] = read_duration_s(value, f"--slo {name}")
        if not limits_s:
            raise ConfigError("--slo is empty: for example ttft=500ms,itl=100ms")
        return cls(limits_s=limits_s)

    def is_met(self, sample: Sample) -> bool:
        """Whether it was answered, and within every limit."""
        if sample.failure is not None:
            return False
        found = ((_MEASURES[name](sample), limit_s) for name, limit_s in self.limits_s.items())
        return all(value is None or value <= limit_s for value, limit_s in found)
