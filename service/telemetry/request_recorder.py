"""Measures one generation request."""

from collections.abc import Callable, Sequence

from service.domain import Finish, GenerationEvent, GenerationRequest, Start
from service.telemetry.request_metrics import CANCELLED, FAILED, INTERNAL, ModelMetrics

_COUNTED_TOGETHER = 16


class RequestRecorder:
    """Follows a request that was accepted now; `clock` counts seconds.

    `received` runs for every token: what it sees is counted some tokens later, at the request's end at last.
    """

    def __init__(self, metrics: ModelMetrics, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._clock = clock
        self._accepted_s = clock()
        self._last_token_s = self._accepted_s
        self._pauses_s: list[float] = []
        self._uncounted = 0

    def validated(self, request: GenerationRequest, *, took_s: float) -> None:
        """The request may go to the engine."""
        prompt_tokens = request.prompt_tokens
        self._metrics.validation_s.observe(took_s)
        self._metrics.prompt_tokens.observe(prompt_tokens)
        self._metrics.prompt_tokens_total.inc(prompt_tokens)
        self._metrics.max_new_tokens.observe(request.sampling.max_new_tokens)

    def received(self, batch: Sequence[GenerationEvent]) -> None:
        """Events go to the client."""
        now_s = self._clock()
        start, end = batch[0], batch[-1]
        tokens = len(batch) - isinstance(start, Start) - isinstance(end, Finish)
        if isinstance(start, Start):
            self._metrics.queue_s.observe(start.queue_s)
            self._metrics.first_token_s.observe(now_s - self._accepted_s)
        elif tokens:
            self._pauses_s.append(now_s - self._last_token_s)
        self._last_token_s = now_s
        self._uncounted += tokens
        if len(self._pauses_s) >= _COUNTED_TOGETHER:
            self._count()

    def ended(self, outcome: Finish | Exception | None) -> None:
        """Nothing more comes of it; None: the client left."""
        self._count()
        if isinstance(outcome, Finish):
            self._answered(outcome)
            word: str = outcome.reason
        elif outcome is None:
            word = CANCELLED
        else:
            word = FAILED.get(type(outcome), INTERNAL)
        self._metrics.outcomes[word].inc()

    def _count(self) -> None:
        for pause_s in self._pauses_s:
            self._metrics.inter_token_s.observe(pause_s)
        self._metrics.generated_tokens_total.inc(self._uncounted)
        self._pauses_s.clear()
        self._uncounted = 0

    def _answered(self, finish: Finish) -> None:
        timings, tokens = finish.timings, finish.generated_tokens
        self._metrics.inference_s.observe(timings.inference_s)
        self._metrics.total_s.observe(timings.total_s)
        self._metrics.generated_tokens.observe(tokens)
        if tokens:
            self._metrics.mean_per_token_s.observe(timings.inference_s / tokens)
        if tokens > 1:
            self._metrics.per_output_token_s.observe((timings.total_s - timings.ttft_s) / (tokens - 1))
