"""Traces of requests, sent to an OpenTelemetry collector; needs the extra `otel`.

Prompts and answers stay out of them. No provider is set for the whole process, so other libraries that look
for one, the web framework among them, send nothing of their own.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog
from opentelemetry import context, propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from service.domain import Finish, GenerationEvent, GenerationRequest, Sampling, Start
from service.telemetry.request_metrics import CANCELLED, FAILED, INTERNAL

_NS = 1_000_000_000
# How long the collector gets to take the last spans.
_STOP_S = 3.0


class Tracing:
    """Makes spans and sends them in the background, in batches; what the collector can't take is dropped.

    `endpoint` is a collector's base URL for OTLP over HTTP. The SDK's own variables (OTEL_SERVICE_NAME,
    OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, ...) hold as well.
    """

    def __init__(self, endpoint: str, *, version: str) -> None:
        ours = Resource.create({"service.name": "tiber-serve", "service.version": version})
        self._provider = TracerProvider(
            resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
        )
        self._exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("service.telemetry.tracing", version)

    @contextmanager
    def continued(self, headers: Mapping[str, str]) -> Iterator[None]:
        """While in it, new requests belong to the trace that the client's `traceparent` names."""
        token = context.attach(propagate.extract(headers))
        try:
            yield
        finally:
            context.detach(token)

    def watch_model(self, model: str) -> Callable[[], "RequestSpan"]:
        """What makes a span for each of the model's requests."""
        return lambda: RequestSpan(self._tracer, model)

    def stop(self) -> None:
        """Send what is left; blocks until the collector has it, or has had some seconds."""
        # The provider alone would wait half a minute for a collector that is away.
        give_up = threading.Timer(_STOP_S, self._exporter.shutdown)
        give_up.start()
        self._provider.shutdown()
        give_up.cancel()


class RequestSpan:
    """The span of a request that was accepted now, with a child each for its queue, prefill and decode.

    Attributes are those of OpenTelemetry's semantic conventions for generative AI.
    """

    def __init__(self, tracer: trace.Tracer, model: str) -> None:
        self._tracer = tracer
        self._accepted_s = time.monotonic()
        self._accepted_ns = time.time_ns()
        self._span = tracer.start_span(
            f"text_completion {model}",
            kind=trace.SpanKind.SERVER,
            start_time=self._accepted_ns,
            attributes={
                "gen_ai.operation.name": "text_completion",
                "gen_ai.provider.name": "tiber-serve",
                "gen_ai.request.model": model,
                "gen_ai.response.model": model,
            },
        )
        request_id = structlog.contextvars.get_contextvars().get("request_id")
        if request_id:
            self._span.set_attribute("tiber.request_id", request_id)
        self._phase = "queue"
        self._phase_since_s = self._accepted_s
        self._generated_tokens = 0

    def validated(self, request: GenerationRequest, *, took_s: float) -> None:
        """The request may go to the engine; `took_s` is part of its queue."""
        self._span.set_attribute("gen_ai.usage.input_tokens", request.prompt_tokens)
        self._span.set_attributes(_attributes(request.sampling))

    def received(self, batch: Sequence[GenerationEvent]) -> None:
        """Events go to the client."""
        start, end = batch[0], batch[-1]
        self._generated_tokens += len(batch) - isinstance(start, Start) - isinstance(end, Finish)
        if isinstance(start, Start):
            self._enter("prefill", self._accepted_s + start.queue_s)
            self._enter("decode", time.monotonic())

    def ended(self, outcome: Finish | Exception | None) -> None:
        """Nothing more comes of it; None: the client left."""
        now_s = time.monotonic()
        self._end_phase(now_s)
        self._span.set_attribute("gen_ai.usage.output_tokens", self._generated_tokens)
        if isinstance(outcome, Finish):
            self._span.set_attribute("gen_ai.response.finish_reasons", [outcome.reason])
            self._span.set_attribute("gen_ai.response.time_to_first_chunk", outcome.timings.ttft_s)
        else:
            word = CANCELLED if outcome is None else FAILED.get(type(outcome), INTERNAL)
            self._span.set_attribute("error.type", word)
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end(self._ns(now_s))

    def _enter(self, phase: str, at_s: float) -> None:
        self._end_phase(at_s)
        self._phase, self._phase_since_s = phase, at_s

    def _end_phase(self, at_s: float) -> None:
        child = self._tracer.start_span(
            self._phase,
            context=trace.set_span_in_context(self._span),
            start_time=self._ns(self._phase_since_s),
        )
        child.end(self._ns(at_s))

    def _ns(self, at_s: float) -> int:
        return self._accepted_ns + round((at_s - self._accepted_s) * _NS)


def _attributes(sampling: Sampling) -> dict[str, int | float]:
    given: dict[str, int | float | None] = {
        "gen_ai.request.max_tokens": sampling.max_new_tokens,
        "gen_ai.request.frequency_penalty": sampling.frequency_penalty,
        "gen_ai.request.presence_penalty": sampling.presence_penalty,
    }
    if sampling.do_sample:
        given |= {
            "gen_ai.request.temperature": sampling.temperature,
            "gen_ai.request.top_p": sampling.top_p,
            "gen_ai.request.top_k": sampling.top_k,
            "gen_ai.request.seed": sampling.seed,
        }
    return {name: value for name, value in given.items() if value is not None}
