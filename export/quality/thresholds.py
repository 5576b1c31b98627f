"""Says how far a converted model may be from its source, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from export.quality.report import Check, Measures

SMALL_MODEL_PARAMETERS = 300_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A limit of one measure; `small_limit` holds instead below `SMALL_MODEL_PARAMETERS`."""

    measure: str
    limit: float
    at: Literal["most", "least"]
    reason: str
    small_limit: float | None = None
    small_reason: str = ""

    def check(self, measures: Measures, parameters: int) -> Check:
        """Hold the measured value against the limit for a model of this size."""
        is_small = self.small_limit is not None and parameters < SMALL_MODEL_PARAMETERS
        limit = self.small_limit if is_small and self.small_limit is not None else self.limit
        value = float(getattr(measures, self.measure))
        return Check(
            measure=self.measure,
            value=value,
            limit=limit,
            at=self.at,
            passed=value <= limit if self.at == "most" else value >= limit,
            reason=self.small_reason if is_small else self.reason,
        )


_INT8 = (
    Threshold(
        measure="kl_mean",
        limit=0.02,
        at="most",
        reason="the usual starting point; SmolLM2-135M, which loses more than bigger models, measured 0.0130",
    ),
    Threshold(
        measure="perplexity_ratio",
        limit=1.02,
        at="most",
        reason="the usual starting point; SmolLM2-135M measured 1.011",
    ),
    Threshold(
        measure="confident_agreement",
        limit=0.99,
        at="least",
        reason="where the source is sure, another first token is a fault: SmolLM2-135M measured 0.999",
    ),
    Threshold(
        measure="top1_agreement",
        limit=0.97,
        at="least",
        reason="the usual starting point, not measured on a model of this size yet",
        small_limit=0.91,
        small_reason=(
            "0.97 is out of reach below 300 M parameters: SmolLM2-135M has its first two tokens within 0.1 "
            "of each other at 31% of the positions, and measured 0.932 as served, 0.955 by its weights alone"
        ),
    ),
)
_INT4 = (
    Threshold(
        measure="kl_mean",
        limit=0.1,
        at="most",
        reason="five times what INT8 may lose; not reached by models as small as SmolLM2-135M",
    ),
    Threshold(
        measure="perplexity_ratio",
        limit=1.1,
        at="most",
        reason="what 4-bit weights without calibration are commonly said to cost a model of 1 to 8 B at most",
    ),
    Threshold(
        measure="confident_agreement",
        limit=0.97,
        at="least",
        reason="where the source is sure, another first token is a fault",
    ),
    Threshold(
        measure="top1_agreement",
        limit=0.85,
        at="least",
        reason="follows from the limit of KL: about 0.1 goes with 0.85",
    ),
)
_SIXTEEN_BITS = (
    Threshold(
        measure="kl_mean",
        limit=0.005,
        at="most",
        reason="16-bit weights lose nothing worth naming; what is left is the arithmetic of the device",
    ),
    Threshold(
        measure="perplexity_ratio",
        limit=1.005,
        at="most",
        reason="as for KL",
    ),
    Threshold(
        measure="confident_agreement",
        limit=0.995,
        at="least",
        reason="where the source is sure, another first token is a fault",
    ),
    Threshold(
        measure="top1_agreement",
        limit=0.97,
        at="least",
        reason="near-ties alone may fall the other way",
    ),
)

THRESHOLDS: Mapping[str, tuple[Threshold, ...]] = MappingProxyType(
    {
        "int8": _INT8,
        "int8-sym": _INT8,
        "int4": _INT4,
        "fp16": _SIXTEEN_BITS,
        "bf16": _SIXTEEN_BITS,
    }
)


def check_measures(measures: Measures, weight_format: str, parameters: int) -> list[Check]:
    """Every check for a model with these weights; a format that is not known is held to INT4's limits."""
    thresholds = THRESHOLDS.get(weight_format, _INT4)
    return [threshold.check(measures, parameters) for threshold in thresholds]
