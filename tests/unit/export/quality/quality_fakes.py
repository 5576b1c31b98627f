"""Language models of a few lines, and a report."""

from datetime import UTC, datetime

import numpy as np

from export.quality.report import (
    Check,
    GreedyPrefixes,
    Histogram,
    Machine,
    Measures,
    Report,
    Runner,
    TextSet,
)
from service.manifest import Source

VOCABULARY = 11


class Counting:
    """Always foretells the next number; `skips_from` on it is one off once a text is so long."""

    def __init__(self, skips_from: int | None = None) -> None:
        self._skips_from = skips_from

    def logits(self, ids: np.ndarray) -> np.ndarray:
        values = np.zeros((len(ids), VOCABULARY), dtype=np.float32)
        for place, token in enumerate(ids):
            step = 2 if self._skips_from is not None and place >= self._skips_from else 1
            values[place, (token + step) % VOCABULARY] = 5
        return values

    def continue_greedily(self, prompts: np.ndarray, new_tokens: int) -> np.ndarray:
        rows = []
        for prompt in prompts:
            ids = list(prompt)
            for _ in range(new_tokens):
                ids.append(int(self.logits(np.array(ids))[-1].argmax()))
            rows.append(ids[len(prompt) :])
        return np.array(rows)


def some_measures(**changes: float) -> Measures:
    values = {
        "positions": 100,
        "source_perplexity": 14.0,
        "converted_perplexity": 14.1,
        "perplexity_ratio": 1.007,
        "kl_mean": 0.01,
        "kl_p99": 0.08,
        "top1_agreement": 0.98,
        "confident_share": 0.5,
        "confident_agreement": 0.999,
    }
    return Measures(**(values | changes))  # type: ignore[arg-type]


def some_report(*, passed: bool = True) -> Report:
    runner = Runner(
        runtime="openvino",
        device="CPU",
        dtype="f32",
        properties={"KV_CACHE_PRECISION": "f16"},
        size_bytes=140_000_000,
        prefill_tokens_per_s=1666,
        decode_tokens_per_s=110,
    )
    check = Check(
        measure="kl_mean", value=0.01, limit=0.02 if passed else 0.001, at="most", passed=passed, reason="why"
    )
    return Report(
        model="tiny",
        weight_format="int8",
        source=Source(kind="gguf", identity="tiny.gguf", sha256="ab12"),
        against="tiny.gguf",
        converted_at=datetime(2026, 1, 1, tzinfo=UTC),
        verified_at=datetime(2026, 1, 2, tzinfo=UTC),
        texts=TextSet(sha256="cd" * 32, passages=2, tokens=102, cut=0, max_tokens=192),
        reference=runner,
        converted=runner,
        measures=some_measures(),
        by_kind={"prose": some_measures(), "code": some_measures(top1_agreement=0.4)},
        kl_histogram=Histogram(edges=[0.001, 0.01, 0.1], counts=[60, 40]),
        greedy=GreedyPrefixes(limit=32, lengths=[32, 8]),
        checks=[check],
        seconds=12.3,
        machine=Machine(processor="a processor", cores=2, load=0.5),
        tool_versions={"openvino": "2026.4.1"},
    )
