"""The same figures under TGI's names, for dashboards made for it."""

from collections.abc import Iterable, Mapping

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.telemetry.live import ModelStates
from service.telemetry.request_metrics import ANSWERED, CANCELLED, RequestMetrics

# TGI's name: the field of ModelMetrics.
_HISTOGRAMS = {
    "tgi_request_duration": "total_s",
    "tgi_request_validation_duration": "validation_s",
    "tgi_request_queue_duration": "queue_s",
    "tgi_request_inference_duration": "inference_s",
    "tgi_request_mean_time_per_token_duration": "mean_per_token_s",
    "tgi_request_input_length": "prompt_tokens",
    "tgi_request_generated_tokens": "generated_tokens",
    "tgi_request_max_new_tokens": "max_new_tokens",
}
_GAUGES = {"tgi_batch_current_size": "tiber_running_requests", "tgi_queue_size": "tiber_waiting_requests"}
# Outcome: the word TGI has for it.
_FAILURES = {
    "validation": "validation",
    "overloaded": "overloaded",
    "unavailable": "generation",
    "internal": "generation",
    "timeout": "incomplete",
    CANCELLED: "dropped",
}


class TGIMetrics(Collector):
    """Reads our metrics when somebody asks, so that none is recorded twice.

    TGI's counters lack the suffix `_total` that prometheus-client gives every counter: they go out untyped,
    which queries don't notice.
    """

    def __init__(self, requests: RequestMetrics, states: ModelStates) -> None:
        self._requests = requests
        self._states = states

    def collect(self) -> Iterable[Metric]:
        """What prometheus-client calls."""
        for name, field in _HISTOGRAMS.items():
            for metric in self._requests.histograms[field].collect():
                yield _renamed(metric, name)
        states = {metric.name: metric for metric in self._states.collect()}
        for name, ours in _GAUGES.items():
            yield _renamed(states[ours], name)
        yield from self._counts()

    def _counts(self) -> Iterable[Metric]:
        count = Metric("tgi_request_count", "As tiber_requests_total, of all outcomes.", "unknown")
        success = Metric("tgi_request_success", "As tiber_requests_total, of whole answers.", "unknown")
        failure = Metric("tgi_request_failure", "As tiber_requests_total, of the others.", "unknown")
        for model, outcomes in _by_model(self._requests).items():
            labels = {"model": model}
            count.add_sample(count.name, labels, sum(outcomes.values()))
            success.add_sample(success.name, labels, sum(outcomes[word] for word in ANSWERED))
            for word in dict.fromkeys(_FAILURES.values()):
                value = sum(outcomes[ours] for ours, tgis in _FAILURES.items() if tgis == word)
                failure.add_sample(failure.name, {**labels, "err": word}, value)
        return (count, success, failure)


def _renamed(metric: Metric, name: str) -> Metric:
    renamed = Metric(name, f"As {metric.name}.", metric.type)
    for sample in metric.samples:
        renamed.add_sample(name + sample.name.removeprefix(metric.name), sample.labels, sample.value)
    return renamed


def _by_model(requests: RequestMetrics) -> Mapping[str, Mapping[str, float]]:
    """The counts of outcomes by model."""
    counts: dict[str, dict[str, float]] = {}
    for metric in requests.outcomes.collect():
        for sample in metric.samples:
            counts.setdefault(sample.labels["model"], {})[sample.labels["outcome"]] = sample.value
    return counts
