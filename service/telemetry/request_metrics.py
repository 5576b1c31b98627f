"""The metrics of generation requests, by model."""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram

from service import errors

ANSWERED = ("length", "eos_token", "stop_sequence")
CANCELLED = "cancelled"
INTERNAL = "internal"
FAILED: Mapping[type[Exception], str] = {
    errors.ValidationError: "validation",
    errors.OverloadedError: "overloaded",
    errors.UnavailableError: "unavailable",
    errors.DeadlineError: "timeout",
    errors.EngineError: INTERNAL,
}

# A request has 30 s unless the operator gives it more.
_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
# On a CPU a small model alone takes 10 ms a token, a large one in a full batch 1 s.
_TOKEN_S = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5)
_TOKENS = (1, 4, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)

# By the field of ModelMetrics.
_HISTOGRAMS = {
    "validation_s": (
        "tiber_request_validation_seconds",
        "Time to tokenise a prompt and check its request.",
        _REQUEST_S,
    ),
    "queue_s": (
        "tiber_request_queue_seconds",
        "Time from a request's acceptance until the engine took it up, validation included.",
        _REQUEST_S,
    ),
    "first_token_s": (
        "tiber_time_to_first_token_seconds",
        "Time from a request's acceptance to its first token.",
        _REQUEST_S,
    ),
    "inter_token_s": (
        "tiber_inter_token_latency_seconds",
        "Time between a request's tokens as they come; those that come together count once.",
        _TOKEN_S,
    ),
    "per_output_token_s": (
        "tiber_time_per_output_token_seconds",
        "Mean time between a whole answer's tokens.",
        _TOKEN_S,
    ),
    "mean_per_token_s": (
        "tiber_request_mean_time_per_token_seconds",
        "Time of a whole answer's inference over its tokens, as in the header x-time-per-token.",
        _TOKEN_S,
    ),
    "inference_s": (
        "tiber_request_inference_seconds",
        "Time from when the engine took a request up to its answer's last token.",
        _REQUEST_S,
    ),
    "total_s": (
        "tiber_request_duration_seconds",
        "Time from a request's acceptance to its answer's last token.",
        _REQUEST_S,
    ),
    "prompt_tokens": ("tiber_request_prompt_tokens", "Prompt tokens of a valid request.", _TOKENS),
    "generated_tokens": ("tiber_request_generated_tokens", "Tokens of a whole answer.", _TOKENS),
    "max_new_tokens": ("tiber_request_max_new_tokens", "Tokens a valid request may get at most.", _TOKENS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMetrics:
    """The metrics of one model's requests; `_s` are seconds."""

    outcomes: Mapping[str, Counter]
    prompt_tokens_total: Counter
    generated_tokens_total: Counter
    validation_s: Histogram
    queue_s: Histogram
    first_token_s: Histogram
    inter_token_s: Histogram
    per_output_token_s: Histogram
    mean_per_token_s: Histogram
    inference_s: Histogram
    total_s: Histogram
    prompt_tokens: Histogram
    generated_tokens: Histogram
    max_new_tokens: Histogram


class RequestMetrics:
    """The metrics of all models; `histograms` are named as the fields of ModelMetrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.outcomes = Counter(
            "tiber_requests_total",
            "Generation requests that ended, by how they did.",
            ("model", "outcome"),
            registry=registry,
        )
        self._prompt_tokens_total = Counter(
            "tiber_prompt_tokens_total", "Prompt tokens of valid requests.", ("model",), registry=registry
        )
        self._generated_tokens_total = Counter(
            "tiber_generated_tokens_total",
            "Tokens generated, those of requests that failed later included.",
            ("model",),
            registry=registry,
        )
        self.histograms = {
            field: Histogram(name, meaning, ("model",), buckets=buckets, registry=registry)
            for field, (name, meaning, buckets) in _HISTOGRAMS.items()
        }

    def of_model(self, model: str) -> ModelMetrics:
        """Those of one model; every outcome is there from the start, since a rate needs its zero."""
        outcomes = (*ANSWERED, *FAILED.values(), CANCELLED)
        return ModelMetrics(
            outcomes={outcome: self.outcomes.labels(model, outcome) for outcome in outcomes},
            prompt_tokens_total=self._prompt_tokens_total.labels(model),
            generated_tokens_total=self._generated_tokens_total.labels(model),
            **{field: histogram.labels(model) for field, histogram in self.histograms.items()},
        )
