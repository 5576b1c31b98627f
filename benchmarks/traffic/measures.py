"""Turns samples into the figures of a measurement; pure."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.stats import gaps
from benchmarks.traffic.bootstrap import Distribution, Estimate, distribution, mean
from benchmarks.traffic.jobs import TrafficResult
from benchmarks.traffic.samples import Sample
from benchmarks.traffic.slo import Slo, end_to_end_s, tpot_s, ttft_s

# Pieces of the window whose rates are compared for the intervals of the throughput.
_PIECES = 20
_MOST_REASONS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What clients saw. Latencies, in seconds, are those of answered requests, from when they were due.

    `window_s` is from the first request's due time to the last one's end, what was in flight when
    sending ended included; rates are over it. `failures` are counted by kind; `unfinished` requests were
    broken off by us, `retried` lost unread and sent again. `send_delay_s` is from due to sent, `queue_s` the
    server's own word for its queue.
    `itl_s` is between chunks, which may hold several tokens: `tokens_per_chunk` says how many.
    `answers_per_s` is over the time from the first answer's end to the last one's: the rate of requests
    where the server keeps up. `goodput_per_s` counts the answered requests that kept every objective,
    `good_share` is of all that ended.
    """

    window_s: float
    answered: int
    failures: dict[str, int]
    reasons: list[str]
    unfinished: int
    retried: int
    prompt_tokens: int
    output_tokens: int
    tokens_per_chunk: float | None
    requests_per_s: Estimate
    output_tokens_per_s: Estimate
    total_tokens_per_s: Estimate
    answers_per_s: float | None
    goodput_per_s: float | None
    good_share: float | None
    ttft_s: Distribution | None
    itl_s: Distribution | None
    tpot_s: Distribution | None
    end_to_end_s: Distribution | None
    send_delay_s: Distribution | None
    queue_s: Distribution | None


def measure(result: TrafficResult, slo: Slo | None) -> Measures:
    """Sum a run up."""
    good = [one for one in result.samples if one.failure is None]
    begin_s, window_s = _window(result.samples)
    kept = None if slo is None else sum(slo.is_met(one) for one in good)
    chunks = sum(len(one.chunk_times_s) for one in good)
    output_tokens = sum(one.output_tokens or 0 for one in good)
    return Measures(
        window_s=window_s,
        answered=len(good),
        failures=dict(Counter(one.failure.kind for one in result.samples if one.failure)),
        reasons=_reasons(result.samples),
        unfinished=result.unfinished,
        retried=result.retried,
        prompt_tokens=sum(one.prompt_tokens or 0 for one in good),
        output_tokens=output_tokens,
        tokens_per_chunk=output_tokens / chunks if chunks else None,
        requests_per_s=_rate([(one.ended_s, 1.0) for one in good], begin_s, window_s),
        output_tokens_per_s=_rate(_output_tokens(good), begin_s, window_s),
        total_tokens_per_s=_rate(_output_tokens(good) + _prompt_tokens(good), begin_s, window_s),
        answers_per_s=_answers_per_s([one.ended_s for one in good]),
        goodput_per_s=None if kept is None or not window_s else kept / window_s,
        good_share=None if kept is None or not result.samples else kept / len(result.samples),
        ttft_s=_each(good, ttft_s),
        itl_s=distribution([gaps(one.chunk_times_s) for one in good]),
        tpot_s=_each(good, tpot_s),
        end_to_end_s=_each(good, end_to_end_s),
        send_delay_s=_each(result.samples, lambda one: one.sent_s - one.due_s),
        queue_s=_each(good, lambda one: one.queue_s),
    )


def _window(samples: Sequence[Sample]) -> tuple[float, float]:
    if not samples:
        return 0.0, 0.0
    begin_s = min(one.due_s for one in samples)
    return begin_s, max(one.ended_s for one in samples) - begin_s


def _answers_per_s(ended_s: Sequence[float]) -> float | None:
    if not ended_s or max(ended_s) == min(ended_s):
        return None
    return (len(ended_s) - 1) / (max(ended_s) - min(ended_s))


def _each(samples: Sequence[Sample], measure_one: Callable[[Sample], float | None]) -> Distribution | None:
    found = (measure_one(one) for one in samples)
    return distribution([[value] for value in found if value is not None])


def _output_tokens(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """When output tokens arrived: a stream's tokens in equal parts at its chunks."""
    return [
        (time_s, (one.output_tokens or 0) / len(one.chunk_times_s))
        for one in samples
        for time_s in one.chunk_times_s
    ]


def _prompt_tokens(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """A prompt's tokens count when its first chunk is there."""
    return [(one.chunk_times_s[0], float(one.prompt_tokens or 0)) for one in samples]


def _rate(amounts: Sequence[tuple[float, float]], begin_s: float, window_s: float) -> Estimate:
    """Amounts per second; the interval takes neighbouring pieces of time for independent."""
    if window_s <= 0:
        return Estimate(value=0.0, low=0.0, high=0.0)
    pieces = [0.0] * _PIECES
    for time_s, amount in amounts:
        place = int((time_s - begin_s) / window_s * _PIECES)
        pieces[min(_PIECES - 1, max(0, place))] += amount
    return mean([amount * _PIECES / window_s for amount in pieces])


def _reasons(samples: Sequence[Sample]) -> list[str]:
    """What was seen of the failures, each only once."""
    seen = dict.fromkeys(f"{one.failure.kind}: {one.failure.reason}" for one in samples if one.failure)
    return list(seen)[:_MOST_REASONS]
